//! No text is forgotten: documents with everything that they can have, against those that are tampered with.

use std::collections::BTreeSet;

use serde_json::Value;
use tidemark::model::field_ids::FieldIds;
use tidemark::model::format::{
    Bigint, Codec, Compression, CsvOptions, Decimals, Format, JsonlOptions, LineBreaks, LineEnd, ParquetOptions, Quote,
};
use tidemark::model::loaders::LoaderManifest;
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::moment::Moment;
use tidemark::model::names::Identifier;
use tidemark::model::plan::{Content, LoadReason, Plan, PlanId, Replaces, VERSION};
use tidemark::model::predicate::Predicate;
use tidemark::model::record::{Decision, Record, UploadedObject, UploadedPiece};
use tidemark::model::rows::Closed;
use tidemark::model::sink::{MergeProcedure, SinkSpec, SqlServerSink};
use tidemark::model::slice::{KeyBounds, SliceBounds};
use tidemark::model::table::{ChangeTracking, Clock, Layout, NullWatermark, OnExpired, Tracking, WatermarkTracking};
use tidemark::model::types::{Column, Form, Fraction};
use tidemark::model::unseen::Unseen;
use tidemark::model::values::{Audit, Mask, Operation, Values};
use tidemark::model::watermark::Watermark;
use tidemark::testing::bigint;
use tidemark::testing::world::{name, window};

use crate::scene::{Scene, Table};
use crate::scenes::{
    backfilled, changes, copied, given_up, into_a_sink, into_files, load, masked, masked_by_the_server, reinit,
    reloaded, split, superseded, unchanged, with_loaders, without_rows,
};
use crate::tamper::kinds;

// The documents are written without `..`, and what is one of several is matched without `_`, so that this does not
// compile before a new field or a new variant is here.

fn moment() -> Moment {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn one() -> Watermark {
    Watermark::new(bigint(), "1").unwrap()
}

fn identifier() -> Identifier {
    Identifier::new("v").unwrap()
}

fn slices() -> Vec<SliceBounds> {
    let key = KeyBounds {
        column: identifier(),
        above: Some(one()),
        up_to: Some(one()),
    };
    vec![SliceBounds {
        old: Some(one()),
        new: Some(one()),
        key: Some(key),
    }]
}

fn contents() -> [Content; 6] {
    let load = |because| Content::Load {
        because,
        tracked_since: Some(one()),
        key_columns: vec!["id".into()],
    };
    let all = [
        Content::Interval {
            column: identifier(),
            with_nulls: true,
            in_place_of: Some(window("from-1")),
        },
        load(LoadReason::First { seed: Some(one()) }),
        load(LoadReason::InPlaceOf(window("from-1"))),
        Content::Changes {
            key_columns: vec!["id".into()],
        },
        Content::Unchanged,
        Content::Superseded { by: window("from-1") },
    ];
    for content in &all {
        match content {
            Content::Interval { .. } | Content::Changes { .. } | Content::Unchanged | Content::Superseded { .. } => {}
            Content::Load { because, .. } => match because {
                LoadReason::First { .. } | LoadReason::InPlaceOf(_) => {}
            },
        }
    }
    all
}

fn formats() -> [Format; 3] {
    let all = [
        Format::Parquet(ParquetOptions {
            codec: Codec::Snappy,
            decimals: Decimals::Fixed,
        }),
        Format::Csv(CsvOptions {
            header: true,
            delimiter: ';',
            null: "NULL".into(),
            quote: Quote::default(),
            fraction_digits: Some(7),
            line_end: LineEnd::default(),
            line_breaks: LineBreaks::default(),
            compression: Compression::Gzip,
        }),
        Format::Jsonl(JsonlOptions {
            compression: Compression::Gzip,
            bigint: Bigint::default(),
        }),
    ];
    for format in &all {
        match format {
            Format::Parquet(_) | Format::Csv(_) | Format::Jsonl(_) => {}
        }
    }
    all
}

fn trackings() -> [Tracking; 2] {
    let all = [
        Tracking::Watermark(WatermarkTracking {
            column: identifier(),
            settle_seconds: Some(1),
            clock: Clock::Local,
            null_watermark: NullWatermark::FirstLoad,
        }),
        Tracking::ChangeTracking(ChangeTracking {
            on_expired: OnExpired::Fail,
        }),
    ];
    for tracking in &all {
        match tracking {
            Tracking::Watermark(_) | Tracking::ChangeTracking(_) => {}
        }
    }
    all
}

/// Returns the forms, and one each of those that are written alike.
fn forms() -> Vec<Form> {
    let all = vec![
        Form::Text,
        Form::Decimal { precision: 9, scale: 2 },
        Form::Time(Fraction::Micros),
        Form::Timestamp(Fraction::Micros),
        Form::Instant(Fraction::Micros),
        Form::Iso(7),
    ];
    for form in &all {
        match form {
            // These are one word each.
            Form::Bool
            | Form::Int16
            | Form::Int32
            | Form::Int64
            | Form::Float32
            | Form::Float64
            | Form::Text
            | Form::Binary
            | Form::RowVersion
            | Form::Uuid
            | Form::Date => {}
            // These have a number each.
            Form::Decimal { .. } | Form::Iso(_) | Form::TimeTicks(_) | Form::Ticks(_) | Form::TicksAndOffset(_) => {}
            // These have a word each.
            Form::Time(_) | Form::Timestamp(_) | Form::Instant(_) => {}
        }
    }
    all
}

fn columns() -> Vec<Column> {
    let values = [
        Values::OfSource,
        Values::ServerMask,
        Values::Masked(Mask::Hash),
        Values::Audit(Audit::Window("from-1".into())),
        Values::Audit(Audit::CopiedAt(moment())),
        Values::Audit(Audit::Operation(Operation::Growth)),
    ];
    for values in &values {
        match values {
            Values::OfSource | Values::ServerMask | Values::Masked(_) => {}
            Values::Audit(audit) => match audit {
                Audit::Window(_) | Audit::CopiedAt(_) | Audit::Operation(_) => {}
            },
        }
    }
    let column = |(form, values)| Column {
        name: "v".into(),
        sql_type: bigint(),
        form,
        nullable: true,
        values,
    };
    let of_forms = forms().into_iter().map(|form| (form, Values::OfSource));
    let of_values = values.into_iter().map(|values| (Form::Text, values));
    of_forms.chain(of_values).map(column).collect()
}

fn plan(content: Content, format: Format, tracking: Tracking) -> Plan {
    let mut field_ids = FieldIds::default();
    field_ids.extend(&columns());
    let SinkSpec::SqlServer(sink) = SinkSpec::SqlServer(SqlServerSink {
        secret_arn: "sink".into(),
        table: Some(name()),
        keys: vec![identifier()],
        procedure: Some(MergeProcedure {
            name: name(),
            table_type: name(),
        }),
    });
    let replaces = Replaces {
        column: "v".into(),
        includes: Closed {
            old_watermark: true,
            new_watermark: true,
        },
        through: window("from-1"),
    };
    Plan {
        version: VERSION,
        table: name(),
        window: window("from-1"),
        tracking,
        old_watermark: Some(one()),
        new_watermark: one(),
        settle_seconds: 1,
        content,
        columns: columns(),
        schema: "fingerprint".into(),
        field_ids,
        generation: 1,
        object: Some(1),
        format,
        mask_key: Some("key".into()),
        unseen: Unseen {
            filtered: true,
            veiled: true,
            policies: true,
            sources: true,
        },
        filter: Some(Predicate::new("v > 0").unwrap()),
        layout: Layout::LoadDate,
        loader_manifests: vec![LoaderManifest::Redshift],
        slices: slices(),
        watermark_name: Some("t".into()),
        sink: Some(SinkSpec::SqlServer(sink)),
        replaces: Some(replaces),
        run_id: "run".into(),
        created_at: moment(),
    }
}

fn decisions() -> [Decision; 5] {
    let piece = UploadedPiece {
        number: 1,
        etag: "etag".into(),
        crc64nvme: "crc".into(),
    };
    let upload = UploadedObject {
        key: "key".into(),
        upload_id: "id".into(),
        token: "token".into(),
        pieces: vec![piece],
        bytes: 1,
        crc64nvme: "crc".into(),
    };
    let all = [
        Decision::Uploaded {
            rows: 1,
            begun_at: moment(),
            upload,
        },
        Decision::Merged { rows: 1 },
        Decision::Empty,
        Decision::Split { slices: slices() },
        Decision::Superseded { by: window("from-1") },
    ];
    for decision in &all {
        match decision {
            Decision::Uploaded { .. }
            | Decision::Merged { .. }
            | Decision::Empty
            | Decision::Split { .. }
            | Decision::Superseded { .. } => {}
        }
    }
    all
}

fn record(decision: Decision) -> Record {
    let mut malformed_texts = MalformedTexts::default();
    malformed_texts.count("v", 1);
    Record {
        version: VERSION,
        window: window("from-1"),
        slice: 0.into(),
        attempt: 1,
        plan: PlanId {
            run_id: "run".into(),
            created_at: moment(),
        },
        decision,
        malformed_texts,
        mask_key: Some("key".into()),
        run_id: "run".into(),
    }
}

/// Returns the kinds of texts in a document of a scene.
async fn of<T: Table>(scene: impl Future<Output = Scene<T>>, document: &str) -> BTreeSet<String> {
    let scene = scene.await;
    kinds(&scene.document(&scene.key(document)))
}

fn of_all(documents: impl IntoIterator<Item = Value>) -> BTreeSet<String> {
    documents.into_iter().flat_map(|document| kinds(&document)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_text_that_a_plan_can_have_is_tampered_with() {
    let tampered = [
        of(into_files(), "plan").await,
        of(into_a_sink(), "plan").await,
        of(load(), "plan").await,
        of(reinit(), "plan").await,
        of(changes(), "plan").await,
        of(superseded(), "plan").await,
        of(unchanged(), "plan").await,
        of(masked(), "plan").await,
        of(masked_by_the_server(), "plan").await,
        of(with_loaders(), "plan").await,
        of(backfilled(), "plan").await,
        of(given_up(), "plan").await,
        of(reloaded(), "plan").await,
    ];
    let mut plans = Vec::new();
    for content in contents() {
        for format in formats() {
            for tracking in trackings() {
                let plan = plan(content.clone(), format.clone(), tracking);
                plans.push(serde_json::to_value(plan).unwrap());
            }
        }
    }
    let missed = &of_all(plans) - &tampered.into_iter().flatten().collect();
    assert_eq!(missed, BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn every_text_that_a_record_can_have_is_tampered_with() {
    const RECORD: &str = "record-00000";
    let tampered = [
        of(copied(into_files()), RECORD).await,
        of(copied(into_a_sink()), RECORD).await,
        of(copied(masked()), RECORD).await,
        of(copied(without_rows()), RECORD).await,
        of(split(into_files()), RECORD).await,
        of(split(load()), RECORD).await,
        of(split(changes()), RECORD).await,
        of(superseded(), RECORD).await,
    ];
    let records = decisions().map(|decision| serde_json::to_value(record(decision)).unwrap());
    let missed = &of_all(records) - &tampered.into_iter().flatten().collect();
    assert_eq!(missed, BTreeSet::new());
}

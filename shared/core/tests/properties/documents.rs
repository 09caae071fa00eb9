//! The ledger's documents are read as they were written, and a disturbed one is read as one of its place or refused.

use bytes::Bytes;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark::ledger::{Ledger, Place};
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::manifest::{CopiedRows, Manifest, ManifestPart, Previous};
use tidemark::model::moment::Moment;
use tidemark::model::names::ObjectName;
use tidemark::model::plan::{Author, Content, LoadReason, Plan, PlanId, WindowBounds};
use tidemark::model::record::{Attempt, Decision, Record, UploadedObject, UploadedPiece};
use tidemark::model::sink::{MergeProcedure, SinkSpec, SqlServerSink};
use tidemark::model::slice::{KeyBounds, SliceBounds};
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::model::types::{Column, Form};
use tidemark::model::values::Values;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::CreateObjects;
use tidemark::testing::{MemoryStore, bigint};
use time::macros::datetime;

use crate::json::disturbed;
use crate::names::{NAME, name, object_name};
use crate::windows::watermark;

fn column() -> impl Strategy<Value = Column> {
    (NAME, any::<bool>()).prop_map(|(name, nullable)| Column {
        name,
        sql_type: bigint(),
        form: Form::Int64,
        nullable,
        values: Values::OfSource,
    })
}

prop_compose! {
    fn sink()(
        secret_arn in "(?s:.{1,30})",
        table in prop::option::of(object_name()),
        keys in prop::collection::vec(name(), 0..3),
        procedure in prop::option::of((object_name(), object_name())),
    ) -> SinkSpec {
        let procedure = procedure.map(|(name, table_type)| MergeProcedure { name, table_type });
        SinkSpec::SqlServer(SqlServerSink { secret_arn, table, keys, procedure })
    }
}

prop_compose! {
    fn key_bounds()(
        column in name(), above in prop::option::of(watermark()), up_to in prop::option::of(watermark()),
    ) -> KeyBounds {
        KeyBounds { column, above, up_to }
    }
}

prop_compose! {
    fn slice_bounds()(
        old in prop::option::of(watermark()), new in prop::option::of(watermark()), key in prop::option::of(key_bounds()),
    ) -> SliceBounds {
        SliceBounds { old, new, key }
    }
}

fn content() -> impl Strategy<Value = Content> {
    let reason = prop_oneof![
        prop::option::of(watermark()).prop_map(|seed| LoadReason::First { seed }),
        watermark().prop_map(|from| LoadReason::InPlaceOf(WindowName::after(&from))),
    ];
    let key_columns = || prop::collection::vec(NAME, 1..3);
    let load =
        (reason, prop::option::of(watermark()), key_columns()).prop_map(|(because, tracked_since, key_columns)| {
            Content::Load {
                because,
                tracked_since,
                key_columns,
            }
        });
    prop_oneof![
        (name(), any::<bool>(), prop::option::of(watermark())).prop_map(|(column, with_nulls, from)| {
            Content::Interval {
                column,
                with_nulls,
                in_place_of: from.map(|from| WindowName::after(&from)),
            }
        }),
        load,
        key_columns().prop_map(|key_columns| Content::Changes { key_columns }),
        Just(Content::Unchanged),
        watermark().prop_map(|from| Content::Superseded {
            by: WindowName::reinit(&WindowName::after(&from))
        }),
    ]
}

prop_compose! {
    /// Makes a table's settings, as far as a plan has them.
    fn spec()(
        table in object_name(),
        tracked in name(),
        watermark_name in prop::option::of("(?s:.{1,30})"),
        sink in prop::option::of(sink()),
        is_filtered: bool,
        by_day: bool,
    ) -> TableSpec {
        let layout = if by_day { "load_date" } else { "window" };
        let spec = json!({ "table": table, "tracking": { "watermark": { "column": tracked } }, "layout": layout });
        TableSpec {
            filter: is_filtered.then(|| "a = 1".to_owned().try_into().unwrap()),
            watermark_name,
            sink,
            ..serde_json::from_value(spec).unwrap()
        }
    }
}

prop_compose! {
    /// Makes any plan of a first window.
    pub fn plan()(
        spec in spec(),
        new in watermark(),
        content in content(),
        columns in prop::collection::vec(column(), 1..4),
        slices in prop::collection::vec(slice_bounds(), 1..3),
        run_id in "(?s:.{0,30})",
    ) -> Plan {
        let bounds = WindowBounds { window: WindowName::initial(), old: None, new };
        let author = Author { run_id: &run_id, created_at: Moment::of(datetime!(2026-01-01 00:00 UTC)) };
        Plan::new(&spec, bounds, content, author).copying(columns, slices)
    }
}

prop_compose! {
    fn upload()(
        key in "(?s:.{1,30})", upload_id in ".{1,30}", token in "[a-f0-9-]{36}", bytes: u64, pieces in 1..4_u32,
    ) -> UploadedObject {
        let piece = |number| UploadedPiece { number, etag: format!("\"{token}\""), crc64nvme: "AAAAAAAAAAA=".into() };
        UploadedObject {
            pieces: (1..=pieces).map(piece).collect(),
            crc64nvme: "AAAAAAAAAAA=".into(),
            key, upload_id, token: token.clone(), bytes,
        }
    }
}

prop_compose! {
    /// Makes any slice's name.
    pub fn slice_id()(number: u32, within in prop::collection::vec(any::<u32>(), 0..SliceId::MAX_DEPTH)) -> SliceId {
        let planned = SliceId::planned(number);
        within.into_iter().fold(planned, |id, number| id.sub_slice(number).unwrap())
    }
}

fn decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        (any::<u64>(), upload()).prop_map(|(rows, upload)| Decision::Uploaded {
            rows,
            begun_at: Moment::of(datetime!(2026-01-01 00:00 UTC)),
            upload
        }),
        any::<u64>().prop_map(|rows| Decision::Merged { rows }),
        Just(Decision::Empty),
        prop::collection::vec(slice_bounds(), 2..4).prop_map(|slices| Decision::Split { slices }),
        watermark().prop_map(|from| Decision::Superseded {
            by: WindowName::reinit(&WindowName::after(&from))
        }),
    ]
}

prop_compose! {
    fn record()(from in watermark(), slice in slice_id(), number: u32, decision in decision()) -> Record {
        let window = WindowName::after(&from);
        Record::new(Attempt { window, slice, number, plan: plan_id() }, decision, "r".into()).with_found(malformed_texts(), Some("0123456789abcdef".into()))
    }
}

fn plan_id() -> PlanId {
    PlanId {
        run_id: "r".into(),
        created_at: Moment::of(datetime!(2026-01-01 00:00 UTC)),
    }
}

fn malformed_texts() -> MalformedTexts {
    let mut malformed = MalformedTexts::default();
    malformed.count("na me", u64::MAX);
    malformed
}

fn manifests(plan: &Plan, upload: UploadedObject) -> [Manifest; 3] {
    let part = ManifestPart {
        slice: "0.1".parse().unwrap(),
        key: upload.key,
        rows: upload.bytes,
        bytes: upload.bytes,
        etag: upload.upload_id,
        crc64nvme: upload.crc64nvme,
        malformed_texts: malformed_texts(),
    };
    let author = Author {
        run_id: "r",
        created_at: Moment::of(datetime!(2026-01-01 00:00 UTC)),
    };
    let load = WindowName::reinit(&plan.window);
    [
        Manifest::committed(plan, CopiedRows::Parts(vec![part]), Some(1), author),
        Manifest::committed(
            plan,
            CopiedRows::Merged {
                rows: u64::MAX,
                malformed_texts: malformed_texts(),
            },
            None,
            author,
        ),
        Manifest::superseded(plan, &plan.new_watermark, &load, author),
    ]
}

/// Returns the document as it comes back from its JSON.
fn through_json<T: Serialize + DeserializeOwned>(document: &T) -> T {
    serde_json::from_str(&serde_json::to_string(document).unwrap()).unwrap()
}

/// Returns what the ledger reads from `body` where a plan should be.
fn read_plan(table: &ObjectName, body: &[u8]) -> Result<Option<Plan>, ErrorCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::default();
        let (ledger, window) = (Ledger::new(Place::new(&store, "p"), table), WindowName::initial());
        let key = ledger.keys().plan(&window);
        store.create(&key, Bytes::copy_from_slice(body)).await.unwrap();
        ledger.plan(&window).await.map_err(|error| error.code())
    })
}

proptest! {
    #[test]
    fn the_ledgers_documents_read_back(plan in plan(), record in record(), upload in upload()) {
        prop_assert_eq!(&through_json(&plan), &plan);
        prop_assert_eq!(&through_json(&record), &record);
        for manifest in manifests(&plan, upload) {
            prop_assert_eq!(&through_json(&manifest), &manifest);
        }
        let previous = Previous::of(&plan, Some("0123456789abcdef"));
        prop_assert_eq!(&through_json(&previous), &previous);
    }

    #[test]
    fn a_document_that_was_changed_is_read_or_named(
        (plan, changed) in plan().prop_flat_map(|plan| {
            let json = serde_json::to_value(&plan).unwrap();
            (Just(plan), disturbed(json))
        }),
        garbage in prop::collection::vec(any::<u8>(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = serde_json::to_vec(&plan).unwrap();
        let read = read_plan(&plan.table, &whole).unwrap();
        prop_assert_eq!(read.as_ref(), Some(&plan));
        prop_assert_eq!(read_plan(&plan.table, &whole[..cut.index(whole.len())]), Err(ErrorCode::LedgerInvalid));
        prop_assert_eq!(read_plan(&plan.table, &garbage), Err(ErrorCode::LedgerInvalid));
        match read_plan(&plan.table, changed.to_string().as_bytes()) {
            // Whatever was changed, it is the plan of this place.
            Ok(read) => prop_assert_eq!(read.unwrap().table, plan.table),
            Err(code) => prop_assert_eq!(code, ErrorCode::LedgerInvalid),
        }
    }
}

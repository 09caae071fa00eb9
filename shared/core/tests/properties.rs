//! What holds for any text, any JSON and any name: decoders never panic, canonical forms are stable, encodings can be read
//! back. `PROPTEST_CASES` sets how many are tried of each.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::format::Format;
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ledger::{
    KeyBounds, Keys, Ledger, Manifest, ManifestPart, PartRecord, Plan, Slice, SliceBounds, SliceId, VERSION, WindowName,
};
use tidemark::ports::objects::{CreateObjects, StagedObject, StagedPiece};
use tidemark::query::Interval;
use tidemark::runner::decode;
use tidemark::sink::{SinkSpec, SqlServerSink};
use tidemark::table::TableSpec;
use tidemark::testing::MemoryStore;
use tidemark::types::{Column, SqlType};
use tidemark::watermark::{StoreType, Watermark};

/// Anything that can be an identifier; a character may count twice towards SQL Server's 128.
const NAME: &str = "[^\\p{Cc}]{1,60}";
/// Texts with what matters to the parsers in them.
const NEAR_NAME: &str = "(?s:[a-c\\[\\]\".'% \\n]{0,12}|.{0,20})";
const NEAR_WATERMARK: &str = "(?s:[-+0-9.:TZ /e]{0,40}|.{0,20})";

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s:.{0,20})".prop_map(Value::from),
        select(vec!["dbo.t", "watermark", "csv", "text", "int", "initial", "utc"]).prop_map(Value::from),
    ];
    let keys = select(vec![
        "table",
        "tracking",
        "watermark",
        "column",
        "csv",
        "value",
        "type",
        "x",
    ]);
    leaf.prop_recursive(3, 20, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// The places in a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                pointers(item, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// `document` with anything at one of its places.
fn disturbed(document: Value) -> impl Strategy<Value = Value> {
    let mut places = Vec::new();
    pointers(&document, "", &mut places);
    (select(places), any_json()).prop_map(move |(place, value)| {
        let mut document = document.clone();
        *document.pointer_mut(&place).unwrap() = value;
        document
    })
}

fn taken_or_refused<T: DeserializeOwned>(event: &Value) {
    if let Err(error) = decode::<T>(event.clone()) {
        assert_eq!(error.code(), ErrorCode::InvalidInput);
    }
}

fn events() -> Vec<Value> {
    let table = json!({
        "table": "dbo.t", "columns": ["id"], "format": { "csv": { "header": false } }, "timestamps": "ns",
        "tracking": { "watermark": { "column": "v", "settle_seconds": 5, "clock": "local", "null_watermark": "skip" } },
        "watermark_name": "w",
    });
    let watermark = json!({ "type": "int", "value": "1" });
    let looked_up = json!({
        "spec": table, "stored": { "store_type": "int", "value": "1" },
        "committed": { "window": "initial", "new_watermark": watermark },
    });
    vec![
        json!({ "run_id": "r", "tables": [table], "dry_run": true }),
        json!({ "run_id": "r", "tables": [looked_up], "dry_run": false }),
        json!({ "run_id": "r", "table": "dbo.t", "window": "1", "slice": 0, "dry_run": false }),
        json!({ "run_id": "r", "table": "dbo.t", "window": "1" }),
    ]
}

fn name() -> impl Strategy<Value = Identifier> {
    NAME.prop_map(|name| Identifier::new(name).unwrap())
}

fn object_name() -> impl Strategy<Value = ObjectName> {
    (name(), name()).prop_map(|(schema, name)| format!("{}.{}", schema.quoted(), name.quoted()).parse().unwrap())
}

fn table_spec() -> impl Strategy<Value = Value> {
    let formats = [
        json!("csv"),
        json!("jsonl"),
        json!({ "csv": { "null": "\\N", "quote": "none", "fraction_digits": 7, "line_end": "\r\n" } }),
        json!({ "jsonl": { "compression": "gzip" } }),
        json!({ "parquet": { "compression_level": 3 } }),
    ];
    (
        object_name(),
        name(),
        0..=86_400_u32,
        select(vec!["utc", "local"]),
        select(vec!["skip", "first_load"]),
        select(formats.to_vec()),
        prop::option::of(prop::collection::btree_set(name(), 1..4)),
        prop::option::of("(?s:.{1,30})"),
    )
        .prop_map(
            |(table, column, settle, clock, nulls, format, columns, watermark_name)| {
                let mut spec = json!({
                    "table": table, "format": format,
                    "tracking": { "watermark": {
                        "column": column, "settle_seconds": settle, "clock": clock, "null_watermark": nulls,
                    } },
                });
                if let Some(columns) = columns {
                    spec["columns"] = json!(columns);
                }
                if let Some(name) = watermark_name {
                    spec["watermark_name"] = json!(name);
                }
                spec
            },
        )
}

/// Every type a watermark can have.
fn watermark_type() -> impl Strategy<Value = SqlType> {
    prop_oneof![
        select(vec![
            SqlType::TinyInt,
            SqlType::SmallInt,
            SqlType::Int,
            SqlType::BigInt,
            SqlType::Date,
            SqlType::SmallDateTime,
            SqlType::DateTime,
            SqlType::RowVersion,
        ]),
        (0..=7_u8).prop_map(SqlType::DateTime2),
        (0..=7_u8).prop_map(SqlType::DateTimeOffset),
        (1..=38_u8)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| SqlType::Decimal { precision, scale }),
    ]
}

/// A value of the type in its canonical text, made without the code that reads it.
fn canonical(sql_type: SqlType) -> BoxedStrategy<String> {
    let day = |years: std::ops::RangeInclusive<u32>| {
        // A day that every month has.
        (years, 1..=12_u32, 1..=28_u32).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
    };
    let clock = || (0..24_u32, 0..60_u32, 0..60_u32).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
    let fraction = |digits: u8| {
        (0..10_u32.pow(digits.into())).prop_map(move |units| match digits {
            0 => String::new(),
            _ => format!(".{units:0width$}", width = usize::from(digits)),
        })
    };
    match sql_type {
        SqlType::TinyInt => any::<u8>().prop_map(|value| value.to_string()).boxed(),
        SqlType::SmallInt => any::<i16>().prop_map(|value| value.to_string()).boxed(),
        SqlType::Int => any::<i32>().prop_map(|value| value.to_string()).boxed(),
        SqlType::BigInt => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        SqlType::Decimal { precision, scale } => {
            (any::<bool>(), prop::collection::vec(0..10_u8, usize::from(precision)))
                .prop_map(move |(negative, digits)| {
                    let (whole, fraction) = digits.split_at(usize::from(precision - scale));
                    let text = |digits: &[u8]| digits.iter().map(u8::to_string).collect::<String>();
                    let whole = text(whole).trim_start_matches('0').to_owned();
                    let whole = if whole.is_empty() { "0".to_owned() } else { whole };
                    let sign = if negative && digits.iter().any(|&digit| digit > 0) {
                        "-"
                    } else {
                        ""
                    };
                    match scale {
                        0 => format!("{sign}{whole}"),
                        _ => format!("{sign}{whole}.{}", text(fraction)),
                    }
                })
                .boxed()
        }
        SqlType::RowVersion => any::<u64>().prop_map(|value| format!("0x{value:016X}")).boxed(),
        SqlType::Date => day(1..=9999).boxed(),
        SqlType::SmallDateTime => (day(1900..=2078), 0..24_u32, 0..60_u32)
            .prop_map(|(day, h, m)| format!("{day}T{h:02}:{m:02}:00"))
            .boxed(),
        SqlType::DateTime => (day(1753..=9999), clock(), 0..300_u32)
            .prop_map(|(day, clock, ticks)| format!("{day}T{clock}.{:03}", (ticks * 10 + 1) / 3))
            .boxed(),
        SqlType::DateTime2(digits) => (day(1..=9999), clock(), fraction(digits))
            .prop_map(|(day, clock, fraction)| format!("{day}T{clock}{fraction}"))
            .boxed(),
        SqlType::DateTimeOffset(digits) => (day(1..=9999), clock(), fraction(digits))
            .prop_map(|(day, clock, fraction)| format!("{day}T{clock}{fraction}Z"))
            .boxed(),
        other => panic!("{other} is no type of a watermark"),
    }
}

fn typed_watermark() -> impl Strategy<Value = (SqlType, String)> {
    watermark_type().prop_flat_map(|sql_type| (Just(sql_type), canonical(sql_type)))
}

fn watermark() -> impl Strategy<Value = Watermark> {
    typed_watermark().prop_map(|(sql_type, text)| Watermark::new(sql_type, &text).unwrap())
}

/// What a percent-encoded segment means, or nothing if it is none.
fn decoded(segment: &str) -> Option<Vec<String>> {
    let part = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'%' => {
                    let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                    bytes.push(u8::from_str_radix(digits, 16).ok()?);
                    rest = &rest[2..];
                }
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => bytes.push(byte),
                _ => return None,
            }
        }
        String::from_utf8(bytes).ok()
    };
    segment.split('.').map(part).collect()
}

/// A statement without what is in brackets, as SQL Server reads them: `]]` is a bracket in the name.
fn without_names(sql: &str) -> String {
    let mut outside = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('[') {
        outside.push_str(before);
        outside.push_str("[]");
        rest = after;
        loop {
            let (_, after) = rest
                .split_once(']')
                .unwrap_or_else(|| panic!("{sql} leaves a bracket open"));
            rest = after;
            match rest.strip_prefix(']') {
                Some(after) => rest = after,
                None => break,
            }
        }
    }
    outside + rest
}

fn column(sql_type: SqlType) -> impl Strategy<Value = Column> {
    NAME.prop_map(move |name| Column {
        name,
        sql_type,
        nullable: true,
    })
}

prop_compose! {
    fn sink()(
        secret_arn in "(?s:.{1,30})",
        table in prop::option::of(object_name()),
        keys in prop::collection::vec(name(), 0..3),
        procedure in prop::option::of((object_name(), object_name())),
    ) -> SinkSpec {
        let (procedure, table_type) = procedure.unzip();
        SinkSpec::SqlServer(SqlServerSink { secret_arn, table, keys, procedure, table_type })
    }
}

prop_compose! {
    fn plan()(
        table in object_name(),
        new_watermark in watermark(),
        columns in prop::collection::vec(column(SqlType::Int), 1..4),
        tracked in name(),
        watermark_name in prop::option::of("(?s:.{1,30})"),
        sink in prop::option::of(sink()),
        run_id in "(?s:.{0,30})",
        slices in 1..3_usize,
        guarded: bool,
        superseded: bool,
        seed in prop::option::of(watermark()),
    ) -> Plan {
        let interval = Interval { table: &table, column: &tracked, old: None, new: &new_watermark, with_nulls: true, key: None, filter: None };
        let key = superseded.then(|| KeyBounds { above: seed.clone(), ..KeyBounds::all(tracked.clone()) });
        let bounds = SliceBounds { old: seed.clone(), new: Some(new_watermark.clone()), key };
        let slice = Slice { query: interval.rows(&columns), guard: guarded.then(|| interval.count()), bounds: Some(bounds) };
        let other = superseded.then(|| WindowName::reinit(&WindowName::after(&new_watermark)));
        Plan {
            version: VERSION,
            window: WindowName::initial(),
            tracking: serde_json::from_value(json!({ "watermark": { "column": tracked } })).unwrap(),
            old_watermark: None,
            format: Format::default(),
            timestamps: Default::default(),
            filter: guarded.then(|| "a = 1".to_owned().try_into().unwrap()),
            layout: Default::default(),
            schema: tidemark::schema::fingerprint(&columns),
            slices: vec![slice; slices],
            count: (!guarded).then(|| interval.count()),
            tracked_since: seed.clone(),
            seed,
            supersedes: other.clone(),
            superseded_by: other,
            watermark_name,
            sink,
            run_id,
            created_at: "2026-01-01T00:00:00Z".into(),
            table: table.clone(),
            new_watermark: new_watermark.clone(),
            columns,
        }
    }
}

prop_compose! {
    fn staged()(key in "(?s:.{1,30})", upload_id in ".{1,30}", token in "[a-f0-9-]{36}", bytes: u64, pieces in 1..4_u32) -> StagedObject {
        let piece = |number| StagedPiece { number, etag: format!("\"{token}\""), crc64nvme: "AAAAAAAAAAA=".into() };
        StagedObject {
            pieces: (1..=pieces).map(piece).collect(),
            crc64nvme: "AAAAAAAAAAA=".into(),
            key, upload_id, token: token.clone(), bytes,
        }
    }
}

prop_compose! {
    fn slice_id()(number: u32, within in prop::collection::vec(any::<u32>(), 0..SliceId::MAX_DEPTH)) -> SliceId {
        let planned = SliceId::planned(number);
        within.into_iter().fold(planned, |id, number| id.sub_slice(number).unwrap())
    }
}

prop_compose! {
    fn record()(
        from in watermark(), slice in slice_id(), attempt: u32, rows: u64, staged in prop::option::of(staged()), plan in plan(), split: bool,
    ) -> PartRecord {
        let window = WindowName::after(&from);
        let superseded_by = staged.is_none().then(|| WindowName::reinit(&window));
        let record = PartRecord::new(window, slice, attempt, "r".into());
        if split {
            record.split_into(plan.slices)
        } else {
            PartRecord { rows, staged, superseded_by, ..record }
        }
    }
}

fn manifest_of(plan: Plan, staged: Option<StagedObject>) -> Manifest {
    let parts = staged.map(|staged| ManifestPart {
        slice: "0.1".parse().unwrap(),
        key: staged.key,
        rows: staged.bytes,
        bytes: staged.bytes,
        etag: staged.upload_id,
        crc64nvme: staged.crc64nvme,
    });
    Manifest {
        version: VERSION,
        window: plan.window,
        old_watermark: plan.old_watermark,
        columns: plan.columns,
        schema: plan.schema,
        format: plan.format,
        sink: plan.sink,
        rows: 1,
        bytes: u64::MAX,
        late_rows: None,
        seed: plan.seed,
        superseded_by: plan.superseded_by,
        run_id: plan.run_id,
        committed_at: plan.created_at,
        table: plan.table,
        new_watermark: plan.new_watermark,
        parts: parts.into_iter().collect(),
    }
}

/// What the ledger makes of `body` where a plan should be.
fn read_plan(table: &ObjectName, body: &[u8]) -> Result<Option<Plan>, ErrorCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::default();
        let (ledger, window) = (Ledger::new(&store, "p", table), WindowName::initial());
        let key = ledger.keys().plan(&window);
        store.create(&key, Bytes::copy_from_slice(body)).await.unwrap();
        ledger.plan(&window).await.map_err(|error| error.code())
    })
}

proptest! {
    #[test]
    fn any_event_is_taken_or_refused_as_one(event in any_json(), near in select(events()).prop_flat_map(disturbed)) {
        for event in [&event, &near] {
            taken_or_refused::<lookup_old_watermark::Request>(event);
            taken_or_refused::<lookup_new_watermark::Request>(event);
            taken_or_refused::<copy_delta::Request>(event);
            taken_or_refused::<update_watermark::Request>(event);
        }
    }

    #[test]
    fn a_tables_settings_read_back(json in table_spec()) {
        let spec: TableSpec = decode(json).unwrap();
        let written = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(&decode::<TableSpec>(written).unwrap(), &spec);
        // Names that are too long for a key are the only thing wrong with it.
        let short = spec.table.key_segment().len() < 700;
        prop_assert!(spec.check().is_ok() || !short);
    }

    #[test]
    fn any_text_is_a_watermark_in_one_form_or_none(sql_type in watermark_type(), text in NEAR_WATERMARK) {
        if let Ok(watermark) = Watermark::new(sql_type, &text) {
            prop_assert_eq!(&Watermark::new(sql_type, watermark.value()).unwrap(), &watermark);
            let json = serde_json::to_string(&watermark).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Watermark>(&json).unwrap(), &watermark);
            let window = WindowName::after(&watermark);
            prop_assert_eq!(&WindowName::try_from(window.to_string()).unwrap(), &window);
        }
    }

    #[test]
    fn any_value_of_a_watermark_keeps_its_text((sql_type, text) in typed_watermark()) {
        let watermark = Watermark::new(sql_type, &text).unwrap();
        prop_assert_eq!(watermark.value(), text.as_str());
        let json = serde_json::to_value(&watermark).unwrap();
        prop_assert_eq!(&json, &json!({ "type": sql_type.to_string(), "value": text }));
        prop_assert_eq!(serde_json::from_value::<Watermark>(json).unwrap(), watermark);
    }

    #[test]
    fn different_watermarks_begin_different_windows(
        (one, other) in watermark_type().prop_flat_map(|sql_type| {
            (canonical(sql_type), canonical(sql_type)).prop_map(move |(one, other)| {
                let read = |text: &str| Watermark::new(sql_type, text).unwrap();
                (read(&one), read(&other))
            })
        })
    ) {
        prop_assert_eq!(one == other, WindowName::after(&one) == WindowName::after(&other));
    }

    #[test]
    fn a_window_is_named_safely_whatever_a_store_holds(text in "(?s:.{0,60})") {
        let named = WindowName::after_text(&text).to_string();
        prop_assert!(named.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)), "{}", named);
        if let Ok(window) = WindowName::try_from(text.clone()) {
            prop_assert_eq!(window.as_str(), text.as_str());
        }
    }

    #[test]
    fn any_text_is_a_type_or_none(text in "(?s:[a-z0-9(), ]{0,20}|(decimal|datetime2|varchar|char|time)\\([0-9,a-z]{0,7}\\)|.{0,12})") {
        if let Ok(sql_type) = text.parse::<SqlType>() {
            prop_assert_eq!(sql_type.to_string().parse::<SqlType>().unwrap(), sql_type);
            prop_assert_eq!(StoreType::try_from(sql_type.to_string()).unwrap(), StoreType::Typed(sql_type));
        }
    }

    #[test]
    fn any_text_is_a_table_or_none(text in NEAR_NAME) {
        match text.parse::<ObjectName>() {
            Ok(name) => prop_assert_eq!(&name.to_string().parse::<ObjectName>().unwrap(), &name),
            Err(error) => prop_assert_eq!(error.code(), ErrorCode::InvalidInput),
        }
    }

    #[test]
    fn a_tables_folder_is_safe_and_its_own(one in object_name(), other in object_name(), prefix in "(?s:[a-z/]{0,10}|.{0,10})") {
        let segment = one.key_segment();
        let parts = [one.schema(), one.name()].map(|part| part.as_str().to_owned());
        prop_assert_eq!(decoded(&segment), Some(parts.to_vec()));
        let folder = |table| Keys::new(&prefix, table).windows().trim_end_matches("window=").to_owned();
        let (a, b) = (folder(&one), folder(&other));
        prop_assert_eq!(one == other, a.starts_with(&b) || b.starts_with(&a));
    }

    #[test]
    fn a_window_has_keys_of_its_own(template in plan(), one in watermark(), other in watermark(), slice in slice_id(), attempt: u32) {
        let keys = Keys::new("p", &template.table);
        let next = SliceId::planned(slice.number().wrapping_add(1));
        let all = |watermark: &Watermark| {
            let window = WindowName::after(watermark);
            [
                keys.plan(&window),
                keys.manifest(&window),
                keys.part(&Plan { window: window.clone(), ..template.clone() }, &slice),
                keys.previous(&window),
                keys.part_record(&window, &slice, attempt),
                keys.part_record(&window, &slice, attempt.wrapping_add(1)),
                keys.part_record(&window, &next, attempt),
                keys.part_void(&window, &slice, attempt),
            ]
        };
        let (of_one, of_other) = (all(&one), all(&other));
        let mut distinct = of_one.to_vec();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), of_one.len());
        let same = WindowName::after(&one) == WindowName::after(&other);
        prop_assert_eq!(same, of_one.iter().any(|key| of_other.contains(key)));
        prop_assert!(of_one.iter().all(|key| key.is_ascii() && !key.contains("..") && !key.contains("//")));
    }

    #[test]
    fn no_name_gets_out_of_its_brackets(
        table in object_name(), tracked in name(), columns in prop::collection::vec(column(SqlType::Money), 2),
    ) {
        let bound = |value| Watermark::new(SqlType::Int, value).unwrap();
        let (old, new) = (bound("1"), bound("2"));
        let interval = Interval { table: &table, column: &tracked, old: Some(&old), new: &new, with_nulls: false, key: None, filter: None };
        prop_assert_eq!(
            without_names(&interval.rows(&columns).sql),
            "SELECT CAST([] AS decimal(19,4)) AS [], CAST([] AS decimal(19,4)) AS [] FROM [].[] \
             WHERE [] > CAST(@P1 AS int) AND [] <= CAST(@P2 AS int)"
        );
    }

    #[test]
    fn the_ledgers_documents_read_back(plan in plan(), record in record()) {
        let manifest = manifest_of(plan.clone(), record.staged.clone());
        let through = |json: Value| json.to_string();
        let plan_back: Plan = serde_json::from_str(&through(serde_json::to_value(&plan).unwrap())).unwrap();
        prop_assert_eq!(&plan_back, &plan);
        let record_back: PartRecord = serde_json::from_str(&through(serde_json::to_value(&record).unwrap())).unwrap();
        prop_assert_eq!(record_back, record);
        let manifest_back: Manifest = serde_json::from_str(&through(serde_json::to_value(&manifest).unwrap())).unwrap();
        prop_assert_eq!(manifest_back, manifest);
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
        if let Err(code) = read_plan(&plan.table, changed.to_string().as_bytes()) {
            prop_assert_eq!(code, ErrorCode::LedgerInvalid);
        }
    }
}

//! Tests how values of every type arrive in a sink table of the stand-in for SQL Server.

use std::sync::Arc;

use arrow_array::types::Decimal128Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_schema::{Field, Schema};
use tidemark::model::names::Identifier;
use tidemark::model::sink::SqlServerSink;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::value_text::{DAY_TICKS, UNIX_EPOCH_DAYS};
use tidemark::model::values::Values;
use tidemark::ports::sink_table::{MergeRows, Merged, Newest, SliceToMerge, StagedRows};
use tidemark_sandbox::{Options, Sandbox};

use super::SinkServer;
use crate::login::Login;
use crate::statements::staging::StagedColumn;
use crate::types::SqlType;

fn sink_of(sandbox: &Sandbox) -> SinkServer {
    SinkServer::new(Login::of_stand_in(sandbox))
}

fn column(name: &str, sql_type: &str, form: Form) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: TypeName::new(sql_type).unwrap(),
        form,
        nullable: true,
        values: Values::OfSource,
    }
}

fn ticks(days: i64, ticks: i64) -> i64 {
    days * DAY_TICKS + ticks
}

fn with_offset(days: i64, of_day: i64, offset: i16) -> Vec<u8> {
    [&ticks(days, of_day).to_le_bytes()[..], &offset.to_le_bytes()].concat()
}

/// Merges rows that are numbered from 0 and have one more column into the table `t`.
async fn merged(sandbox: &Sandbox, sql_type: &str, form: Form, values: ArrayRef) -> Merged {
    let columns = [column("id", "int", Form::Int32), column("v", sql_type, form)];
    let sink: SqlServerSink = serde_json::from_str(r#"{"secret_arn": "arn"}"#).unwrap();
    let id = Identifier::new("id").unwrap();
    let slice = SliceToMerge {
        source: &"t".parse().unwrap(),
        sink: &sink,
        columns: &columns,
        newest: Newest::Watermark(&id),
    };
    let mut staged = sink_of(sandbox)
        .stage(&slice)
        .await
        .unwrap_or_else(|failure| panic!("{sql_type}: {failure:?}"));
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(values.len()).unwrap()));
    let fields: Vec<_> = [&ids, &values]
        .iter()
        .zip(&columns)
        .map(|(array, column)| Field::new(&column.name, array.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids, values]).unwrap();
    staged
        .load(batch)
        .await
        .unwrap_or_else(|failure| panic!("{sql_type}: {failure:?}"));
    staged.lock().await.unwrap();
    let merged = staged
        .merge()
        .await
        .unwrap_or_else(|failure| panic!("{sql_type}: {failure:?}"));
    staged.release().await;
    merged
}

/// Returns the only number of a statement's answer.
fn number(sandbox: &Sandbox, statement: &str) -> u64 {
    let answer = sandbox.execute(statement);
    let answer = answer.unwrap_or_else(|error| panic!("{statement}: {error}"));
    answer[0].rows[0][0].as_deref().unwrap().parse().unwrap()
}

/// Returns the number of rows with the value of this literal.
fn rows_with(sandbox: &Sandbox, literal: &str) -> u64 {
    let condition = match literal {
        "NULL" => "[v] IS NULL".to_owned(),
        _ => format!("[v] = {literal}"),
    };
    number(sandbox, &format!("SELECT COUNT_BIG(*) FROM [t] WHERE {condition}"))
}

type Case = (&'static str, Form, ArrayRef, Vec<&'static str>);

fn numbers() -> Vec<Case> {
    [integers_and_floats(), exact_numbers()].concat()
}

fn integers_and_floats() -> Vec<Case> {
    vec![
        (
            "bit",
            Form::Bool,
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            vec!["1", "NULL"],
        ),
        (
            "tinyint",
            Form::Int16,
            Arc::new(Int32Array::from(vec![Some(255), Some(0), None])),
            vec!["255", "0", "NULL"],
        ),
        (
            "smallint",
            Form::Int16,
            Arc::new(Int32Array::from(vec![-32_768])),
            vec!["-32768"],
        ),
        (
            "bigint",
            Form::Int64,
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            vec!["9223372036854775807", "NULL"],
        ),
        (
            "real",
            Form::Float32,
            Arc::new(Float32Array::from(vec![Some(0.5), None])),
            vec!["0.5", "NULL"],
        ),
        (
            "float",
            Form::Float64,
            Arc::new(Float64Array::from(vec![Some(-0.1), None])),
            vec!["-1e-1", "NULL"],
        ),
    ]
}

fn exact_numbers() -> Vec<Case> {
    let decimal = |precision: u8, scale: u8, values: Vec<Option<i128>>| -> (Form, ArrayRef) {
        let array = PrimitiveArray::<Decimal128Type>::from(values)
            .with_precision_and_scale(precision, scale.cast_signed())
            .unwrap();
        (Form::Decimal { precision, scale }, Arc::new(array))
    };
    let (widest, widest_values) = decimal(38, 10, vec![Some(10_i128.pow(38) - 1), Some(1 - 10_i128.pow(38)), None]);
    let (narrow, narrow_values) = decimal(9, 0, vec![Some(-999_999_999), Some(0)]);
    let (money, money_values) = decimal(
        19,
        4,
        vec![Some(i64::MAX.into()), Some(i64::MIN.into()), Some(-1), None],
    );
    let (small, small_values) = decimal(10, 4, vec![Some(i32::MIN.into()), Some(i32::MAX.into())]);
    vec![
        (
            "decimal(38,10)",
            widest,
            widest_values,
            vec![
                "9999999999999999999999999999.9999999999",
                "-9999999999999999999999999999.9999999999",
                "NULL",
            ],
        ),
        ("decimal(9,0)", narrow, narrow_values, vec!["-999999999", "0"]),
        (
            "money",
            money,
            money_values,
            vec![
                "CAST('922337203685477.5807' AS money)",
                "CAST('-922337203685477.5808' AS money)",
                "CAST('-0.0001' AS money)",
                "NULL",
            ],
        ),
        (
            "smallmoney",
            small,
            small_values,
            vec![
                "CAST('-214748.3648' AS smallmoney)",
                "CAST('214748.3647' AS smallmoney)",
            ],
        ),
    ]
}

fn moments() -> Vec<Case> {
    [days_and_times_of_day(), points_in_time()].concat()
}

fn days_and_times_of_day() -> Vec<Case> {
    let last_tick = DAY_TICKS - 1;
    vec![
        (
            "date",
            Form::Date,
            Arc::new(Date32Array::from(vec![Some(-719_162), Some(2_932_896), None])),
            vec!["'0001-01-01'", "'9999-12-31'", "NULL"],
        ),
        (
            "time(7)",
            Form::TimeTicks(7),
            Arc::new(Int64Array::from(vec![Some(last_tick), Some(0), None])),
            vec!["'23:59:59.9999999'", "'00:00:00.0000000'", "NULL"],
        ),
        (
            "time(3)",
            Form::TimeTicks(3),
            Arc::new(Int64Array::from(vec![10_000])),
            vec!["'00:00:00.001'"],
        ),
        (
            "time(0)",
            Form::TimeTicks(0),
            Arc::new(Int64Array::from(vec![86_399 * 10_000_000])),
            vec!["'23:59:59'"],
        ),
    ]
}

fn points_in_time() -> Vec<Case> {
    let last_tick = DAY_TICKS - 1;
    let offsets = |values: Vec<Option<Vec<u8>>>| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 10).unwrap())
    };
    vec![
        (
            "smalldatetime",
            Form::Ticks(0),
            Arc::new(Int64Array::from(vec![
                Some(ticks(693_595, 0)),
                Some(ticks(693_595 + 65_535, 1_439 * 600_000_000)),
                None,
            ])),
            vec![
                "CAST('1900-01-01T00:00:00' AS smalldatetime)",
                "CAST('2079-06-06T23:59:00' AS smalldatetime)",
                "NULL",
            ],
        ),
        (
            "datetime",
            Form::Ticks(3),
            Arc::new(Int64Array::from(vec![
                Some(ticks(693_595 - 53_690, 30_000)),
                Some(ticks(3_652_058, 863_999_970_000)),
                None,
            ])),
            vec![
                "CAST('1753-01-01T00:00:00.003' AS datetime)",
                "CAST('9999-12-31T23:59:59.997' AS datetime)",
                "NULL",
            ],
        ),
        (
            "datetime2(7)",
            Form::Ticks(7),
            Arc::new(Int64Array::from(vec![Some(0), Some(ticks(3_652_058, last_tick)), None])),
            vec!["'0001-01-01T00:00:00.0000000'", "'9999-12-31T23:59:59.9999999'", "NULL"],
        ),
        (
            "datetime2(0)",
            Form::Ticks(0),
            Arc::new(Int64Array::from(vec![ticks(UNIX_EPOCH_DAYS, 0)])),
            vec!["'1970-01-01T00:00:00'"],
        ),
        (
            "datetimeoffset(7)",
            Form::TicksAndOffset(7),
            offsets(vec![Some(with_offset(UNIX_EPOCH_DAYS, 1, -570)), None]),
            vec![
                "CAST('1969-12-31 14:30:00.0000001 -09:30' AS datetimeoffset(7))",
                "NULL",
            ],
        ),
        (
            "datetimeoffset(2)",
            Form::TicksAndOffset(2),
            offsets(vec![Some(with_offset(UNIX_EPOCH_DAYS, 100_000, 840))]),
            vec!["CAST('1970-01-01 14:00:00.01 +14:00' AS datetimeoffset(2))"],
        ),
    ]
}

fn texts_and_bytes() -> Vec<Case> {
    let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let bytes = |values: Vec<Option<&[u8]>>| -> ArrayRef { Arc::new(BinaryArray::from(values)) };
    let guid = [
        0x6F, 0x96, 0x19, 0xFF, 0x8B, 0x86, 0xD0, 0x11, 0xB4, 0x2D, 0, 0xC0, 0x4F, 0xC9, 0x64, 0xFF,
    ];
    let guids = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(guid), None].into_iter(), 16).unwrap();
    vec![
        (
            "uniqueidentifier",
            Form::Uuid,
            Arc::new(guids),
            vec![
                "CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)",
                "NULL",
            ],
        ),
        (
            "char(3)",
            Form::Text,
            text(vec![Some("ab "), None]),
            vec!["'ab '", "NULL"],
        ),
        (
            "varchar(10)",
            Form::Text,
            text(vec![Some("caf\u{e9}"), Some("")]),
            vec!["N'café'", "''"],
        ),
        ("nchar(2)", Form::Text, text(vec![Some("é ")]), vec!["N'é '"]),
        (
            "nvarchar(4000)",
            Form::Text,
            text(vec![Some("😀"), Some(""), None]),
            vec!["N'😀'", "''", "NULL"],
        ),
        (
            "varchar(max)",
            Form::Text,
            text(vec![Some("x"), None]),
            vec!["'x'", "NULL"],
        ),
        (
            "nvarchar(max)",
            Form::Text,
            text(vec![Some("é"), Some("")]),
            vec!["N'é'", "N''"],
        ),
        (
            "binary(3)",
            Form::Binary,
            bytes(vec![Some(&[0, 1, 0xFF]), None]),
            vec!["0x0001FF", "NULL"],
        ),
        (
            "varbinary(8)",
            Form::Binary,
            bytes(vec![Some(&[0]), Some(&[])]),
            vec!["0x00", "0x"],
        ),
        (
            "varbinary(max)",
            Form::Binary,
            bytes(vec![Some(&[1, 2]), Some(&[]), None]),
            vec!["0x0102", "0x", "NULL"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_merged_exactly_and_again_without_a_change() {
    for (sql_type, form, values, literals) in [numbers(), moments(), texts_and_bytes()].into_iter().flatten() {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        let create = format!("CREATE TABLE [t] ([id] int NOT NULL PRIMARY KEY, [v] {sql_type} NULL)");
        sandbox.execute(&create).unwrap();
        let rows = values.len() as u64;
        for (inserted, updated) in [(rows, 0), (0, rows)] {
            let merged = merged(&sandbox, sql_type, form, values.clone()).await;
            assert_eq!((merged.inserted, merged.updated), (inserted, updated), "{sql_type}");
        }
        for literal in literals {
            assert_eq!(rows_with(&sandbox, literal), 1, "{sql_type} {literal}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_types_documents_and_row_versions_are_merged_as_what_they_hold() {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let bytes = |value: &[u8]| -> ArrayRef { Arc::new(BinaryArray::from(vec![value])) };
    let cases = [
        (
            "text",
            "text",
            Form::Text,
            text("caf\u{e9}"),
            "CAST([v] AS nvarchar(max)) = N'café'",
        ),
        (
            "ntext",
            "ntext",
            Form::Text,
            text("😀"),
            "CAST([v] AS nvarchar(max)) = N'😀'",
        ),
        (
            "image",
            "image",
            Form::Binary,
            bytes(&[0, 0xFF]),
            "CAST([v] AS varbinary(max)) = 0x00FF",
        ),
        (
            "xml",
            "xml",
            Form::Text,
            text("<a> <b/></a>"),
            "CAST([v] AS nvarchar(max)) = N'<a> <b/></a>'",
        ),
        (
            "rowversion",
            "binary(8)",
            Form::RowVersion,
            bytes(&[0, 0, 0, 0, 0, 0, 7, 0xD1]),
            "[v] = 0x00000000000007D1",
        ),
    ];
    for (source, sink, form, values, condition) in cases {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        let create = format!("CREATE TABLE [t] ([id] int NOT NULL PRIMARY KEY, [v] {sink} NULL)");
        sandbox.execute(&create).unwrap();
        merged(&sandbox, source, form, values).await;
        let found = number(&sandbox, &format!("SELECT COUNT_BIG(*) FROM [t] WHERE {condition}"));
        assert_eq!(found, 1, "{source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_many_packets_and_floats_across_their_borders_arrive() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    for sql_type in ["nvarchar(max)", "varbinary(max)"] {
        sandbox
            .execute(&format!(
                "DROP TABLE IF EXISTS [t]; CREATE TABLE [t] ([id] int NOT NULL PRIMARY KEY, [v] {sql_type} NULL)"
            ))
            .unwrap();
        let sizes = [70_000_usize, 16_375, 16_376, 16_377, 1_000_000];
        let (form, values): (_, ArrayRef) = if sql_type == "nvarchar(max)" {
            let values = sizes.map(|size| "x".repeat(size));
            (Form::Text, Arc::new(StringArray::from_iter_values(values)))
        } else {
            let values = sizes.map(|size| vec![0xEF; size]);
            (Form::Binary, Arc::new(BinaryArray::from_iter_values(values)))
        };
        merged(&sandbox, sql_type, form, values).await;
        for (id, size) in sizes.into_iter().enumerate() {
            let bytes = size * if form == Form::Text { 2 } else { 1 };
            let length = number(&sandbox, &format!("SELECT DATALENGTH([v]) FROM [t] WHERE [id] = {id}"));
            assert_eq!(length, bytes as u64, "{sql_type}");
        }
    }
    sandbox
        .execute("DROP TABLE [t]; CREATE TABLE [t] ([id] int NOT NULL PRIMARY KEY, [v] float NULL)")
        .unwrap();
    // Rows of 15 bytes reach the end of a packet with every possible remainder.
    let values = Float64Array::from_iter_values((0..40_000).map(|number| f64::from(number) + 0.5));
    merged(&sandbox, "float", Form::Float64, Arc::new(values)).await;
    let right = number(
        &sandbox,
        "SELECT COUNT(*) FROM [t] WHERE [v] = [id] + CAST(0.5 AS float)",
    );
    assert_eq!(right, 40_000);
}

#[test]
fn a_type_is_staged_as_what_holds_it_exactly() {
    let cases = [
        ("smalldatetime", "datetime", "smalldatetime"),
        ("time(0)", "time(3)", "time(0)"),
        ("datetimeoffset(2)", "datetimeoffset(2)", "datetimeoffset(2)"),
        ("datetime2(3)", "datetime2(7)", "datetime2(3)"),
        ("datetime", "datetime", "datetime"),
        ("date", "date", "date"),
        ("smallmoney", "money", "smallmoney"),
        ("decimal(38,10)", "decimal(38,10)", "decimal(38,10)"),
        ("rowversion", "binary(8)", "binary(8)"),
        ("char(4)", "char(4)", "nvarchar(4)"),
        ("varchar(5)", "nvarchar(4000)", "nvarchar(4000)"),
        ("varchar(8000)", "varchar(8000)", "nvarchar(max)"),
        ("nvarchar(max)", "nvarchar(max)", "nvarchar(max)"),
        ("xml", "xml", "nvarchar(max)"),
        ("ntext", "ntext", "nvarchar(max)"),
        ("varbinary(8000)", "varbinary(max)", "varbinary(8000)"),
        ("varbinary(max)", "varbinary(max)", "varbinary(max)"),
        ("image", "image", "varbinary(max)"),
        ("hierarchyid", "hierarchyid", "varbinary(max)"),
    ];
    for (source, sink, expected) in cases {
        let of = |name: &str| SqlType::of(&TypeName::new(name).unwrap()).unwrap();
        let staged = StagedColumn::new(of(source), of(sink), None);
        assert_eq!(staged.sql_type.to_string(), expected, "{source} into {sink}");
    }
}

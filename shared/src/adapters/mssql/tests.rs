//! Reading from the wire, every type at its edges, and what goes wrong on the way.

use arrow_array::RecordBatch;

use super::replay::{
    Answer, LATIN1, Replay, UTF8, characters, chunked, columns, done, end, error, long, row, short, utf16,
};
use super::*;
use crate::encode::Encoder;
use crate::format::{CsvOptions, Format, Timestamps};
use crate::types::Column;

#[derive(Default)]
struct Collected {
    batches: Vec<RecordBatch>,
    fails: bool,
}

impl BatchSink for Collected {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if self.fails {
            return Err(Error::new(ErrorCode::SinkUnavailable, "full"));
        }
        self.batches.push(batch);
        Ok(())
    }
}

pub fn options(port: u16) -> MssqlOptions {
    MssqlOptions {
        host: "127.0.0.1".to_owned(),
        port,
        database: "db".to_owned(),
        username: "reader".to_owned(),
        password: "hunter2".to_owned(),
        tls: Tls::Off,
        connect_timeout_secs: 5,
    }
}

fn query() -> Query {
    Query {
        sql: "SELECT [a] FROM [dbo].[t] WHERE [a] > CAST(@P1 AS int)".to_owned(),
        parameters: vec!["42".to_owned(), "ü".to_owned()],
    }
}

fn column(name: &str, sql_type: &str) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: sql_type.parse().unwrap(),
        nullable: true,
    }
}

fn csv() -> Format {
    Format::Csv(CsvOptions {
        header: false,
        null: "NULL".to_owned(),
        ..CsvOptions::default()
    })
}

fn answer(head: Vec<u8>, tail: Vec<u8>, hangs_up: bool) -> Replay {
    Replay::start(Answer::Tokens {
        head,
        block: Vec::new(),
        times: 0,
        tail,
        hangs_up,
    })
}

/// Reads a result of one column and gives each value's CSV form.
async fn read_one(sql_type: &str, type_info: Vec<u8>, values: Vec<Vec<u8>>) -> Result<Vec<String>> {
    let mut head = columns(&[("a", type_info)]);
    let count = values.len() as u64;
    for value in values {
        head.extend(row(&[value]));
    }
    let server = answer(head, end(count), false);
    let shape = Shape::new(&[column("a", sql_type)], &csv(), Timestamps::Us)?;
    let mut sink = Collected::default();
    let rows = MssqlRows::new(options(server.port))
        .read(&query(), &shape, &mut sink)
        .await?;
    assert_eq!(rows, count);
    let mut encoder = Encoder::new(&shape, &csv())?;
    for batch in &sink.batches {
        encoder.write(batch)?;
    }
    let text = String::from_utf8(encoder.finish()?.bytes).unwrap();
    Ok(text.lines().map(str::to_owned).collect())
}

fn decimal(precision: u8, scale: u8, unscaled: &str) -> Vec<u8> {
    let unscaled: i128 = unscaled.parse().unwrap();
    let width = match precision {
        ..=9 => 4,
        10..=19 => 8,
        20..=28 => 12,
        _ => 16,
    };
    assert!(scale <= precision);
    let mut bytes = vec![u8::from(unscaled >= 0)];
    bytes.extend(&unscaled.unsigned_abs().to_le_bytes()[..width]);
    short(&bytes)
}

fn money(value: i64) -> Vec<u8> {
    let bytes = value.to_le_bytes();
    short(&[&bytes[4..], &bytes[..4]].concat())
}

fn datetime(days: i32, ticks: u32) -> Vec<u8> {
    short(&[days.to_le_bytes(), ticks.to_le_bytes()].concat())
}

fn moment(time: u64, time_bytes: usize, days: u32) -> Vec<u8> {
    [&time.to_le_bytes()[..time_bytes], &days.to_le_bytes()[..3]].concat()
}

#[tokio::test]
async fn every_type_arrives_exactly() {
    let last_tick = 863_999_999_999;
    let with_offset = |bytes: Vec<u8>, offset: i16| short(&[&bytes[..], &offset.to_le_bytes()].concat());
    let guid = [
        0xFF, 0x19, 0x96, 0x6F, 0x86, 0x8B, 0x11, 0xD0, 0xB4, 0x2D, 0, 0xC0, 0x4F, 0xC9, 0x64, 0xFF,
    ];
    let null = || short(&[]);
    type Case = (&'static str, Vec<u8>, Vec<(Vec<u8>, &'static str)>);
    let cases: Vec<Case> = vec![
        (
            "bit",
            vec![0x68, 1],
            vec![(short(&[1]), "1"), (short(&[0]), "0"), (null(), "NULL")],
        ),
        ("tinyint", vec![0x26, 1], vec![(short(&[255]), "255"), (null(), "NULL")]),
        (
            "smallint",
            vec![0x26, 2],
            vec![(short(&i16::MIN.to_le_bytes()), "-32768")],
        ),
        (
            "int",
            vec![0x26, 4],
            vec![(short(&i32::MIN.to_le_bytes()), "-2147483648"), (null(), "NULL")],
        ),
        ("int", vec![0x38], vec![(7_i32.to_le_bytes().to_vec(), "7")]),
        (
            "bigint",
            vec![0x26, 8],
            vec![(short(&i64::MAX.to_le_bytes()), "9223372036854775807")],
        ),
        ("real", vec![0x6D, 4], vec![(short(&0.1_f32.to_le_bytes()), "0.1")]),
        (
            "float",
            vec![0x6D, 8],
            vec![(short(&(-1e-300_f64).to_le_bytes()), "-1e-300"), (null(), "NULL")],
        ),
        (
            "decimal(38,10)",
            vec![0x6A, 17, 38, 10],
            vec![
                (
                    decimal(38, 10, "-99999999999999999999999999999999999999"),
                    "-9999999999999999999999999999.9999999999",
                ),
                (decimal(38, 10, "1"), "0.0000000001"),
                (null(), "NULL"),
            ],
        ),
        (
            "decimal(9,0)",
            vec![0x6C, 5, 9, 0],
            vec![(decimal(9, 0, "-999999999"), "-999999999")],
        ),
        (
            "money",
            vec![0x6E, 8],
            vec![
                (money(i64::MAX), "922337203685477.5807"),
                (money(i64::MIN), "-922337203685477.5808"),
                (money(-1), "-0.0001"),
            ],
        ),
        (
            "money",
            vec![0x6A, 9, 19, 4],
            vec![(decimal(19, 4, "9223372036854775807"), "922337203685477.5807")],
        ),
        (
            "smallmoney",
            vec![0x6E, 4],
            vec![(short(&i32::MIN.to_le_bytes()), "-214748.3648")],
        ),
        (
            "date",
            vec![0x28],
            vec![
                (short(&[0, 0, 0]), "0001-01-01"),
                (short(&3_652_058_u32.to_le_bytes()[..3]), "9999-12-31"),
            ],
        ),
        (
            "time(7)",
            vec![0x29, 7],
            vec![
                (short(&last_tick_bytes(last_tick)), "23:59:59.9999999"),
                (null(), "NULL"),
            ],
        ),
        (
            "time(0)",
            vec![0x29, 0],
            vec![(short(&86_399_u32.to_le_bytes()[..3]), "23:59:59")],
        ),
        (
            "smalldatetime",
            vec![0x6F, 4],
            vec![(short(&[0xFF, 0xFF, 0x9F, 0x05]), "2079-06-06 23:59:00")],
        ),
        (
            "datetime",
            vec![0x6F, 8],
            vec![
                (datetime(-53_690, 0), "1753-01-01 00:00:00.000"),
                (datetime(0, 1), "1900-01-01 00:00:00.003"),
                (datetime(0, 2), "1900-01-01 00:00:00.007"),
                (datetime(0, 3), "1900-01-01 00:00:00.010"),
                (datetime(2_958_463, 25_919_999), "9999-12-31 23:59:59.997"),
                (null(), "NULL"),
            ],
        ),
        (
            "datetime2(7)",
            vec![0x2A, 7],
            vec![
                (short(&moment(0, 5, 0)), "0001-01-01 00:00:00.0000000"),
                (short(&moment(last_tick, 5, 3_652_058)), "9999-12-31 23:59:59.9999999"),
            ],
        ),
        (
            "datetime2(3)",
            vec![0x2A, 3],
            vec![(short(&moment(1, 4, 0)), "0001-01-01 00:00:00.001")],
        ),
        (
            "datetimeoffset(7)",
            vec![0x2B, 7],
            vec![
                (
                    with_offset(moment(0, 5, 719_162), 840),
                    "1970-01-01 14:00:00.0000000 +14:00",
                ),
                (
                    with_offset(moment(0, 5, 719_162), -210),
                    "1969-12-31 20:30:00.0000000 -03:30",
                ),
                (null(), "NULL"),
            ],
        ),
        (
            "uniqueidentifier",
            vec![0x24, 16],
            vec![(short(&guid), "6F9619FF-8B86-D011-B42D-00C04FC964FF"), (null(), "NULL")],
        ),
        (
            "varchar(9)",
            characters(0xA7, 9, LATIN1),
            vec![
                (long(Some(b"caf\xE9 \x80")), "café €"),
                (long(Some(b"")), "\"\""),
                (long(Some(b"blank ")), "blank "),
                (long(None), "NULL"),
            ],
        ),
        (
            "varchar(9)",
            characters(0xA7, 9, UTF8),
            vec![
                (long(Some("é😀".as_bytes())), "é😀"),
                (long(Some(b"a\xFF")), "a\u{FFFD}"),
            ],
        ),
        (
            "nvarchar(9)",
            characters(0xE7, 18, LATIN1),
            vec![
                (long(Some(&utf16("aé😀"))), "aé😀"),
                (long(Some(&[0x3D, 0xD8, 0x41, 0])), "\u{FFFD}A"),
                (long(None), "NULL"),
            ],
        ),
        (
            "nvarchar(max)",
            characters(0xE7, 0xFFFF, LATIN1),
            vec![
                (chunked(&utf16("known"), true), "known"),
                (chunked(&utf16("unknown"), false), "unknown"),
                (chunked(b"", true), "\"\""),
                (vec![0xFF; 8], "NULL"),
            ],
        ),
        (
            "varbinary(9)",
            vec![0xA5, 9, 0],
            vec![
                (long(Some(&[0, 0xFF])), "0x00FF"),
                (long(Some(&[])), "0x"),
                (long(None), "NULL"),
            ],
        ),
        (
            "varbinary(max)",
            vec![0xA5, 0xFF, 0xFF],
            vec![(chunked(&[1, 2], true), "0x0102"), (vec![0xFF; 8], "NULL")],
        ),
        (
            "rowversion",
            vec![0xAD, 8, 0],
            vec![(long(Some(&2001_u64.to_be_bytes())), "0x00000000000007D1")],
        ),
        (
            "xml",
            vec![0xF1, 0],
            vec![
                (chunked(&[&[0xFF, 0xFE][..], &utf16("<a/>")].concat(), true), "<a/>"),
                (vec![0xFF; 8], "NULL"),
            ],
        ),
    ];
    for (sql_type, type_info, values) in cases {
        let (wire, expected): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let read = read_one(sql_type, type_info, wire).await;
        assert_eq!(
            read.unwrap_or_else(|error| panic!("{sql_type}: {}", error.report())),
            expected,
            "{sql_type}"
        );
    }
}

fn last_tick_bytes(ticks: u64) -> Vec<u8> {
    ticks.to_le_bytes()[..5].to_vec()
}

#[tokio::test]
async fn a_result_of_another_shape_is_refused_by_name_before_any_batch() {
    for (type_info, name, said) in [
        (
            vec![0x26, 8],
            "a",
            "column 'a' is int in the plan but arrives as bigint",
        ),
        (vec![0x6A, 9, 19, 4], "a", "arrives as decimal(19,4)"),
        (vec![0x26, 4], "b", "a column 'a' where the result has 'b'"),
    ] {
        let server = answer(columns(&[(name, type_info)]), end(0), false);
        let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
        let mut rows = MssqlRows::new(options(server.port));
        let error = rows
            .read(&query(), &shape, &mut Collected::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::SchemaMismatch);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_null_where_the_plan_has_none_is_refused() {
    let mut head = columns(&[("a", vec![0x26, 4])]);
    head.extend(row(&[short(&[])]));
    let server = answer(head, end(1), false);
    let only = Column {
        nullable: false,
        ..column("a", "int")
    };
    let shape = Shape::new(&[only], &Format::default(), Timestamps::Us).unwrap();
    let mut rows = MssqlRows::new(options(server.port));
    let error = rows
        .read(&query(), &shape, &mut Collected::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
}

#[tokio::test]
async fn nanoseconds_refuse_what_they_cannot_hold_by_name() {
    let mut head = columns(&[("a", vec![0x2A, 7])]);
    head.extend(row(&[short(&moment(0, 5, 3_652_058))]));
    let server = answer(head, end(1), false);
    let shape = Shape::new(&[column("a", "datetime2(7)")], &Format::default(), Timestamps::Ns).unwrap();
    let mut rows = MssqlRows::new(options(server.port));
    let error = rows
        .read(&query(), &shape, &mut Collected::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnsupportedType);
    assert!(error.to_string().contains("column 'a'"), "{error}");
}

#[tokio::test]
async fn parameters_are_bound_and_a_connection_is_kept() {
    let server = answer(columns(&[("a", vec![0x26, 4])]), end(0), false);
    let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
    let mut rows = MssqlRows::new(options(server.port));
    for _ in 0..3 {
        assert_eq!(rows.read(&query(), &shape, &mut Collected::default()).await.unwrap(), 0);
    }
    assert_eq!(server.connections(), 1);
    let request = &server.requests()[0];
    for part in [query().sql.as_str(), "@P1 nvarchar(4000)", "@P1", "42", "@P2", "ü"] {
        let wire = utf16(part);
        assert!(request.windows(wire.len()).any(|bytes| bytes == wire), "{part}");
    }
}

#[tokio::test]
async fn a_connection_is_not_kept_after_its_sink_failed() {
    let mut head = columns(&[("a", vec![0x26, 4])]);
    head.extend(row(&[short(&[1, 0, 0, 0])]));
    let server = answer(head, end(1), false);
    let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
    let mut rows = MssqlRows::new(options(server.port));
    let mut sink = Collected {
        fails: true,
        ..Collected::default()
    };
    let error = rows.read(&query(), &shape, &mut sink).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkUnavailable, "{}", error.report());
    assert_eq!(rows.read(&query(), &shape, &mut Collected::default()).await.unwrap(), 1);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn what_breaks_a_stream_is_classed() {
    let mut head = columns(&[("a", vec![0x26, 4])]);
    head.extend(row(&[short(&[1, 0, 0, 0])]));
    let after_error = |number| [error(number, "'value'"), done(0xFE, 2, 0)].concat();
    for (tail, hangs_up, code) in [
        (after_error(1205), false, ErrorCode::SourceUnavailable),
        (after_error(245), false, ErrorCode::SourceRejected),
        (vec![0xD1, 4], true, ErrorCode::SourceUnavailable),
        (end(5), false, ErrorCode::Internal),
    ] {
        let server = answer(head.clone(), tail, hangs_up);
        let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
        let mut rows = MssqlRows::new(options(server.port));
        let error = rows
            .read(&query(), &shape, &mut Collected::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{}", error.report());
        assert!(!error.report().contains("'value'") || code == ErrorCode::SourceUnavailable);
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_refuses_is_classed() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let login_failed = Replay::start(Answer::Refuse(18456)).port;
    let failing_over = Replay::start(Answer::Refuse(40613)).port;
    for (port, code) in [
        (refused, ErrorCode::SourceUnavailable),
        (login_failed, ErrorCode::SourceRejected),
        (failing_over, ErrorCode::SourceUnavailable),
    ] {
        let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
        let mut rows = MssqlRows::new(options(port));
        let error = rows
            .read(&query(), &shape, &mut Collected::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{}", error.report());
        assert!(
            !format!("{rows:?}{}", error.report()).contains("hunter2"),
            "{}",
            error.report()
        );
    }
}

#[tokio::test]
async fn encryption_is_demanded() {
    let server = answer(columns(&[("a", vec![0x26, 4])]), end(0), false);
    let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
    for tls in [Tls::Verify, Tls::Trust] {
        let options = MssqlOptions {
            tls,
            ..options(server.port)
        };
        let mut rows = MssqlRows::new(options);
        let error = rows
            .read(&query(), &shape, &mut Collected::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::SourceRejected, "{}", error.report());
    }
}

#[tokio::test]
async fn batches_are_bounded_in_rows_and_bytes() {
    let mut head = columns(&[("a", characters(0xE7, 0xFFFF, LATIN1))]);
    for _ in 0..10 {
        head.extend(row(&[chunked(&utf16(&"x".repeat(50_000)), true)]));
    }
    let server = answer(head, end(10), false);
    let shape = Shape::new(&[column("a", "nvarchar(max)")], &Format::default(), Timestamps::Us).unwrap();
    for (limits, sizes) in [
        (
            BatchLimits {
                rows: 4,
                bytes: usize::MAX,
            },
            vec![4, 4, 2],
        ),
        (
            BatchLimits {
                rows: 99,
                bytes: 100_000,
            },
            vec![2; 5],
        ),
        (BatchLimits { rows: 99, bytes: 1 }, vec![1; 10]),
    ] {
        let mut sink = Collected::default();
        let mut rows = MssqlRows::with_limits(options(server.port), limits);
        rows.read(&query(), &shape, &mut sink).await.unwrap();
        let read: Vec<_> = sink.batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(read, sizes);
    }
}

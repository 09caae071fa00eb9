//! Reading from the wire, every type at its edges, and what goes wrong on the way.

use arrow_array::RecordBatch;
use tidemark_replay::server::{Answer, Replay};
use tidemark_replay::tokens::{LATIN1, characters, chunked, columns, done, end, error, row, short, utf16};

use super::*;
use crate::format::{CsvOptions, Format, Timestamps};
use crate::types::Column;

#[derive(Default)]
pub struct Collected {
    pub batches: Vec<RecordBatch>,
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

pub fn options(port: u16) -> Login {
    Login {
        host: "127.0.0.1".to_owned(),
        port,
        database: "db".to_owned(),
        username: "reader".to_owned(),
        password: "hunter2".to_owned(),
        tls: Tls::Verify,
    }
}

pub fn query() -> Query {
    Query {
        sql: "SELECT [a] FROM [dbo].[t] WHERE [a] > CAST(@P1 AS int)".to_owned(),
        parameters: vec!["42".to_owned(), "ü".to_owned()],
    }
}

pub fn column(name: &str, sql_type: &str) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: sql_type.parse().unwrap(),
        nullable: true,
    }
}

pub fn csv() -> Format {
    Format::Csv(CsvOptions {
        header: false,
        null: "NULL".to_owned(),
        ..CsvOptions::default()
    })
}

pub fn answer(head: Vec<u8>, tail: Vec<u8>, hangs_up: bool) -> Replay {
    Replay::start(Answer::Tokens {
        tokens: [head, tail].concat(),
        hangs_up,
    })
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
        let mut rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
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
    let mut rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
    let error = rows
        .read(&query(), &shape, &mut Collected::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
}

#[tokio::test]
async fn nanoseconds_refuse_what_they_cannot_hold_by_name() {
    let mut head = columns(&[("a", vec![0x2A, 7])]);
    head.extend(row(&[short(
        &[&[0; 5][..], &3_652_058_u32.to_le_bytes()[..3]].concat(),
    )]));
    let server = answer(head, end(1), false);
    let shape = Shape::new(&[column("a", "datetime2(7)")], &Format::default(), Timestamps::Ns).unwrap();
    let mut rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
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
    let mut rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
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
    let mut rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
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
        let mut rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
        let error = rows
            .read(&query(), &shape, &mut Collected::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{}", error.report());
        assert!(!error.report().contains("'value'") || code == ErrorCode::SourceUnavailable);
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_wherever_it_stops() {
    let head = columns(&[("a", vec![0x26, 4])]);
    let one = row(&[short(&[1, 0, 0, 0])]);
    let timeouts = Timeouts {
        silence: Duration::from_millis(100),
        ..Timeouts::ROWS
    };
    for (place, tokens) in [
        ("before the columns", Vec::new()),
        ("before the first row", head.clone()),
        ("between two rows", [head.clone(), one.clone()].concat()),
        ("within a row", [head.clone(), one.clone(), one[..3].to_vec()].concat()),
    ] {
        let server = Replay::start(Answer::Silence(tokens));
        let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
        let rows = MssqlRows::unencrypted(options(server.port()), BatchLimits::default());
        let mut rows = rows.with_timeouts(timeouts);
        let mut sink = Collected::default();
        let (query, limit) = (query(), Duration::from_secs(5));
        let answer = tokio::time::timeout(limit, rows.read(&query, &shape, &mut sink)).await;
        let error = answer.unwrap_or_else(|_| panic!("{place}: no end")).unwrap_err();
        assert_eq!(
            error.code(),
            ErrorCode::SourceUnavailable,
            "{place}: {}",
            error.report()
        );
        assert!(sink.batches.is_empty(), "{place}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_refuses_is_classed() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let login_failed = Replay::start(Answer::Refuse(18456)).port();
    let failing_over = Replay::start(Answer::Refuse(40613)).port();
    for (port, code) in [
        (refused, ErrorCode::SourceUnavailable),
        (login_failed, ErrorCode::SourceRejected),
        (failing_over, ErrorCode::SourceUnavailable),
    ] {
        let shape = Shape::new(&[column("a", "int")], &csv(), Timestamps::Us).unwrap();
        let mut rows = MssqlRows::unencrypted(options(port), BatchLimits::default());
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
        let options = Login {
            tls,
            ..options(server.port())
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
        let mut rows = MssqlRows::unencrypted(options(server.port()), limits);
        rows.read(&query(), &shape, &mut sink).await.unwrap();
        let read: Vec<_> = sink.batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(read, sizes);
    }
}

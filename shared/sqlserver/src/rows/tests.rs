//! Reading from the wire, every type at its edges, and what goes wrong on the way.

use arrow_array::RecordBatch;
use tidemark::error::{Failure, Fault};
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::Interval;
use tidemark::model::types::{Form, Fraction, TypeName};
use tidemark::model::values::Values;
use tidemark::model::watermark::Watermark;
use tidemark_replay::server::{Answer as Replayed, Replay};
use tidemark_replay::tokens::{LATIN1, characters, chunked, columns, done, end, error, long, row, short, utf16};

use super::*;
use crate::login::Tls;

#[derive(Default)]
pub struct Collected {
    pub batches: Vec<RecordBatch>,
    fails: bool,
}

impl TakeBatches<RecordBatch> for Collected {
    async fn take(&mut self, batch: RecordBatch) -> Answer<()> {
        if self.fails {
            return Err(Failure::new(Fault::Known(ErrorCode::SinkUnavailable), "full"));
        }
        self.batches.push(batch);
        Ok(())
    }
}

pub fn options(port: u16) -> Login {
    Login::new("127.0.0.1", port, "reader", "hunter2", "db")
}

pub fn column(name: &str, sql_type: &str, form: Form) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: TypeName::new(sql_type).unwrap(),
        form,
        nullable: true,
        values: Values::OfSource,
    }
}

/// Asks for the interval up to 42, which the server of the test ignores. Returns the number of rows that were read.
pub async fn read(reader: &mut RowReader, column: &Column, batches: &mut Collected) -> Answer<u64> {
    Ok(read_all(reader, column, batches).await?.rows)
}

async fn read_all(reader: &mut RowReader, column: &Column, batches: &mut Collected) -> Answer<RowsRead> {
    let (table, watermark): (ObjectName, _) = ("dbo.t".parse().unwrap(), Identifier::new("a").unwrap());
    let new = Watermark::new(TypeName::new("int").unwrap(), "42").unwrap();
    let rows = Rows::Interval(Interval {
        table: &table,
        column: &watermark,
        old: None,
        new: &new,
        closed: tidemark::model::rows::Closed::default(),
        with_nulls: false,
        key: None,
        filter: None,
    });
    // Boxed, because the compiler follows futures within futures only so deep.
    Box::pin(reader.read(&rows, std::slice::from_ref(column), batches)).await
}

/// Reads one column from a server that answers with these tokens.
async fn read_int(port: u16) -> Answer<u64> {
    let mut reader = RowReader::unencrypted(options(port), BatchLimits::default());
    read(&mut reader, &column("a", "int", Form::Int32), &mut Collected::default()).await
}

pub fn answer(head: Vec<u8>, tail: Vec<u8>, hangs_up: bool) -> Replay {
    Replay::start(Replayed::Tokens {
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
        let error = read_int(server.port()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Known(ErrorCode::SchemaMismatch));
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn texts_that_cannot_be_decoded_are_counted_by_column_over_all_batches() {
    let mut head = columns(&[("a", characters(0xE7, 18, LATIN1))]);
    // A lone surrogate is malformed text.
    for units in [[0x61, 0x62], [0xD800, 0x62], [0x61, 0xDC00], [0x61, 0x62]] {
        let bytes: Vec<u8> = units.iter().flat_map(|unit: &u16| unit.to_le_bytes()).collect();
        head.extend(row(&[long(Some(&bytes))]));
    }
    for limits in [BatchLimits::default(), BatchLimits { rows: 1, bytes: 1_000 }] {
        let server = answer(head.clone(), end(4), false);
        let mut reader = RowReader::unencrypted(options(server.port()), limits);
        let column = column("a", "nvarchar(9)", Form::Text);
        let read = read_all(&mut reader, &column, &mut Collected::default()).await.unwrap();
        let counted: Vec<_> = read.malformed_texts.columns().collect();
        assert_eq!((read.rows, counted), (4, vec![("a", 2)]));
    }
}

#[tokio::test]
async fn a_null_where_the_plan_has_none_is_refused() {
    let mut head = columns(&[("a", vec![0x26, 4])]);
    head.extend(row(&[short(&[])]));
    let server = answer(head, end(1), false);
    let only = Column {
        nullable: false,
        ..column("a", "int", Form::Int32)
    };
    let mut reader = RowReader::unencrypted(options(server.port()), BatchLimits::default());
    let error = read(&mut reader, &only, &mut Collected::default()).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Known(ErrorCode::SchemaMismatch), "{error}");
}

#[tokio::test]
async fn nanoseconds_refuse_what_they_cannot_hold_by_name() {
    let mut head = columns(&[("a", vec![0x2A, 7])]);
    head.extend(row(&[short(
        &[&[0; 5][..], &3_652_058_u32.to_le_bytes()[..3]].concat(),
    )]));
    let server = answer(head, end(1), false);
    let moment = column("a", "datetime2(7)", Form::Timestamp(Fraction::Nanos));
    let mut reader = RowReader::unencrypted(options(server.port()), BatchLimits::default());
    let error = read(&mut reader, &moment, &mut Collected::default()).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Known(ErrorCode::UnsupportedType));
    assert!(error.to_string().contains("column 'a'"), "{error}");
}

#[tokio::test]
async fn parameters_are_bound_and_a_connection_is_kept() {
    let server = answer(columns(&[("a", vec![0x26, 4])]), end(0), false);
    let int = column("a", "int", Form::Int32);
    let mut reader = RowReader::unencrypted(options(server.port()), BatchLimits::default());
    for _ in 0..3 {
        assert_eq!(read(&mut reader, &int, &mut Collected::default()).await.unwrap(), 0);
    }
    assert_eq!(server.connections(), 1);
    let request = &server.requests()[0];
    for part in ["@P1 nvarchar(4000)", "CAST(@P1 AS int)", "42"] {
        let wire = utf16(part);
        assert!(request.windows(wire.len()).any(|bytes| bytes == wire), "{part}");
    }
}

#[tokio::test]
async fn a_connection_is_not_kept_after_its_batches_were_refused() {
    let mut head = columns(&[("a", vec![0x26, 4])]);
    head.extend(row(&[short(&[1, 0, 0, 0])]));
    let server = answer(head, end(1), false);
    let int = column("a", "int", Form::Int32);
    let mut reader = RowReader::unencrypted(options(server.port()), BatchLimits::default());
    let mut batches = Collected {
        fails: true,
        ..Collected::default()
    };
    let error = read(&mut reader, &int, &mut batches).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Known(ErrorCode::SinkUnavailable), "{error}");
    assert_eq!(read(&mut reader, &int, &mut Collected::default()).await.unwrap(), 1);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn what_breaks_a_stream_is_classed() {
    let mut head = columns(&[("a", vec![0x26, 4])]);
    head.extend(row(&[short(&[1, 0, 0, 0])]));
    let after_error = |number| [error(number, "'value'"), done(0xFE, 2, 0)].concat();
    for (tail, hangs_up, fault, number) in [
        (after_error(1205), false, Fault::Conflict, Some(1205)),
        (after_error(245), false, Fault::Data, Some(245)),
        (vec![0xD1, 4], true, Fault::Unreachable, None),
        (end(5), false, Fault::Known(ErrorCode::Internal), None),
    ] {
        let server = answer(head.clone(), tail, hangs_up);
        let error = read_int(server.port()).await.unwrap_err();
        assert_eq!((error.fault(), error.number()), (fault, number), "{error}");
        assert!(!error.to_string().contains("'value'") || fault == Fault::Conflict);
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
        let server = Replay::start(Replayed::Silence(tokens));
        let int = column("a", "int", Form::Int32);
        let reader = RowReader::unencrypted(options(server.port()), BatchLimits::default());
        let mut reader = reader.with_timeouts(timeouts);
        let mut batches = Collected::default();
        let limit = Duration::from_secs(5);
        let answer = tokio::time::timeout(limit, read(&mut reader, &int, &mut batches)).await;
        let error = answer.unwrap_or_else(|_| panic!("{place}: no end")).unwrap_err();
        assert_eq!(error.fault(), Fault::Unreachable, "{place}: {error}");
        assert!(batches.batches.is_empty(), "{place}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_refuses_is_classed() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let login_failed = Replay::start(Replayed::Refuse(18456)).port();
    let failing_over = Replay::start(Replayed::Refuse(40613)).port();
    for (port, fault) in [
        (refused, Fault::Unreachable),
        (login_failed, Fault::Refused),
        (failing_over, Fault::Unreachable),
    ] {
        let mut reader = RowReader::unencrypted(options(port), BatchLimits::default());
        let int = column("a", "int", Form::Int32);
        let error = read(&mut reader, &int, &mut Collected::default()).await.unwrap_err();
        assert_eq!(error.fault(), fault, "{error}");
        assert!(!format!("{reader:?}{error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn encryption_is_demanded() {
    let server = answer(columns(&[("a", vec![0x26, 4])]), end(0), false);
    for tls in [Tls::Verify, Tls::Trust] {
        let options = Login {
            tls,
            ..options(server.port())
        };
        let mut reader = RowReader::new(options);
        let int = column("a", "int", Form::Int32);
        let error = read(&mut reader, &int, &mut Collected::default()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Refused, "{error}");
    }
}

#[tokio::test]
async fn batches_are_bounded_in_rows_and_bytes() {
    let mut head = columns(&[("a", characters(0xE7, 0xFFFF, LATIN1))]);
    for _ in 0..10 {
        head.extend(row(&[chunked(&utf16(&"x".repeat(50_000)), true)]));
    }
    let server = answer(head, end(10), false);
    let text = column("a", "nvarchar(max)", Form::Text);
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
        let mut batches = Collected::default();
        let mut reader = RowReader::unencrypted(options(server.port()), limits);
        read(&mut reader, &text, &mut batches).await.unwrap();
        let rows: Vec<_> = batches.batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, sizes);
    }
}

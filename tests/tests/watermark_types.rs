//! Every type that a watermark may have: any sequence of inserts and runs delivers each row exactly once, over real
//! TDS.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::RangeInclusive;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidemark::error::ErrorCode;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;
use time::macros::date;
use time::{Date, Duration, OffsetDateTime, Time};

/// The number of sequences of inserts and runs for each type, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 12;

/// A type with its values in order: each is a number of the type's smallest units since some beginning.
struct Domain {
    sql_type: &'static str,
    values: RangeInclusive<i128>,
    /// A value as SQL Server reads it.
    literal: fn(i128) -> String,
}

/// The seconds of a day.
const DAY: i128 = 86_400;

fn day(epoch: Date, days: i128) -> String {
    let date = epoch + Duration::days(i64::try_from(days).unwrap());
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// Returns the days from `epoch` to the day before yesterday, which no clock and no zone can make the future.
fn past_days(epoch: Date) -> i128 {
    i128::from((OffsetDateTime::now_utc().date() - epoch).whole_days()) - 2
}

/// Returns the text of `units` of 10^-digits s since `epoch`.
fn moment(epoch: Date, units: i128, digits: u32) -> String {
    let per_second = 10_i128.pow(digits);
    let (seconds, fraction) = (units / per_second, units % per_second);
    let clock = Time::MIDNIGHT + Duration::seconds(i64::try_from(seconds % DAY).unwrap());
    let whole = format!(
        "{}T{:02}:{:02}:{:02}",
        day(epoch, seconds / DAY),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    if digits == 0 {
        whole
    } else {
        format!("{whole}.{fraction:0width$}", width = digits as usize)
    }
}

const YEAR_1: Date = date!(0001 - 01 - 01);
const YEAR_1753: Date = date!(1753 - 01 - 01);
const YEAR_1900: Date = date!(1900 - 01 - 01);

fn datetime2<const DIGITS: u32>(units: i128) -> String {
    moment(YEAR_1, units, DIGITS)
}

/// Returns the text of the same moment in zones from -14:00 to +14:00.
fn datetimeoffset<const DIGITS: u32>(units: i128) -> String {
    let minutes = units % (28 * 60 + 1) - 14 * 60;
    // The values begin a day later, so that no zone is before the year 1.
    let local = units + (DAY + minutes * 60) * 10_i128.pow(DIGITS);
    let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
    format!(
        "{}{sign}{:02}:{:02}",
        moment(YEAR_1, local, DIGITS),
        minutes / 60,
        minutes % 60
    )
}

/// Returns the text of 1/300 s since 1753, as SQL Server shows it.
fn datetime(ticks: i128) -> String {
    let (seconds, tick) = (ticks / 300, ticks % 300);
    format!("{}.{:03}", moment(YEAR_1753, seconds, 0), (tick * 10 + 1) / 3)
}

fn scaled(number: i128, scale: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn domains() -> Vec<Domain> {
    let domain = |sql_type, values, literal| Domain {
        sql_type,
        values,
        literal,
    };
    let nines = 10_i128.pow(38) - 1;
    let since = |epoch, per_day: i128| 0..=past_days(epoch) * per_day + per_day - 1;
    vec![
        domain("tinyint", 0..=255, |n| n.to_string()),
        domain("smallint", i16::MIN.into()..=i16::MAX.into(), |n| n.to_string()),
        domain("int", i32::MIN.into()..=i32::MAX.into(), |n| n.to_string()),
        domain("bigint", i64::MIN.into()..=i64::MAX.into(), |n| n.to_string()),
        domain("decimal(38,0)", -nines..=nines, |n| n.to_string()),
        domain("decimal(38,38)", -nines..=nines, |n| scaled(n, 38)),
        domain("numeric(9,2)", -999_999_999..=999_999_999, |n| scaled(n, 2)),
        domain("date", 0..=past_days(YEAR_1), |n| day(YEAR_1, n)),
        domain("smalldatetime", since(YEAR_1900, DAY / 60), |n| {
            moment(YEAR_1900, n * 60, 0)
        }),
        domain("datetime", since(YEAR_1753, DAY * 300), datetime),
        domain("datetime2(0)", since(YEAR_1, DAY), datetime2::<0>),
        domain("datetime2(3)", since(YEAR_1, DAY * 1_000), datetime2::<3>),
        domain("datetime2(7)", since(YEAR_1, DAY * 10_000_000), datetime2::<7>),
        domain("datetimeoffset(0)", 0..=past_days(YEAR_1) * DAY, datetimeoffset::<0>),
        domain(
            "datetimeoffset(7)",
            0..=past_days(YEAR_1) * DAY * 10_000_000,
            datetimeoffset::<7>,
        ),
    ]
}

/// Makes batches of values between runs. Each batch is above the one before; within a batch, equal values are as likely
/// as neighbours.
fn batches(values: &RangeInclusive<i128>) -> impl Strategy<Value = Vec<Vec<i128>>> + use<> {
    let (low, high) = (*values.start(), *values.end());
    let value = prop_oneof![
        2 => low..=high,
        1 => Just(low),
        1 => Just(high),
        2 => (0_i128..4).prop_map(move |step| high - step),
        2 => (0_i128..4).prop_map(move |step| (low / 2 + high / 2 + step).clamp(low, high)),
    ];
    (proptest::collection::vec(value, 1..12), 1_usize..5).prop_map(|(mut values, runs)| {
        values.sort_unstable();
        let mut batches: Vec<Vec<i128>> = Vec::new();
        let size = values.len().div_ceil(runs);
        for value in values {
            match batches.last_mut() {
                // A value equal to the last one belongs to the same run, because the watermark would leave it out
                // later.
                Some(batch) if batch.len() < size || batch.last() == Some(&value) => batch.push(value),
                _ => batches.push(vec![value]),
            }
        }
        batches
    })
}

fn runner() -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

/// Delivers one sequence: insert, run, insert, run, …, and a run without changes now and then.
async fn deliver(world: &World, domain: &Domain, batches: &[Vec<i128>], number: u32) -> Result<(), TestCaseError> {
    let table = format!("t{number}");
    world.execute(&format!(
        "create table {table} (id int identity, v {} null)",
        domain.sql_type
    ));
    let mut copy = TableCopy::new(
        world,
        &table,
        &["id"],
        &serde_json::json!({ "column": "v", "settle_seconds": 0 }),
    );
    let mut inserted = 0;
    for batch in batches {
        // The rows are not in their order, and beside them are NULLs, which no window selects.
        let rows: Vec<_> = batch
            .iter()
            .rev()
            .map(|&value| format!("('{}')", (domain.literal)(value)))
            .collect();
        world.execute(&format!("insert into {table} (v) values {}", rows.join(", ")));
        inserted += batch.len();
        let outcome = copy.run().await;
        prop_assert_eq!(outcome.committed.len(), 1, "{} {:?}", domain.sql_type, rows);
        prop_assert_eq!(
            outcome.committed[0].rows,
            batch.len() as u64,
            "{} {:?}",
            domain.sql_type,
            rows
        );
        prop_assert_eq!(outcome.committed[0].late_rows, Some(0));
        prop_assert_eq!(
            copy.run().await.committed.len(),
            0,
            "{} {:?} are sent again",
            domain.sql_type,
            rows
        );
    }
    let expected: Vec<i64> = (1..).take(inserted).collect();
    prop_assert_eq!(copy.ids(), expected, "{}", domain.sql_type);
    world.execute(&format!("drop table {table}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_delivered_exactly_once_whatever_the_type() {
    let world = World::new("").await;
    let mut number = 0;
    for domain in domains() {
        let (world, count) = (&world, std::cell::Cell::new(number));
        let result = runner().run(&batches(&domain.values), |batches| {
            count.set(count.get() + 1);
            let handle = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| handle.block_on(deliver(world, &domain, &batches, count.get())))
        });
        result.unwrap_or_else(|failure| panic!("{}: {failure}", domain.sql_type));
        number = count.get();
    }
}

/// Values that a comparison in another type would send twice or never, by their type.
const NEIGHBOURS: [(&str, &[&str]); 8] = [
    (
        "datetime",
        &[
            "1753-01-01T00:00:00.000",
            "1899-12-31T23:59:59.997",
            "2017-09-05T08:06:00.000",
            "2017-09-05T08:06:00.003",
            "2017-09-05T08:06:00.007",
            "2017-09-05T08:06:00.010",
            "2017-09-05T23:59:59.997",
        ],
    ),
    (
        "datetime2(7)",
        &[
            "0001-01-01T00:00:00.0000000",
            "2017-09-05T08:06:00.0000000",
            "2017-09-05T08:06:00.0000001",
            "2017-09-05T08:06:00.1234567",
            "2017-09-05T08:06:00.1234568",
        ],
    ),
    (
        "datetime2(0)",
        &["1752-12-31T23:59:59", "2017-09-05T08:06:00", "2017-09-05T08:06:01"],
    ),
    (
        "datetimeoffset(7)",
        &[
            "2017-09-05T08:06:00.0000001+14:00",
            "2017-09-04T18:06:00.0000002Z",
            "2017-09-04T04:06:00.0000003-14:00",
        ],
    ),
    (
        "bigint",
        &[
            "-9223372036854775808",
            "0",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
        ],
    ),
    (
        "decimal(38,0)",
        &[
            "-99999999999999999999999999999999999999",
            "9007199254740993",
            "99999999999999999999999999999999999998",
            "99999999999999999999999999999999999999",
        ],
    ),
    ("date", &["0001-01-01", "1899-12-31", "1900-01-01", "2017-09-05"]),
    (
        "smalldatetime",
        &["1900-01-01T00:00:00", "2017-09-05T08:06:00", "2017-09-05T08:07:00"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_are_told_apart() {
    let world = World::new("").await;
    for (number, (sql_type, values)) in NEIGHBOURS.iter().enumerate() {
        world.execute(&format!("create table n{number} (id int identity, v {sql_type})"));
        let mut copy = TableCopy::new(
            &world,
            &format!("n{number}"),
            &["id"],
            &serde_json::json!({ "column": "v", "settle_seconds": 0 }),
        );
        for value in *values {
            world.execute(&format!("insert into n{number} (v) values ('{value}')"));
            assert_eq!(copy.run().await.committed[0].rows, 1, "{sql_type} {value}");
            assert_eq!(copy.run().await.committed.len(), 0, "{sql_type} {value} is sent again");
        }
        assert_eq!(copy.ids().len(), values.len(), "{sql_type}");
    }
}

/// Rows stamped 9999 wait for their time, and do not swallow those that come before.
#[tokio::test(flavor = "multi_thread")]
async fn the_future_is_left_for_later_whatever_the_type() {
    let world = World::new("").await;
    let cases = [
        ("date", "9999-12-31"),
        ("smalldatetime", "2079-06-06T23:59:00"),
        ("datetime", "9999-12-31T23:59:59.997"),
        ("datetime2(7)", "9999-12-31T23:59:59.9999999"),
        ("datetimeoffset(7)", "9999-12-31T23:59:59.9999999+14:00"),
    ];
    for (number, (sql_type, future)) in cases.iter().enumerate() {
        world.execute(&format!(
            "create table f{number} (id int identity, v {sql_type} null);
             insert into f{number} (v) values ('{future}'), (null), ('2001-01-01')"
        ));
        let table = format!("f{number}");
        let mut copy = TableCopy::new(
            &world,
            &table,
            &["id"],
            &serde_json::json!({ "column": "v", "settle_seconds": 0 }),
        );
        let planned = copy.plan().await;
        let note = &planned.notes[0];
        assert_eq!((note.future_rows, note.null_rows), (1, 1), "{sql_type}");
        copy.run().await;
        world.execute(&format!("insert into f{number} (v) values ('2002-02-02')"));
        copy.run().await;
        assert_eq!(copy.ids(), [3, 4], "{sql_type}");
        assert!(copy.stored().await.unwrap().starts_with("2002-02-02"), "{sql_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_watermark_come_with_the_first_load_when_asked_for() {
    let world = World::new("create table t (id int not null, v int); insert into t values (1, null), (2, 5)").await;
    let tracking = serde_json::json!({ "column": "v", "settle_seconds": 0, "null_watermark": "first_load" });
    let mut copy = TableCopy::new(&world, "t", &["id"], &tracking);
    copy.run().await;
    assert_eq!(copy.ids(), [1, 2]);
    world.execute("insert into t values (3, null), (4, 6)");
    copy.run().await;
    assert_eq!(copy.ids(), [1, 2, 4], "later ones are counted, not copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_are_refused_by_name() {
    let types = [
        "bit",
        "money",
        "smallmoney",
        "real",
        "float",
        "char(10)",
        "varchar(20)",
        "nvarchar(20)",
        "time(7)",
        "binary(8)",
        "varbinary(8)",
        "uniqueidentifier",
        "xml",
    ];
    let world = World::new("").await;
    for (number, sql_type) in types.iter().enumerate() {
        world.execute(&format!("create table x{number} (id int, v {sql_type})"));
        let mut copy = TableCopy::new(
            &world,
            &format!("x{number}"),
            &["id"],
            &serde_json::json!({ "column": "v" }),
        );
        let planned = copy.plan().await;
        let [failed] = planned.failed.as_slice() else {
            panic!("{sql_type} is taken")
        };
        assert_eq!(failed.error, ErrorCode::UnsupportedType);
        assert!(
            failed.cause.contains(sql_type) && failed.cause.contains("column v"),
            "{}",
            failed.cause
        );
        assert!(copy.store.keys().is_empty());
    }
}

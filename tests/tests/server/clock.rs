//! A watermark that the server's wall clock stamps, in the nights in which that clock is changed.

use serde_json::json;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;
use time::macros::datetime;
use time::{Duration, PrimitiveDateTime};

/// The time between two runs. A row is stamped before each.
const STEP: Duration = Duration::minutes(10);
/// The runs of a night, which begins some hours before the clock is changed and ends some after it.
const RUNS: i64 = 33;

/// The zones, each with the moments in UTC at which its clock goes back, and forward.
const ZONES: [(&str, PrimitiveDateTime, PrimitiveDateTime); 8] = [
    (
        "Central European Standard Time",
        datetime!(2026-10-25 01:00),
        datetime!(2027-03-28 01:00),
    ),
    (
        "Romance Standard Time",
        datetime!(2026-10-25 01:00),
        datetime!(2027-03-28 01:00),
    ),
    (
        "GTB Standard Time",
        datetime!(2026-10-25 01:00),
        datetime!(2027-03-28 01:00),
    ),
    (
        "Eastern Standard Time",
        datetime!(2026-11-01 06:00),
        datetime!(2027-03-14 07:00),
    ),
    (
        "Newfoundland Standard Time",
        datetime!(2026-11-01 04:30),
        datetime!(2027-03-14 05:30),
    ),
    (
        "Pacific SA Standard Time",
        datetime!(2026-04-05 03:00),
        datetime!(2026-09-06 04:00),
    ),
    (
        "AUS Eastern Standard Time",
        datetime!(2026-04-04 16:00),
        datetime!(2026-10-03 16:00),
    ),
    (
        "Lord Howe Standard Time",
        datetime!(2026-04-04 15:00),
        datetime!(2026-10-03 15:30),
    ),
];

/// Runs every few minutes around the moment `turn`, while rows are stamped by `stamp`. Each row must have been copied once
/// when the clock has been right for a day.
async fn a_night((zone, turn): (&str, PrimitiveDateTime), clock: &str, stamp: &str) {
    let world = World::new(&format!(
        "create table t (id int identity, at datetime2(3) default {stamp})"
    ))
    .await;
    let tracking = json!({ "column": "at", "clock": clock, "settle_seconds": 0 });
    let mut copy = TableCopy::new(&world, "t", &["id"], &tracking);
    let set_clock = |now: PrimitiveDateTime| {
        let utc = format!("{}T{:02}:{:02}:00", now.date(), now.hour(), now.minute());
        world.sandbox.set_clock(&utc, zone).unwrap();
    };
    let mut now = turn - Duration::minutes(205);
    for _ in 0..RUNS {
        set_clock(now);
        world.execute("insert into t (at) values (default)");
        copy.run().await;
        now += STEP;
    }
    set_clock(now + Duration::DAY);
    copy.run().await;
    let all: Vec<i64> = (1..=RUNS).collect();
    assert_eq!(copy.ids(), all, "{zone}, {turn}, {clock}, {stamp}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled_in_the_night_in_which_an_hour_comes_twice() {
    for (zone, back, _) in ZONES {
        a_night((zone, back), "local", "sysdatetime()").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled_in_the_night_in_which_an_hour_is_left_out() {
    for (zone, _, forward) in ZONES {
        a_night((zone, forward), "local", "sysdatetime()").await;
    }
}

/// West of Greenwich, the time in UTC is later than that of the wall clock, and so bounds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_when_the_wall_clock_stamps_what_is_said_to_be_in_utc() {
    for (zone, back, forward) in ZONES {
        a_night((zone, back), "utc", "sysdatetime()").await;
        a_night((zone, forward), "utc", "sysdatetime()").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_stamped_in_utc_is_only_later_in_the_night_in_which_the_wall_clock_goes_back() {
    for (zone, back, _) in ZONES {
        a_night((zone, back), "utc", "sysutcdatetime()").await;
    }
}

/// At 20:00 in New York the next day has begun in UTC, and rows are still stamped with the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_copied_when_it_is_over_on_the_wall_clock_and_in_utc() {
    let world = World::new("create table t (id int identity, at date default sysdatetime())").await;
    let tracking = json!({ "column": "at", "settle_seconds": 0 });
    let mut copy = TableCopy::new(&world, "t", &["id"], &tracking);
    for (utc, copied) in [
        ("2026-07-01T23:00:00", 0),
        ("2026-07-02T01:00:00", 0),
        ("2026-07-02T03:59:00", 0),
        ("2026-07-02T04:01:00", 3),
    ] {
        world.sandbox.set_clock(utc, "Eastern Standard Time").unwrap();
        world.execute("insert into t (at) values (default)");
        copy.run().await;
        assert_eq!(copy.ids().len(), copied, "{utc}");
    }
}

//! A watermark that the server's wall clock stamps, in the nights in which that clock is changed.

use serde_json::json;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;
use time::macros::datetime;
use time::{Duration, PrimitiveDateTime};

const ZONE: &str = "Central European Standard Time";
/// The time between two runs. A row is stamped before each.
const STEP: Duration = Duration::minutes(10);

/// Runs every few minutes from `from` on, for seven hours, while rows are stamped. Each row must have been copied once
/// when the clock has been right for some hours.
async fn a_night(from: PrimitiveDateTime) {
    let world = World::new("create table t (id int identity, at datetime2(3) default sysdatetime())").await;
    let tracking = json!({ "column": "at", "clock": "local", "settle_seconds": 0 });
    let mut copy = TableCopy::new(&world, "t", &["id"], &tracking);
    let mut now = from;
    let mut rows = 0;
    for _ in 0..42 {
        let utc = format!("{}T{:02}:{:02}:00", now.date(), now.hour(), now.minute());
        world.sandbox.set_clock(&utc, ZONE).unwrap();
        world.execute("insert into t (at) values (default)");
        rows += 1;
        copy.run().await;
        now += STEP;
    }
    assert_eq!(copy.ids(), (1..=rows).collect::<Vec<i64>>(), "from {from}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled_in_the_night_in_which_an_hour_comes_twice() {
    a_night(datetime!(2026-10-24 21:05)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled_in_the_night_in_which_an_hour_is_left_out() {
    a_night(datetime!(2027-03-27 21:05)).await;
}

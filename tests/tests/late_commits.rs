//! Transactions that are open while others commit: what a window takes, leaves for the next, or counts as late.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidemark::error::ErrorCode;
use tidemark_sandbox::OpenSession;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

const ROWVERSIONS: &str = "create table t (id int primary key, n int not null, rv rowversion)";

fn rowversion(world: &World) -> TableCopy {
    TableCopy::new(world, "t", &["id"], &serde_json::json!({ "column": "rv" }))
}

fn open(world: &World, statement: &str) -> OpenSession {
    let mut session = world.sandbox.session().unwrap();
    session.execute(&format!("begin tran; {statement}")).unwrap();
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rowversion_of_an_open_transaction_is_never_passed() {
    let world = World::new(ROWVERSIONS).await;
    let mut copy = rowversion(&world);
    world.execute("insert into t (id, n) values (1, 0), (2, 0)");
    assert_eq!(copy.run().await.committed[0].rows, 2);

    let mut slow = open(&world, "insert into t (id, n) values (3, 0)");
    world.execute("insert into t (id, n) values (4, 0)");
    let waiting = copy.plan().await;
    assert!(waiting.windows.is_empty() && waiting.notes[0].held_back, "{waiting:?}");
    assert_eq!(copy.run().await.committed.len(), 0, "4 waits for 3");

    slow.execute("commit").unwrap();
    let both = copy.run().await;
    assert_eq!((both.committed[0].rows, copy.ids()), (2, vec![1, 2, 3, 4]));
    assert_eq!(both.committed[0].late_rows, Some(0));

    let mut undone = open(&world, "insert into t (id, n) values (5, 0)");
    world.execute("update t set n = 1 where id = 1");
    assert_eq!(copy.run().await.committed.len(), 0);
    undone.execute("rollback").unwrap();
    assert_eq!(
        copy.run().await.committed[0].rows,
        1,
        "the update, and nothing of what was rolled back"
    );
    assert_eq!(copy.ids(), [1, 1, 2, 3, 4]);
    assert!(copy.plan().await.notes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_other_tables_move_no_rowversion_window() {
    let world = World::new(&format!("{ROWVERSIONS}; create table other (id int, rv rowversion)")).await;
    let mut copy = rowversion(&world);
    world.execute("insert into t (id, n) values (1, 0)");
    copy.run().await;
    let (keys, stored) = (copy.store.keys(), copy.stored().await);
    world.execute("insert into other (id) values (1), (2)");
    assert_eq!(copy.run().await.unchanged, ["dbo.t".parse().unwrap()]);
    assert_eq!(
        (copy.store.keys(), copy.stored().await),
        (keys, stored),
        "an idle run writes nothing"
    );
    world.execute("insert into t (id, n) values (2, 0)");
    copy.run().await;
    assert_eq!(copy.ids(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rowversions_with_the_high_bit_set_are_in_order() {
    let world = World::new(ROWVERSIONS).await;
    let mut copy = rowversion(&world);
    for (run, last) in [0x0000_0000_0000_00FE_u64, 0x7FFF_FFFF_FFFF_FFFD, 0xFFFF_FFFF_FFFF_FF00]
        .into_iter()
        .enumerate()
    {
        world.sandbox.set_rowversion(last);
        // The five rows lie across the step from one number of digits, or sign, to the next.
        world.execute(&format!(
            "insert into t (id, n) select value, 0 from generate_series({}, {})",
            run * 5 + 1,
            run * 5 + 3
        ));
        assert_eq!(copy.run().await.committed[0].rows, 3);
        world.execute(&format!(
            "insert into t (id, n) select value, 0 from generate_series({}, {})",
            run * 5 + 4,
            run * 5 + 5
        ));
        assert_eq!(copy.run().await.committed[0].rows, 2);
        assert_eq!(copy.run().await.committed.len(), 0);
    }
    assert_eq!(copy.ids(), (1..=15).collect::<Vec<_>>());
    assert_eq!(copy.stored().await.as_deref(), Some("0xFFFFFFFFFFFFFF06"));

    // The row versions of a restored database are lower.
    world.sandbox.set_rowversion(0x7FFF_FFFF_FFFF_FFFF);
    let planned = copy.plan().await;
    assert_eq!(planned.failed[0].error, ErrorCode::WatermarkRegression);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rowversion_window_is_cut_into_slices_too() {
    let world = World::new(&format!("{ROWVERSIONS}; create index ix on t (rv)")).await;
    let mut copy = rowversion(&world);
    copy.spec.slice_rows = 4.try_into().ok();
    world.execute("insert into t (id, n) select value, 0 from generate_series(1, 18)");
    let window = copy.plan().await.windows.remove(0);
    assert_eq!(window.slices, 5);
    copy.copy(&window).await;
    assert_eq!(copy.commit(&window).await.rows, 18);
    assert_eq!(copy.ids(), (1..=18).collect::<Vec<_>>());
}

/// What may happen between two runs, by one of three sessions.
#[derive(Debug, Clone)]
enum Step {
    Insert,
    Update(usize),
    Commit,
    Rollback,
    Run,
}

/// Does the steps, each in one of three sessions, and a last run. Returns the lines of the files, and the rows of the
/// table.
async fn done(world: &World, table: &str, steps: Vec<(usize, Step)>) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    world.execute(&format!(
        "create table {table} (id int primary key, n int not null, rv rowversion)"
    ));
    let mut copy = TableCopy::new(world, table, &["id", "rv"], &serde_json::json!({ "column": "rv" }));
    let mut sessions: Vec<OpenSession> = (0..3).map(|_| world.sandbox.session().unwrap()).collect();
    // A row is updated only by the session that made it, so that none waits for another.
    let mut owned: Vec<Vec<usize>> = vec![Vec::new(); 3];
    let mut next = 0;
    for (who, step) in steps {
        let session = &mut sessions[who];
        let begin = "if @@trancount = 0 begin tran;";
        match step {
            Step::Insert => {
                next += 1;
                owned[who].push(next);
                session
                    .execute(&format!("{begin} insert into {table} (id, n) values ({next}, 0)"))
                    .unwrap();
            }
            Step::Update(which) if !owned[who].is_empty() => {
                let id = owned[who][which % owned[who].len()];
                session
                    .execute(&format!("{begin} update {table} set n = n + 1 where id = {id}"))
                    .unwrap();
            }
            Step::Update(_) => {}
            Step::Commit => drop(session.execute("if @@trancount > 0 commit").unwrap()),
            Step::Rollback => drop(session.execute("if @@trancount > 0 rollback").unwrap()),
            Step::Run => drop(copy.run().await),
        }
    }
    for session in &mut sessions {
        session.execute("if @@trancount > 0 commit").unwrap();
    }
    copy.run().await;
    let present = world
        .sandbox
        .execute(&format!(
            "select concat(id, ',', convert(varchar(18), cast(rv as binary(8)), 1)) from {table}"
        ))
        .unwrap();
    (copy.lines(), present[0].rows.clone())
}

/// In any interleaving of three transactions and runs, each committed version that is there at the end is copied once,
/// no version twice, and none that was rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn every_version_is_copied_once_whatever_the_order_of_commits() {
    let cases = std::env::var("PROPTEST_CASES").map_or(8, |cases| cases.parse().unwrap());
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let step = prop_oneof![
        4 => Just(Step::Insert),
        2 => (0_usize..1_000).prop_map(Step::Update),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        2 => Just(Step::Run),
    ];
    let steps = proptest::collection::vec((0_usize..3, step), 1..40);
    let world = World::new("").await;
    let number = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&steps, |steps| {
        number.set(number.get() + 1);
        let table = format!("t{}", number.get());
        let case = done(&world, &table, steps);
        let (lines, present) = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(case));
        let copied: BTreeSet<_> = lines.iter().cloned().collect();
        prop_assert_eq!(copied.len(), lines.len(), "a version is copied twice: {:?}", lines);
        for row in &present {
            let version = row[0].clone().unwrap();
            prop_assert!(copied.contains(&version), "{} is lost: {:?}", version, lines);
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

const STAMPED: &str = "create table s (id int primary key, at datetime2(3) not null);
    insert into s values (1, '2017-09-01T00:00:00')";

fn stamped(world: &World) -> TableCopy {
    TableCopy::new(
        world,
        "s",
        &["id"],
        &serde_json::json!({ "column": "at", "settle_seconds": 5 }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_while_the_window_settles_is_copied() {
    let world = World::new(STAMPED).await;
    let mut copy = stamped(&world);
    copy.run().await;
    let mut slow = open(&world, "insert into s values (2, '2017-09-02T00:00:00')");
    world.execute("insert into s values (3, '2017-09-03T00:00:00')");
    let window = copy.plan().await.windows.remove(0);
    assert_eq!(
        (window.new_watermark.value(), window.settle_seconds),
        ("2017-09-03T00:00:00.000", 5)
    );
    slow.execute("commit").unwrap();
    copy.copy(&window).await;
    let committed = copy.commit(&window).await;
    assert_eq!(
        (committed.rows, committed.late_rows, copy.ids()),
        (2, Some(0), vec![1, 2, 3])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_after_the_copy_is_late_and_counted() {
    let world = World::new(STAMPED).await;
    let mut copy = stamped(&world);
    copy.run().await;
    let mut slow = open(&world, "insert into s values (2, '2017-09-02T00:00:00')");
    world.execute("insert into s values (3, '2017-09-03T00:00:00')");
    let window = copy.plan().await.windows.remove(0);
    copy.copy(&window).await;
    slow.execute("commit").unwrap();
    let committed = copy.commit(&window).await;
    assert_eq!(
        (committed.rows, committed.late_rows, copy.ids()),
        (1, Some(1), vec![1, 3])
    );

    // The remedy is to update the row, which then is in the next window.
    world.execute("update s set at = '2017-09-04' where id = 2");
    copy.run().await;
    assert_eq!(copy.ids(), [1, 2, 3]);
}

/// With READ_COMMITTED_SNAPSHOT OFF, SQL Server's own default, a read waits for the rows of open transactions.
#[tokio::test(flavor = "multi_thread")]
async fn under_locking_reads_wait_for_the_open_transaction_and_lose_nothing() {
    let world = World::new(&format!(
        "{STAMPED}\nGO\nalter database tidemark set read_committed_snapshot off"
    ))
    .await;
    let mut copy = stamped(&world);
    copy.run().await;
    let mut slow = open(&world, "insert into s values (2, '2017-09-02T00:00:00')");
    let commit = tokio::task::spawn_blocking(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        slow.execute("commit").unwrap();
    });
    let outcome = copy.run().await;
    commit.await.unwrap();
    assert_eq!((outcome.committed[0].rows, copy.ids()), (1, vec![1, 2]));
}

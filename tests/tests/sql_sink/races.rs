//! Merges that meet others, and a database that gives up in the middle of one.

use arrow_array::RecordBatch;
use serde_json::json;
use tidemark::error::{Answer, ErrorCode};
use tidemark::ledger::{Ledger, Place, Pointers};
use tidemark::model::record::{Attempt, Decision, Record};
use tidemark::model::window::WindowName;
use tidemark::ports::sink_table::{MergeRows, Merged, SliceToMerge, StagedRows};
use tidemark::steps::copy::{CopiedSlice, CopyAnswer};
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark_aws::bucket::S3Store;
use tidemark_sandbox::{Action, Fault, SqlError};
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::sink::{SinkServer, StagedSlice};
use tidemark_tests::stand_in::login_of;

use crate::world::{World, rows, spec, staged_row, stand_in};

/// The statements that a merge sends to its database, in order.
const STATEMENTS: [&str; 11] = [
    "LOGIN",
    "FROM sys.columns",
    "XACT_ABORT",
    "CREATE TABLE #tidemark",
    "SET FMTONLY ON",
    "INSERT BULK",
    "sp_getapplock",
    "COALESCE(MAX([row])",
    "ROW_NUMBER",
    "UPDATE [t]",
    "INSERT INTO [dbo].[t]",
];

/// A sink whose lock is granted only after other runs have merged the slice, written its record and gone on.
struct Overtaken<'a> {
    world: &'a World,
    store: &'a S3Store,
    sink: SinkServer,
}

struct OvertakenSlice<'a> {
    world: &'a World,
    store: &'a S3Store,
    staged: StagedSlice,
}

impl<'a> MergeRows for Overtaken<'a> {
    type Batch = RecordBatch;
    type Staged = OvertakenSlice<'a>;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<OvertakenSlice<'a>> {
        let (world, store) = (self.world, self.store);
        let staged = self.sink.stage(slice).await?;
        Ok(OvertakenSlice { world, store, staged })
    }
}

impl StagedRows<RecordBatch> for OvertakenSlice<'_> {
    async fn load(&mut self, batch: RecordBatch) -> Answer<u64> {
        self.staged.load(batch).await
    }

    async fn lock(&mut self) -> Answer<()> {
        let table = "dbo.t".parse().unwrap();
        let ledger = Ledger::new(Place::new(self.store, "tidemark"), &table);
        let plan = ledger.existing_plan(&WindowName::initial()).await?;
        let attempt = Attempt {
            window: plan.window.clone(),
            slice: 0.into(),
            number: 0,
            plan: plan.id(),
        };
        let record = Record::new(attempt, Decision::Merged { rows: 1 }, "overtaking".into());
        ledger.decide(record).await?;
        self.world.sink.execute("INSERT t VALUES (1, 'new', 2)").unwrap();
        self.staged.lock().await
    }

    async fn merge(&mut self) -> Answer<Merged> {
        self.staged.merge().await
    }

    async fn release(self) {
        self.staged.release().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_greatest_watermark_of_a_key_wins_and_an_older_row_never_overwrites() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int);
                  INSERT t VALUES (1, 'old', 1), (1, 'new', 3), (1, 'middle', 2), (2, 'b', 1), (NULL, 'none', 1), (NULL, 'n', 2)";
    let sink = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (2, 'newer', 99), (3, 'c', NULL)";
    let mut world = World::new(source, sink).await;
    let spec = spec("t", "at", json!({ "keys": ["id"] }));
    let committed = world.run("r1", &spec).await.unwrap();
    assert_eq!(committed.committed[0].rows, 6, "rows are those that were read");
    let expected = ["NULL|n|2", "1|new|3", "2|newer|99", "3|c|NULL"];
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), expected);

    world
        .source
        .execute("INSERT t VALUES (3, 'C', 4), (2, 'late', 5)")
        .unwrap();
    world.run("r2", &spec).await.unwrap();
    let expected = ["NULL|n|2", "1|new|3", "2|newer|99", "3|C|4"];
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), expected);

    // Everything is copied again, as one window of a new ledger, and nothing is there twice, not even a row with a NULL
    // key.
    world.prefix = "again";
    world.run("r3", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_inserts_a_key_between_update_and_insertion() {
    let sink = stand_in("CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int)").await;
    let mut staged = staged_row(&sink, "a").await;
    // The merge stops between its statements, in its transaction.
    sink.inject(Fault {
        text: "INSERT INTO [dbo].[t]".to_owned(),
        after_rows: None,
        action: Action::Error(SqlError::new(701, "There is insufficient system memory.")),
        times: 1,
    });
    staged.merge().await.unwrap_err();
    let late = "SET LOCK_TIMEOUT 0; INSERT t VALUES (1, 'older', 1)";
    assert_eq!(sink.execute(late).unwrap_err().number, 1222);
    drop(staged);
    staged_row(&sink, "a").await.merge().await.unwrap();
    assert_eq!(rows(&sink, "SELECT * FROM t"), ["1|a|2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_merge_as_one() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t SELECT value % 100, CONCAT('v', value), value FROM GENERATE_SERIES(1, 3000);
                  CREATE INDEX at ON t (at)";
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int)";
    let world = World::new(source, sink).await;
    let mut spec = spec("t", "at", json!({}));
    // Rows with the same key are in many slices.
    spec.slice_rows = serde_json::from_value(json!(500)).unwrap();
    for round in 0..3 {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        let (a, b) = tokio::join!(world.run(&one, &spec), world.run(&other, &spec));
        a.unwrap();
        b.unwrap();
        let wrong = "SELECT COUNT(*) FROM t WHERE v <> CONCAT('v', at)";
        assert_eq!(world.rows(wrong), ["0"]);
        let newest = "SELECT id, MAX(at) FROM t GROUP BY id ORDER BY id";
        assert_eq!(world.rows(newest), rows(&world.source, newest));
        world
            .source
            .execute("UPDATE t SET at = at + 3000, v = CONCAT('v', at + 3000) WHERE at % 7 = 0")
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_gives_up_for_now_is_tried_again_and_left_as_it_was() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (1, 'a', 1), (2, 'b', 2)";
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int); INSERT t VALUES (1, 'old', 0)";
    let passing = || Action::Error(SqlError::new(1205, "Transaction was deadlocked."));
    let refusing = || Action::Error(SqlError::new(229, "The INSERT permission was denied."));
    for statement in STATEMENTS {
        let world = World::new(source, sink).await;
        let spec = spec("t", "at", json!({}));
        let faults = [
            (refusing(), ErrorCode::SinkRejected),
            (passing(), ErrorCode::SinkUnavailable),
            (Action::Disconnect, ErrorCode::SinkUnavailable),
        ];
        for (number, (action, code)) in faults.into_iter().enumerate() {
            if statement == "LOGIN" && matches!(action, Action::Disconnect) {
                continue;
            }
            world.sink.inject(Fault {
                text: statement.to_owned(),
                after_rows: None,
                action,
                times: 1,
            });
            let error = world.run(&format!("r{number}"), &spec).await.unwrap_err();
            assert_eq!(error.code(), code, "{statement}: {error}");
            assert_eq!(world.rows("SELECT * FROM t"), ["1|old|0"], "{statement}");
        }
        assert_eq!(world.run("last", &spec).await.unwrap().committed[0].rows, 2);
        assert_eq!(
            world.rows("SELECT * FROM t ORDER BY id"),
            ["1|a|1", "2|b|2"],
            "{statement}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_overtaken_merges_nothing() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (1, 'old', 1)";
    // The procedure does not look at what is there, and is given no keys.
    let sink = "CREATE TABLE t (id int, v varchar(10), at int)
GO
CREATE TYPE ty AS TABLE (id int, v varchar(10), at int)
GO
CREATE PROCEDURE p @t ty READONLY AS
MERGE t USING @t AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v, at = s.at
WHEN NOT MATCHED THEN INSERT (id, v, at) VALUES (s.id, s.v, s.at);";
    let world = World::new(source, sink).await;
    let spec = spec("t", "at", json!({ "procedure": "p", "table_type": "ty" }));
    let (server, store) = (Server::new(login_of(&world.source)), world.s3.store());
    let pointers = Pointers::new(Place::new(&store, "tidemark"));
    let sinks = Overtaken {
        world: &world,
        store: &store,
        sink: SinkServer::new(login_of(&world.sink)),
    };
    let mut pipeline = world.steps(&server, &pointers, &store, sinks);
    let planned = pipeline.plan("slow", std::slice::from_ref(&spec)).await.unwrap();
    let [window] = planned.windows.as_slice() else {
        panic!("{planned:?}")
    };
    let slow = Box::pin(pipeline.copy_slice("slow", &WindowOfRun::from(window), 0)).await;
    assert!(matches!(
        slow.unwrap(),
        CopyAnswer::Copied(CopiedSlice { resumed: true, .. })
    ));
    assert_eq!(world.rows("SELECT v FROM t"), ["new"]);
}

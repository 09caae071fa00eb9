//! Change tracking over real TDS and real S3 calls: the third tutorial, and what it leaves open.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use arrow_array::RecordBatch;
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::s3::S3Store;
use tidemark::adapters::sqlserver::{ControlTable, Server};
use tidemark::error::{ErrorCode, Result};
use tidemark::ledger::{Ledger, Manifest, Pointers, WindowName};
use tidemark::ports::rows::{BatchSink, RowSource};
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::shape::Shape;
use tidemark::table::TableSpec;
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::stand_in::{CONTROL_TABLE, World, control_table, shipped_control_table};

const TUTORIAL: &str = include_str!("../tutorials/change_tracking.sql");
const PREFIX: &str = "tidemark";

/// A tracked table under the tutorials' file format.
fn spec(table: &str, more: serde_json::Value) -> TableSpec {
    let mut spec = serde_json::json!({
        "table": table,
        "tracking": { "change_tracking": {} },
        "format": { "csv": { "header": false, "null": "\\N", "quote": "none", "line_end": "\r\n" } },
    });
    let more = more.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(more);
    serde_json::from_value(spec).unwrap()
}

fn plain(table: &str) -> TableSpec {
    spec(table, serde_json::json!({}))
}

/// The stand-in with a bucket and watermarks in it.
struct Tracked {
    world: World,
    store: S3Store,
}

impl Tracked {
    /// A database with change tracking in which `script` was run.
    async fn new(script: &str) -> Self {
        Self::untracked(&format!(
            "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON\nGO\n{script}"
        ))
        .await
    }

    async fn untracked(script: &str) -> Self {
        let world = World::new(script).await;
        let store = world.s3.store();
        Self { world, store }
    }

    fn source(&self) -> Server {
        Server::new(self.world.login())
    }

    fn watermarks(&self) -> Pointers<'_, S3Store> {
        Pointers::new(&self.store, PREFIX)
    }

    /// The four steps, with connections of their own.
    fn pipeline<'a>(
        &'a self,
        source: &'a Server,
        watermarks: &'a Pointers<'a, S3Store>,
    ) -> Pipeline<'a, Server, MssqlRows, Pointers<'a, S3Store>, S3Store> {
        Pipeline {
            source,
            rows: MssqlRows::new(self.world.login()),
            watermarks,
            store: &self.store,
            prefix: PREFIX,
            sinks: (),
        }
    }

    /// One execution; what failed is in the outcome.
    async fn try_run(&self, spec: &TableSpec) -> Result<Outcome> {
        let (source, watermarks) = (self.source(), self.watermarks());
        let mut pipeline = self.pipeline(&source, &watermarks);
        Box::pin(pipeline.run("run", std::slice::from_ref(spec))).await
    }

    async fn run(&self, spec: &TableSpec) -> Outcome {
        let outcome = self.try_run(spec).await.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        outcome
    }

    async fn failure(&self, spec: &TableSpec) -> (String, String) {
        let outcome = self.try_run(spec).await.unwrap();
        let [failed] = outcome.failed.as_slice() else {
            panic!("{outcome:?}")
        };
        (failed.error.clone(), failed.cause.clone())
    }

    async fn plan(&self, spec: &TableSpec) -> WindowName {
        let (source, watermarks) = (self.source(), self.watermarks());
        let pipeline = self.pipeline(&source, &watermarks);
        let planned = pipeline.plan("run", std::slice::from_ref(spec)).await.unwrap();
        planned.windows[0].window.clone()
    }

    async fn copy(&self, spec: &TableSpec, window: &WindowName) -> Result<copy_delta::Response> {
        let (source, watermarks) = (self.source(), self.watermarks());
        let mut pipeline = self.pipeline(&source, &watermarks);
        let table = spec.table.to_string();
        Box::pin(pipeline.copy_slice("run", &table, window, 0)).await
    }

    /// The committed windows in their order.
    async fn chain(&self, spec: &TableSpec) -> Vec<Manifest> {
        let ledger = Ledger::new(&self.store, PREFIX, &spec.table);
        let mut chain: Vec<Manifest> = Vec::new();
        let mut at = WindowName::initial();
        while let Some(manifest) = ledger.manifest(&at).await.unwrap() {
            at = manifest.next_window();
            chain.push(manifest);
        }
        chain
    }

    /// The lines of the last committed window, sorted.
    async fn lines(&self, spec: &TableSpec) -> Vec<String> {
        let chain = self.chain(spec).await;
        let mut lines = Vec::new();
        for part in &chain.last().unwrap().parts {
            let text = std::fs::read_to_string(self.world.s3.files().join(&part.key)).unwrap();
            lines.extend(text.split_terminator("\r\n").map(str::to_owned));
        }
        lines.sort();
        lines
    }

    fn execute(&self, script: &str) {
        self.world.execute(script);
    }

    fn expire(&self) {
        self.world.sandbox.expire_change_tracking().unwrap();
    }
}

fn version_store(world: &World) -> ControlTable {
    control_table(
        Server::new(world.login()),
        "dbo.table_store_ChangeTracking_version",
        "dbo.Update_ChangeTracking_Version",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_tutorial_comes_out_with_its_own_version_store() {
    let world = World::new(TUTORIAL).await;
    let (spec, versions) = (plain("data_source_table"), version_store(&world));
    let stored = async || versions.stored(&spec.watermark_key()).await.unwrap().value;
    assert_eq!(stored().await.as_deref(), Some("0"));
    let first = world.run_with(&versions, "r1", &spec).await;
    assert_eq!(
        (first.committed[0].window.as_str(), first.committed[0].rows),
        ("initial", 5)
    );
    let load = [
        "1,aaaa,21,0,I",
        "2,bbbb,24,0,I",
        "3,cccc,20,0,I",
        "4,dddd,26,0,I",
        "5,eeee,22,0,I",
    ];
    assert_eq!(world.lines("dbo.data_source_table"), load);
    assert_eq!(stored().await.as_deref(), Some("0"));

    world.execute("INSERT INTO data_source_table (PersonID, Name, Age) VALUES (6, 'new','50');");
    world.execute("UPDATE data_source_table\nSET [Age] = '10', [name]='update' where [PersonID] = 1");
    world.run_with(&versions, "r2", &spec).await;
    let mut lines = world.lines("dbo.data_source_table");
    lines.retain(|line| !load.contains(&line.as_str()));
    assert_eq!(lines, ["1,update,10,2,U", "6,new,50,1,I"]);
    assert_eq!(stored().await.as_deref(), Some("2"));

    // B1 of the acceptance list: the tutorial's own query would lose the key.
    world.execute("DELETE FROM data_source_table WHERE PersonID = 3");
    world.run_with(&versions, "r3", &spec).await;
    assert!(
        world
            .lines("dbo.data_source_table")
            .contains(&"3,\\N,\\N,3,D".to_owned())
    );
    assert_eq!(stored().await.as_deref(), Some("3"));

    let idle = world.run_with(&versions, "r4", &spec).await;
    assert_eq!((idle.unchanged.len(), stored().await.as_deref()), (1, Some("3")));
    assert_eq!(world.lines("dbo.data_source_table").len(), 5 + 2 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_control_table_keeps_versions() {
    let source = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON\nGO\n\
                  create table t (id int primary key); alter table t enable change_tracking; insert into t values (1)";
    let world = World::new(&format!("{CONTROL_TABLE}\nGO\n{source}")).await;
    let store = shipped_control_table(Server::new(world.login()));
    let spec = plain("t");
    world.run_with(&store, "r1", &spec).await;
    let stored = store.stored(&spec.watermark_key()).await.unwrap();
    assert_eq!(stored.value.as_deref(), Some("1"));
    world.execute("insert into t values (2)");
    world.run_with(&store, "r2", &spec).await;
    assert_eq!(world.lines("dbo.t"), ["1,1,I", "2,2,I"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn composite_keys_any_names_and_every_kind_of_change() {
    let tracked = Tracked::new(
        "create schema [my schema]\nGO\n\
         create table [my schema].[o]]rders] ([a b] int not null, n varchar(10) null, [k'2] nvarchar(10) not null, \
         cost money null, constraint pk primary key ([k'2], [a b]));\
         insert into [my schema].[o]]rders] values (1, 'one', N'x', 1.5), (1, 'two', N'y', null), (2, null, N'x', 3);\
         alter table [my schema].[o]]rders] enable change_tracking",
    )
    .await;
    let spec = plain("[my schema].[o]]rders]");
    tracked.run(&spec).await;
    assert_eq!(
        tracked.lines(&spec).await,
        ["1,one,x,1.5000,0,I", "1,two,y,\\N,0,I", "2,\\N,x,3.0000,0,I"]
    );

    let change = |sql: &str| tracked.execute(&sql.replace("$t", "[my schema].[o]]rders]"));
    change("update $t set [a b] = 9 where [k'2] = 'y'");
    change("delete from $t where [a b] = 2; insert into $t values (2, 'again', N'x', 4)");
    change("insert into $t values (5, 'gone', N'z', 4)");
    change("delete from $t where [a b] = 5");
    change("update $t set n = n where [a b] = 1");
    tracked.run(&spec).await;
    assert_eq!(
        tracked.lines(&spec).await,
        [
            "1,\\N,y,\\N,1,D",
            "1,one,x,1.5000,6,U",
            "2,again,x,4.0000,3,U",
            "5,\\N,z,\\N,5,D",
            "9,two,y,\\N,1,I",
        ],
        "a key update is D and I; delete then insert is U; insert then delete D; an update that changes nothing U"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_listed_columns_come_and_always_the_key() {
    let tracked = Tracked::new(
        "create table t (id int primary key, a int, b xml, c varchar(5)); insert into t values (1, 2, null, 'x');\
         alter table t enable change_tracking",
    )
    .await;
    let listed = spec("t", serde_json::json!({ "columns": ["C", "a"] }));
    tracked.run(&listed).await;
    assert_eq!(tracked.lines(&listed).await, ["1,x,2,0,I"]);
    tracked.execute("update t set c = 'y'");
    tracked.run(&listed).await;
    assert_eq!(tracked.lines(&listed).await, ["1,y,2,1,U"]);
    tracked
        .execute("create table u (id int primary key, sys_change_version int); alter table u enable change_tracking");
    let (code, cause) = tracked.failure(&plain("u")).await;
    assert!(
        code == "InvalidInput" && cause.contains("sys_change_version"),
        "{code} {cause}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_by_its_changes_is_told_why() {
    let off = Tracked::untracked("create table t (id int primary key)").await;
    let (code, cause) = off.failure(&plain("t")).await;
    assert!(
        code == "ChangeTrackingInvalid" && cause.contains("ALTER DATABASE"),
        "{code} {cause}"
    );

    let on = Tracked::new("create table t (id int primary key); create table heap (id int)").await;
    for (table, expected, said) in [
        (
            "t",
            "ChangeTrackingInvalid",
            "ALTER TABLE [dbo].[t] ENABLE CHANGE_TRACKING",
        ),
        ("heap", "ChangeTrackingInvalid", "no primary key"),
        ("missing", "SourceRejected", "no table dbo.missing"),
    ] {
        let (code, cause) = on.failure(&plain(table)).await;
        assert!(code == expected && cause.contains(said), "{code} {cause}");
    }
}

const T: &str = "create table t (id int primary key, v int); insert into t values (1, 10), (2, 20);\
                 alter table t enable change_tracking; create table other (id int primary key);\
                 alter table other enable change_tracking";

#[tokio::test(flavor = "multi_thread")]
async fn what_invalidates_a_version_leads_to_a_load() {
    let causes = [
        ("update t set v = 11 where id = 1", &["1,11,2,I", "2,20,2,I"][..]),
        // At the very version that is stored: the least valid version does not rise above it.
        ("truncate table t; insert into t values (3, 30)", &["3,30,2,I"]),
        (
            "alter table t disable change_tracking; delete from t where id = 2; alter table t enable change_tracking; \
             insert into other values (1)",
            &["1,10,2,I"],
        ),
        (
            "insert into other values (1); alter table t disable change_tracking; delete from t where id = 2; \
             insert into other values (2); alter table t enable change_tracking",
            &["1,10,3,I"],
        ),
    ];
    for (number, (change, expected)) in causes.into_iter().enumerate() {
        let tracked = Tracked::new(T).await;
        tracked.run(&plain("t")).await;
        tracked.execute("insert into other values (9)");
        tracked.run(&plain("t")).await;
        tracked.execute(change);
        if number == 0 {
            tracked.expire();
        }
        let failing = spec(
            "t",
            serde_json::json!({ "tracking": { "change_tracking": { "on_expired": "fail" } } }),
        );
        assert_eq!(tracked.failure(&failing).await.0, "ChangeTrackingInvalid", "{change}");
        let outcome = tracked.run(&plain("t")).await;
        assert_eq!(outcome.committed[0].window.as_str(), "reinit-1", "{change}");
        assert_eq!(tracked.lines(&plain("t")).await, expected, "{change}");
        // From there on windows again.
        tracked.execute("insert into t values (7, 70)");
        tracked.run(&plain("t")).await;
        let lines = tracked.lines(&plain("t")).await;
        assert!(
            lines.len() == 1 && lines[0].starts_with("7,70,") && lines[0].ends_with(",I"),
            "{lines:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_changes_advances_with_the_database() {
    let tracked = Tracked::new(T).await;
    tracked.run(&plain("t")).await;
    tracked.execute("insert into other values (1)");
    assert_eq!(tracked.run(&plain("t")).await.unchanged, ["dbo.t"]);
    tracked.execute("insert into other values (2)");
    tracked.run(&plain("t")).await;
    let chain = tracked.chain(&plain("t")).await;
    let bounds: Vec<_> = chain
        .iter()
        .map(|manifest| (manifest.new_watermark.value(), manifest.parts.len()))
        .collect();
    assert_eq!(bounds, [("0", 1), ("1", 0), ("2", 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_compared_across_windows_without_changes() {
    let tracked = Tracked::new(T).await;
    let spec = plain("t");
    tracked.run(&spec).await;
    tracked.execute("insert into other values (1)");
    tracked.run(&spec).await;
    tracked.execute("alter table t drop column v; insert into t values (3)");
    let (code, cause) = tracked.failure(&spec).await;
    assert!(code == "SchemaMismatch" && cause.contains('v'), "{code} {cause}");
    let mut continued = spec.clone();
    continued.on_schema_change = serde_json::from_value("continue".into()).unwrap();
    tracked.run(&continued).await;
    assert_eq!(tracked.lines(&spec).await, ["3,2,I"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_expire_before_the_copy_are_not_copied() {
    for snapshots in ["ON", "OFF"] {
        let tracked = Tracked::new(T).await;
        tracked.execute(&format!(
            "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {snapshots}"
        ));
        tracked.run(&plain("t")).await;
        tracked.execute("delete from t where id = 2");
        let window = tracked.plan(&plain("t")).await;
        tracked.expire();
        let error = tracked.copy(&plain("t"), &window).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ChangeTrackingInvalid, "{snapshots}: {error}");
        assert_eq!(tracked.run(&plain("t")).await.committed[0].window.as_str(), "reinit-0");
        assert_eq!(tracked.lines(&plain("t")).await, ["1,10,1,I"]);
    }
}

/// Lets the changes expire when the first rows have come.
struct ExpiringSink<'a>(&'a Tracked);

impl BatchSink for ExpiringSink<'_> {
    async fn push(&mut self, _batch: RecordBatch) -> Result<()> {
        self.0.expire();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_expire_while_they_are_read_are_not_taken_for_all() {
    let tracked = Tracked::new(T).await;
    tracked.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF");
    let spec = plain("t");
    tracked.run(&spec).await;
    tracked.execute("update t set v = 11");
    let window = tracked.plan(&spec).await;
    let ledger = Ledger::new(&tracked.store, PREFIX, &spec.table);
    let plan = ledger.frozen_plan(&window).await.unwrap();
    let shape = Shape::new(&plan.columns, &plan.format, plan.timestamps).unwrap();
    let (guard, query) = (plan.slices[0].guard.as_ref().unwrap(), &plan.slices[0].query);
    let mut rows = MssqlRows::new(tracked.world.login());
    let read = rows
        .read_guarded(guard, query, &shape, &mut ExpiringSink(&tracked))
        .await;
    assert_eq!(read.unwrap_err().code(), ErrorCode::ChangeTrackingInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_read_in_one_snapshot_where_that_is_allowed() {
    for (allowed, waits) in [("ON", false), ("OFF", true)] {
        let tracked = Tracked::new(T).await;
        tracked.execute(&format!(
            "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF; ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {allowed}"
        ));
        tracked.run(&plain("t")).await;
        tracked.execute("update t set v = 11 where id = 1");
        let spec = plain("t");
        let window = tracked.plan(&spec).await;
        // A reader without row versions would wait for this one.
        let mut writer = tracked.world.sandbox.session().unwrap();
        writer
            .execute("begin transaction; update t set v = 21 where id = 2")
            .unwrap();
        let copy = tokio::time::timeout(Duration::from_secs(3), tracked.copy(&spec, &window)).await;
        assert_eq!(copy.is_err(), waits, "snapshots {allowed}");
        writer.execute("commit").unwrap();
        tracked.run(&spec).await;
        assert_eq!(tracked.lines(&spec).await, ["1,11,1,U"], "snapshots {allowed}");
        tracked.run(&spec).await;
        assert_eq!(tracked.lines(&spec).await, ["2,21,2,U"], "snapshots {allowed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_after_the_freezing_is_in_the_next_window() {
    let tracked = Tracked::new(T).await;
    let spec = plain("t");
    tracked.run(&spec).await;
    let mut writer = tracked.world.sandbox.session().unwrap();
    writer
        .execute("begin transaction; insert into t values (3, 30)")
        .unwrap();
    tracked.execute("update t set v = 11 where id = 1");
    tracked.run(&spec).await;
    assert_eq!(tracked.lines(&spec).await, ["1,11,1,U"]);
    writer.execute("commit").unwrap();
    tracked.run(&spec).await;
    assert_eq!(
        tracked.lines(&spec).await,
        ["3,30,2,I"],
        "its version is that of its commit"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_again_before_the_copy_is_in_the_next_window() {
    let tracked = Tracked::new(T).await;
    let spec = plain("t");
    tracked.run(&spec).await;
    tracked.execute("update t set v = 11 where id = 1");
    tracked.execute("update t set v = 21 where id = 2");
    let window = tracked.plan(&spec).await;
    tracked.execute("delete from t where id = 2");
    tracked.copy(&spec, &window).await.unwrap();
    tracked.run(&spec).await;
    assert_eq!(tracked.lines(&spec).await, ["1,11,1,U"]);
    tracked.run(&spec).await;
    assert_eq!(tracked.lines(&spec).await, ["2,\\N,3,D"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_cut_by_the_key() {
    let tracked = Tracked::new(T).await;
    tracked.execute("insert into t select value, value from generate_series(3, 50)");
    let sliced = spec("t", serde_json::json!({ "slice_rows": 10 }));
    tracked.run(&sliced).await;
    let chain = tracked.chain(&sliced).await;
    assert_eq!((chain[0].rows, chain[0].parts.len()), (50, 5));
    assert_eq!(tracked.lines(&sliced).await.len(), 50);
}

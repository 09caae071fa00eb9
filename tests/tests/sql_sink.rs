//! Tables merged into another database: two stand-ins, every adapter as deployed, the ledger on a real S3 server.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::s3::S3Store;
use tidemark::adapters::sqlserver::{ControlTable, Server, SinkServer, StagedSlice};
use tidemark::config::Tls;
use tidemark::error::{Error, ErrorCode};
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ledger::{Ledger, PartRecord, Pointers, WindowName};
use tidemark::login::Login;
use tidemark::merging::{Merge, Newest, SinkColumn, SinkTables};
use tidemark::ports::merge::{MergeRows, Merged, SliceToMerge, StagedRows};
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::query::change_tracking::{OPERATION_COLUMN, VERSION_COLUMN};
use tidemark::shape::Shape;
use tidemark::sink::SqlServerSink;
use tidemark::table::TableSpec;
use tidemark::types::Column;
use tidemark_sandbox::{Action, Fault, Options, Sandbox, SqlError};
use tidemark_tests::every_type;
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::s3_server::S3Server;
use tidemark_tests::tutorial::many_tables;

struct World {
    source: Sandbox,
    sink: Sandbox,
    s3: S3Server,
    prefix: &'static str,
}

async fn stand_in(script: &str) -> Sandbox {
    let init = vec![script.to_owned()];
    let options = Options {
        init,
        ..Options::default()
    };
    tokio::task::spawn_blocking(move || Sandbox::start(options))
        .await
        .unwrap()
        .unwrap()
}

fn login(sandbox: &Sandbox) -> Login {
    Login {
        host: "127.0.0.1".to_owned(),
        port: sandbox.port(),
        username: sandbox.username().to_owned(),
        password: sandbox.password().to_owned(),
        database: sandbox.database().to_owned(),
        tls: Tls::Trust,
    }
}

fn spec(table: &str, column: &str, sink: Value) -> TableSpec {
    let mut sink = sink;
    sink["secret_arn"] = json!("sink");
    serde_json::from_value(json!({
        "table": table,
        "tracking": { "watermark": { "column": column, "settle_seconds": 0 } },
        "sink": { "sqlserver": sink },
    }))
    .unwrap()
}

impl World {
    async fn new(source: &str, sink: &str) -> Self {
        Self {
            source: stand_in(source).await,
            sink: stand_in(sink).await,
            s3: S3Server::start().await.unwrap(),
            prefix: "tidemark",
        }
    }

    /// The control table in the sink's database, as the tutorial has it.
    fn control_table(&self) -> ControlTable {
        let (table, procedure) = (
            "dbo.watermarktable".parse().unwrap(),
            "dbo.usp_write_watermark".parse().unwrap(),
        );
        ControlTable::new(Server::new(login(&self.sink)), table, procedure)
    }

    async fn run_with<W: MoveWatermarks>(
        &self,
        watermarks: &W,
        run_id: &str,
        specs: &[TableSpec],
    ) -> Result<Outcome, Error> {
        let (source, store) = (Server::new(login(&self.source)), self.s3.store());
        let mut pipeline = Pipeline {
            source: &source,
            rows: MssqlRows::new(login(&self.source)),
            watermarks,
            store: &store,
            prefix: self.prefix,
            sinks: SinkServer::new(login(&self.sink)),
        };
        Box::pin(pipeline.run(run_id, specs)).await
    }

    /// One run with the pointer in the bucket.
    async fn run(&self, run_id: &str, spec: &TableSpec) -> Result<Outcome, Error> {
        let store = self.s3.store();
        let pointers = Pointers::new(&store, self.prefix);
        self.run_with(&pointers, run_id, std::slice::from_ref(spec)).await
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.sink, sql)
    }
}

fn rows(sandbox: &Sandbox, sql: &str) -> Vec<String> {
    let sets = sandbox.execute(sql).unwrap();
    let line = |row: &Vec<Option<String>>| {
        let values: Vec<_> = row.iter().map(|value| value.clone().unwrap_or("NULL".into())).collect();
        values.join("|")
    };
    sets.last()
        .map(|set| set.rows.iter().map(line).collect())
        .unwrap_or_default()
}

async fn the_tutorial(specs: [TableSpec; 2]) {
    let world = World::new(many_tables::SOURCE, many_tables::DESTINATION).await;
    let store = world.control_table();
    let first = world.run_with(&store, "r1", &specs).await.unwrap();
    let copied: Vec<_> = first
        .committed
        .iter()
        .map(|window| (window.rows, window.objects))
        .collect();
    assert_eq!(copied, [(5, 0), (3, 0)]);
    let customers = || world.rows("SELECT * FROM customer_table ORDER BY PersonID");
    let projects = || world.rows("SELECT * FROM project_table ORDER BY Creationtime");
    let watermarks = || world.rows("SELECT * FROM watermarktable ORDER BY TableName");
    assert_eq!(customers(), many_tables::CUSTOMERS);
    assert_eq!(projects(), many_tables::PROJECTS);
    assert_eq!(watermarks(), many_tables::WATERMARKS);

    world.source.execute(many_tables::CHANGES).unwrap();
    let second = world.run_with(&store, "r2", &specs).await.unwrap();
    let copied: Vec<_> = second.committed.iter().map(|window| window.rows).collect();
    assert_eq!(copied, [1, 1], "one row per table is read");
    assert_eq!(customers(), many_tables::CUSTOMERS_AFTER);
    assert_eq!(projects(), many_tables::PROJECTS_AFTER);
    assert_eq!(watermarks(), many_tables::WATERMARKS_AFTER);
    assert_eq!(world.run_with(&store, "r3", &specs).await.unwrap().unchanged.len(), 2);
    assert_eq!(world.rows("SELECT COUNT(*) FROM customer_table"), ["5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_of_many_tables_comes_out_to_the_letter() {
    the_tutorial([
        spec("customer_table", "LastModifytime", json!({ "keys": ["PersonID"] })),
        spec("project_table", "Creationtime", json!({ "keys": ["Project"] })),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_procedures_are_handed_the_rows() {
    the_tutorial([
        spec(
            "customer_table",
            "LastModifytime",
            json!({ "procedure": "usp_upsert_customer_table", "table_type": "DataTypeforCustomerTable" }),
        ),
        spec(
            "project_table",
            "Creationtime",
            json!({ "procedure": "usp_upsert_project_table", "table_type": "DataTypeforProjectTable", "keys": ["Project"] }),
        ),
    ])
    .await;
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

    // Everything again, as one window of a new ledger: nothing is there twice, a NULL key neither.
    world.prefix = "again";
    world.run("r3", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_it_was() {
    let create = every_type::create();
    let world = World::new(&format!("{create}; {}", every_type::EDGES), &create).await;
    let spec = spec("every", "at", json!({}));
    assert_eq!(world.run("r1", &spec).await.unwrap().committed[0].rows, 4);
    let all = every_type::select();
    let (sent, arrived) = (rows(&world.source, &all), world.rows(&all));
    for (sent, arrived) in sent.iter().zip(&arrived) {
        for (at, (sent, arrived)) in sent.split('|').zip(arrived.split('|')).enumerate() {
            assert_eq!(sent, arrived, "{:?}", every_type::COLUMNS[at]);
        }
    }
    assert_eq!(sent.len(), arrived.len());
    world.source.execute(every_type::CHANGES).unwrap();
    assert_eq!(world.run("r2", &spec).await.unwrap().committed[0].rows, 2);
    assert_eq!(rows(&world.source, &all), world.rows(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn wider_columns_hold_the_same_values() {
    let source = "CREATE TABLE t (k smallint, a tinyint, b money, c varchar(5), d datetime, e smalldatetime, f rowversion, g date);
                  INSERT t (k, a, b, c, d, e, g) VALUES (1, 200, 1.5, 'é', '2017-09-05T08:06:00.007', '2017-09-05T08:06:00', '2017-09-05')";
    let sink =
        "CREATE TABLE wide (K bigint PRIMARY KEY, a float, b decimal(20,5), c nvarchar(10), d datetime2(3), e datetime,
                f varbinary(10), g datetime2(0), more int DEFAULT 5)";
    let mut world = World::new(source, sink).await;
    let spec = spec("t", "d", json!({ "table": "wide" }));
    world.run("r1", &spec).await.unwrap();
    let expected = "1|200|1.50000|é|2017-09-05 08:06:00.007|2017-09-05 08:06:00.000|1|2017-09-05 00:00:00|5";
    let found = "SELECT k, a, b, c, d, e, IIF(f > 0x00, 1, 0), g, more FROM wide";
    assert_eq!(world.rows(found), [expected]);
    // A row that is as new is written again; its watermark has been rounded to the column's own digits on both sides.
    world.sink.execute("UPDATE wide SET c = 'x'").unwrap();
    world.prefix = "again";
    world.run("again", &spec).await.unwrap();
    assert_eq!(world.rows(found), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_column_is_kept_as_a_key_and_a_computed_one_left_to_the_server() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (5, 'a', 1), (9, 'b', 2)";
    let sink = "CREATE TABLE t (id int IDENTITY PRIMARY KEY, v varchar(10), at int, twice AS at * 2)";
    let world = World::new(source, sink).await;
    world.run("r1", &spec("t", "at", json!({}))).await.unwrap();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), ["5|a|1|2", "9|b|2|4"]);
    // The setting does not outlive the merge.
    world.sink.execute("INSERT t (v, at) VALUES ('own', 3)").unwrap();
    assert_eq!(world.rows("SELECT MAX(id) FROM t"), ["10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_period_of_a_temporal_table_is_left_to_the_server() {
    let source = "CREATE TABLE t (id int, at int); INSERT t VALUES (1, 1)";
    let period =
        "since datetime2 GENERATED ALWAYS AS ROW START NOT NULL, until datetime2 GENERATED ALWAYS AS ROW END NOT NULL,
                  PERIOD FOR SYSTEM_TIME (since, until)";
    let sink = format!("CREATE TABLE t (id int PRIMARY KEY, at int, {period})");
    let world = World::new(source, &sink).await;
    world.run("r1", &spec("t", "at", json!({}))).await.unwrap();
    world.source.execute("UPDATE t SET at = 2").unwrap();
    world.run("r2", &spec("t", "at", json!({}))).await.unwrap();
    let found = "SELECT id, at FROM t WHERE since < until";
    assert_eq!(world.rows(found), ["1|2"]);

    let source = "CREATE TABLE t (id int, at int, since datetime2); INSERT t VALUES (1, 1, '2020-01-01')";
    let world = World::new(source, &sink).await;
    let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert!(error.to_string().contains("since"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_arrive_is_refused_before_any_row_is_written() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (1, 'a', 1)";
    let cases = [
        (
            "CREATE TABLE t (id int PRIMARY KEY, v varchar(9), at int)",
            ErrorCode::SchemaMismatch,
            "varchar(9)",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY, at int)",
            ErrorCode::SchemaMismatch,
            "'v'",
        ),
        (
            "CREATE TABLE t (id int, v varchar(10), at int)",
            ErrorCode::InvalidInput,
            "primary key",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY, v AS CAST(id AS varchar(10)), at int)",
            ErrorCode::SchemaMismatch,
            "computes",
        ),
        ("CREATE TABLE other (id int)", ErrorCode::SinkRejected, "dbo.t"),
    ];
    for (sink, code, named) in cases {
        let world = World::new(source, sink).await;
        let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
        assert_eq!(error.code(), code, "{sink}: {error}");
        assert!(error.report().contains(named), "{sink}: {}", error.report());
    }
    let table = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int)";
    let world = World::new(&source.replace("varchar(10)", "nvarchar(10)"), table).await;
    let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);

    // What only the data can say: a character that the code page does not have.
    let world = World::new(source, table).await;
    let error = merge_text(&world.sink, "a\u{3b1}").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert!(error.to_string().contains("column v"), "{error}");
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);

    // A NULL where none may be. Nothing of the slice is there.
    let table = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10) NOT NULL, at int)";
    let world = World::new(&format!("{source}, (2, NULL, 2)"), table).await;
    let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected);
    assert!(error.report().contains("515"), "{}", error.report());
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_arrives_in_columns_of_any_collation() {
    let columns = "k nvarchar(10) $c PRIMARY KEY, at int, a nvarchar(max) $c, b nvarchar(3000) $c, c nvarchar(20) $c, d varchar(max), e xml,
                   f varbinary(max)";
    let source = format!(
        "CREATE TABLE t ({}); INSERT t VALUES (N'k', 1, N'\u{1f980}', N'\u{6f22}', N'\u{e9} ', 'd', '<e/>', 0x00FF)",
        columns.replace("$c", "")
    );
    let read = "SELECT *, CAST(a AS varbinary(max)), CAST(c AS varbinary(max)) FROM t";
    for collation in [
        "Latin1_General_100_CI_AS_SC",
        "Latin1_General_100_CI_AS_SC_UTF8",
        "Japanese_XJIS_140_CI_AS",
        "Latin1_General_BIN2",
    ] {
        let sink = format!(
            "CREATE TABLE t ({})",
            columns.replace("$c", &format!("COLLATE {collation}"))
        );
        let world = World::new(&source, &sink).await;
        world.run("r1", &spec("t", "at", json!({}))).await.unwrap();
        assert_eq!(world.rows(read), rows(&world.source, read), "{collation}");
        world.source.execute("UPDATE t SET at = 2, b = N'changed'").unwrap();
        world.run("r2", &spec("t", "at", json!({}))).await.unwrap();
        assert_eq!(world.rows(read), rows(&world.source, read), "{collation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_one_only_where_the_sink_table_says_so() {
    // In a code page \u{df} is a character of its own, in Unicode text it is ss.
    let source = "CREATE TABLE t (k varchar(10) COLLATE Latin1_General_BIN2 PRIMARY KEY, at int);
                  INSERT t VALUES ('stra\u{df}e', 1), ('strasse', 2), ('a', 3)";
    let world = World::new(source, "CREATE TABLE t (k varchar(10) PRIMARY KEY, at int)").await;
    let spec = spec("t", "at", json!({}));
    world.run("r1", &spec).await.unwrap();
    let found = world.rows("SELECT k, at FROM t ORDER BY at");
    assert_eq!(found, ["stra\u{df}e|1", "strasse|2", "a|3"]);

    // Two rows of the source that would be one here.
    world.source.execute("INSERT t VALUES ('b', 4), ('B', 5)").unwrap();
    let error = world.run("r2", &spec).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert!(error.to_string().contains("1 keys of the sink table dbo.t"), "{error}");
    assert!(error.to_string().contains("collation of k"), "{error}");
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["3"]);
    let cure = "DROP TABLE t; CREATE TABLE t (k varchar(10) COLLATE Latin1_General_CS_AS PRIMARY KEY, at int)";
    world.sink.execute(cure).unwrap();
    world.run("r3", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT k, at FROM t ORDER BY at"), ["b|4", "B|5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_types_texts_meet_the_tables_in_the_tables_collation() {
    let source = "CREATE TABLE t (k varchar(10), v varchar(10), at int); INSERT t VALUES ('a', 'old', 1), ('b', 'new', 5), ('b', 'older', 4)";
    for nullable in ["NULL", "NOT NULL"] {
        let sink = format!(
            "CREATE TABLE t (k varchar(10) COLLATE Latin1_General_CI_AS {nullable}, v varchar(10), at int);
INSERT t VALUES ('A', 'newer', 9)
GO
CREATE TYPE ty AS TABLE (k nvarchar(20), v varchar(10), at int)
GO
CREATE PROCEDURE p @t ty READONLY AS INSERT t (k, v, at) SELECT k, v, at FROM @t"
        );
        let world = World::new(source, &sink).await;
        let spec = spec(
            "t",
            "at",
            json!({ "procedure": "p", "table_type": "ty", "keys": ["k"] }),
        );
        world.run("r1", &spec).await.unwrap();
        assert_eq!(
            world.rows("SELECT * FROM t ORDER BY k"),
            ["A|newer|9", "b|new|5"],
            "{nullable}"
        );
    }
}

/// The statements of a merge into a table `t` with the key `id`, a text `v` and the watermark `at`.
fn merge_into_t() -> Merge {
    let columns = [("id", "int"), ("v", "varchar(10)"), ("at", "int")].map(|(name, sql_type)| Column {
        name: name.to_owned(),
        sql_type: sql_type.parse().unwrap(),
        nullable: true,
    });
    let sink_column = |column: &Column| SinkColumn {
        name: column.name.clone(),
        sql_type: Ok(column.sql_type),
        nullable: column.name != "id",
        identity: false,
        computed: false,
        defaulted: false,
        collation: None,
        primary_key: column.name == "id",
    };
    let tables = SinkTables {
        table: columns.iter().map(sink_column).collect(),
        table_type: Vec::new(),
    };
    let sink: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let (table, at) = ("t".parse().unwrap(), Identifier::new("at").unwrap());
    Merge::new(&table, &sink, &columns, Newest::Watermark(&at), &tables).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_inserts_a_key_between_update_and_insertion() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int)";
    let sink = stand_in(table).await;
    let merge = merge_into_t();
    let staged = "INSERT #tidemark (c0, c1, c2) VALUES (1, 'a', 2)";
    let update = merge.update().unwrap().sql;
    let mut merging = sink.session().unwrap();
    for sql in [&merge.create_staging().sql, staged, "BEGIN TRANSACTION", &update] {
        merging.execute(sql).unwrap();
    }
    let late = "SET LOCK_TIMEOUT 0; INSERT t VALUES (1, 'older', 1)";
    assert_eq!(sink.execute(late).unwrap_err().number, 1222);
    merging.execute(&merge.insert().sql).unwrap();
    merging.execute("COMMIT").unwrap();
    assert_eq!(rows(&sink, "SELECT * FROM t"), ["1|a|2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_merge_as_one() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t SELECT value % 100, CONCAT('v', value), value FROM GENERATE_SERIES(1, 3000);
                  CREATE INDEX at ON t (at)";
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int)";
    let world = World::new(source, sink).await;
    let mut spec = spec("t", "at", json!({}));
    // Rows of one key are in many slices.
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
async fn change_tracking_brings_inserts_updates_and_deletes() {
    let source = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT t VALUES (1, 'a'), (2, 'b'), (3, 'c')
GO
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)
GO
ALTER TABLE t ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)";
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), SYS_CHANGE_VERSION bigint)";
    let world = World::new(source, sink).await;
    let spec: TableSpec = serde_json::from_value(json!({
        "table": "t", "tracking": { "change_tracking": {} }, "sink": { "sqlserver": { "secret_arn": "sink" } },
    }))
    .unwrap();
    assert_eq!(world.run("r1", &spec).await.unwrap().committed[0].rows, 3);
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), ["1|a|0", "2|b|0", "3|c|0"]);
    world
        .source
        .execute("UPDATE t SET v = 'B' WHERE id = 2; DELETE t WHERE id = 1; INSERT t VALUES (4, 'd')")
        .unwrap();
    assert_eq!(world.run("r2", &spec).await.unwrap().committed[0].rows, 3);
    let expected = ["2|B|1", "3|c|0", "4|d|3"];
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), expected);
    // Deleted and inserted again is an update; deleted and never there is nothing.
    world
        .source
        .execute(
            "DELETE t WHERE id = 4; INSERT t VALUES (4, 'D'), (5, 'e'); DELETE t WHERE id = 5; DELETE t WHERE id = 3",
        )
        .unwrap();
    world.run("r3", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT id, v FROM t ORDER BY id"), ["2|B", "4|D"]);
    assert_eq!(world.run("r4", &spec).await.unwrap().committed.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_tracking_refuses_keys_that_would_misapply_deletions() {
    let source = "CREATE TABLE t (tenant int, id int PRIMARY KEY, v varchar(10)); INSERT t VALUES (1, 1, 'a')
GO
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)
GO
ALTER TABLE t ENABLE CHANGE_TRACKING";
    let sink = "CREATE TABLE t (tenant int, id int, v varchar(10), PRIMARY KEY (tenant, id))";
    let mut world = World::new(source, sink).await;
    let spec = |keys: Value| -> TableSpec {
        let sink = json!({ "sqlserver": { "secret_arn": "sink", "keys": keys } });
        serde_json::from_value(json!({ "table": "t", "tracking": { "change_tracking": {} }, "sink": sink })).unwrap()
    };
    for (prefix, keys) in [
        ("none", json!([])),
        ("fewer", json!(["tenant"])),
        ("other", json!(["v"])),
    ] {
        // The plan is frozen with its keys.
        world.prefix = prefix;
        let error = world.run("r", &spec(keys)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
        assert!(error.report().contains("dbo.t, (id)"), "{}", error.report());
        assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);
    }
    world.prefix = "tidemark";
    assert_eq!(
        world.run("r1", &spec(json!(["id"]))).await.unwrap().committed[0].rows,
        1
    );
    world.source.execute("DELETE t WHERE id = 1").unwrap();
    world.run("r2", &spec(json!(["id"]))).await.unwrap();
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);
}

/// What a merge says to its database, in order.
const STATEMENTS: [&str; 10] = [
    "LOGIN",
    "FROM sys.columns",
    "XACT_ABORT",
    "CREATE TABLE #tidemark",
    "SELECT TOP 0",
    "INSERT BULK",
    "sp_getapplock",
    "ROW_NUMBER",
    "UPDATE [t]",
    "INSERT INTO [dbo].[t]",
];

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

/// Merges a row with this text in column `v`, as a source with another code page may have it.
async fn merge_text(sink: &Sandbox, text: &str) -> Result<Merged, Error> {
    let columns = [("id", "int"), ("v", "varchar(10)"), ("at", "int")].map(|(name, sql_type)| Column {
        name: name.to_owned(),
        sql_type: sql_type.parse().unwrap(),
        nullable: true,
    });
    let shape = Shape::exact(&columns)?;
    let spec: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let (table, at): (ObjectName, _) = ("t".parse()?, Identifier::new("at")?);
    let slice = SliceToMerge {
        source: &table,
        sink: &spec,
        shape: &shape,
        newest: Newest::Watermark(&at),
    };
    let row = RecordBatch::try_new(
        shape.schema().clone(),
        vec![
            Arc::new(Int32Array::from(vec![1])) as ArrayRef,
            Arc::new(StringArray::from(vec![text])),
            Arc::new(Int32Array::from(vec![1])),
        ],
    )
    .unwrap();
    let mut staged = SinkServer::new(login(sink)).stage(&slice).await?;
    staged.load(&row).await?;
    staged.lock().await?;
    staged.merge().await
}

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
    type Staged = OvertakenSlice<'a>;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Result<OvertakenSlice<'a>, Error> {
        let (world, store) = (self.world, self.store);
        let staged = self.sink.stage(slice).await?;
        Ok(OvertakenSlice { world, store, staged })
    }
}

impl StagedRows for OvertakenSlice<'_> {
    async fn load(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.staged.load(batch).await
    }

    async fn lock(&mut self) -> Result<(), Error> {
        let record = PartRecord {
            rows: 1,
            ..PartRecord::new(WindowName::initial(), 0.into(), 0, "overtaking".into())
        };
        let ledger = Ledger::new(self.store, "tidemark", &"dbo.t".parse()?);
        ledger.decide(record).await?;
        self.world.sink.execute("INSERT t VALUES (1, 'new', 2)").unwrap();
        self.staged.lock().await
    }

    async fn merge(&mut self) -> Result<Merged, Error> {
        self.staged.merge().await
    }

    async fn release(self) {
        self.staged.release().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_overtaken_merges_nothing() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (1, 'old', 1)";
    // A procedure that does not look at what is there, and no keys.
    let sink = "CREATE TABLE t (id int, v varchar(10), at int)
GO
CREATE TYPE ty AS TABLE (id int, v varchar(10), at int)
GO
CREATE PROCEDURE p @t ty READONLY AS
MERGE t USING @t AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v, at = s.at
WHEN NOT MATCHED THEN INSERT (id, v, at) VALUES (s.id, s.v, s.at);";
    let world = World::new(source, sink).await;
    let spec = spec("t", "at", json!({ "procedure": "p", "table_type": "ty" }));
    let (server, store) = (Server::new(login(&world.source)), world.s3.store());
    let pointers = Pointers::new(&store, "tidemark");
    let sinks = Overtaken {
        world: &world,
        store: &store,
        sink: SinkServer::new(login(&world.sink)),
    };
    let mut pipeline = Pipeline {
        source: &server,
        rows: MssqlRows::new(login(&world.source)),
        watermarks: &pointers,
        store: &store,
        prefix: "tidemark",
        sinks,
    };
    let planned = pipeline.plan("slow", std::slice::from_ref(&spec)).await.unwrap();
    assert_eq!(planned.windows.len(), 1);
    let slow = Box::pin(pipeline.copy_slice("slow", "dbo.t", &WindowName::initial(), 0)).await;
    assert!(matches!(
        slow.unwrap(),
        copy_delta::Response::Copied { resumed: true, .. }
    ));
    assert_eq!(world.rows("SELECT v FROM t"), ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_deleted_and_the_rest_is_merged() {
    let sink = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    let sink = stand_in(sink).await;
    let columns = [
        ("id", "int"),
        ("v", "varchar(10)"),
        (VERSION_COLUMN, "bigint"),
        (OPERATION_COLUMN, "nchar(1)"),
    ]
    .map(|(name, sql_type)| Column {
        name: name.to_owned(),
        sql_type: sql_type.parse().unwrap(),
        nullable: name == "v",
    });
    let shape = Shape::exact(&columns).unwrap();
    let spec: SqlServerSink = serde_json::from_value(json!({ "secret_arn": "sink" })).unwrap();
    let table: ObjectName = "t".parse().unwrap();
    let changes = RecordBatch::try_new(
        shape.schema().clone(),
        vec![
            Arc::new(Int32Array::from(vec![1, 2, 4, 9])) as ArrayRef,
            Arc::new(StringArray::from(vec![Some("A"), None, Some("d"), None])),
            Arc::new(Int64Array::from(vec![7, 8, 9, 9])),
            Arc::new(StringArray::from(vec!["U", "D", "I", "D"])),
        ],
    )
    .unwrap();
    for (round, deleted) in [(0, 1), (1, 0)] {
        let slice = SliceToMerge {
            source: &table,
            sink: &spec,
            shape: &shape,
            newest: Newest::Version,
        };
        let mut staged = SinkServer::new(login(&sink)).stage(&slice).await.unwrap();
        staged.load(&changes).await.unwrap();
        staged.lock().await.unwrap();
        let merged = staged.merge().await.unwrap();
        assert_eq!(
            merged.deleted, deleted,
            "round {round}: a key that is absent is deleted already"
        );
        assert_eq!(rows(&sink, "SELECT * FROM t ORDER BY id"), ["1|A", "3|c", "4|d"]);
    }
}

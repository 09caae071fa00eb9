//! Changes: which rows, columns and operations come of them.

use serde_json::json;
use tidemark::error::ErrorCode;

use crate::world::{T, Tracked, plain, spec};

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
    let listed = spec("t", json!({ "columns": ["C", "a"] }));
    tracked.run(&listed).await;
    assert_eq!(tracked.lines(&listed).await, ["1,x,2,0,I"]);
    tracked.execute("update t set c = 'y'");
    tracked.run(&listed).await;
    assert_eq!(tracked.lines(&listed).await, ["1,y,2,1,U"]);
    tracked
        .execute("create table u (id int primary key, sys_change_version int); alter table u enable change_tracking");
    let (code, cause) = tracked.failure(&plain("u")).await;
    assert!(
        code == ErrorCode::InvalidInput && cause.contains("sys_change_version"),
        "{code} {cause}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_by_its_changes_is_told_why() {
    let off = Tracked::untracked("create table t (id int primary key)").await;
    let (code, cause) = off.failure(&plain("t")).await;
    assert!(
        code == ErrorCode::ChangeTrackingInvalid && cause.contains("ALTER DATABASE"),
        "{code} {cause}"
    );

    let on = Tracked::new("create table t (id int primary key); create table heap (id int)").await;
    for (table, expected, said) in [
        (
            "t",
            ErrorCode::ChangeTrackingInvalid,
            "ALTER TABLE [dbo].[t] ENABLE CHANGE_TRACKING",
        ),
        ("heap", ErrorCode::ChangeTrackingInvalid, "no primary key"),
        ("missing", ErrorCode::SourceRejected, "dbo.missing is not there"),
    ] {
        let (code, cause) = on.failure(&plain(table)).await;
        assert!(code == expected && cause.contains(said), "{code} {cause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_changes_advances_with_the_database() {
    let tracked = Tracked::new(T).await;
    tracked.run(&plain("t")).await;
    tracked.execute("insert into other values (1)");
    assert_eq!(tracked.run(&plain("t")).await.unchanged, [plain("t").table]);
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
    assert!(
        code == ErrorCode::SchemaMismatch && cause.contains('v'),
        "{code} {cause}"
    );
    let mut continued = spec.clone();
    continued.on_schema_change = serde_json::from_value("continue".into()).unwrap();
    tracked.run(&continued).await;
    assert_eq!(tracked.lines(&spec).await, ["3,2,I"]);
}

/// What is deleted or changed meanwhile is then seen as the window has it, and its versions are not cleaned up.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_read_in_a_snapshot_where_the_database_allows_it() {
    let tracked = Tracked::new(T).await;
    tracked.run(&plain("t")).await;
    let snapshots = async |change: &str| {
        tracked.execute(change);
        tracked.world.sandbox.statements();
        tracked.run(&plain("t")).await;
        let statements = tracked.world.sandbox.statements();
        let begins = |text: &&String| text.contains("SET TRANSACTION ISOLATION LEVEL SNAPSHOT");
        statements.iter().filter(begins).count()
    };
    assert!(snapshots("update t set v = 11 where id = 1").await > 0);
    tracked.execute("alter database current set allow_snapshot_isolation off");
    assert_eq!(snapshots("update t set v = 12 where id = 1").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_cut_by_the_key() {
    let tracked = Tracked::new(T).await;
    tracked.execute("insert into t select value, value from generate_series(3, 50)");
    let sliced = spec("t", json!({ "slice_rows": 10 }));
    tracked.run(&sliced).await;
    let chain = tracked.chain(&sliced).await;
    assert_eq!((chain[0].rows, chain[0].parts.len()), (50, 5));
    assert_eq!(tracked.lines(&sliced).await.len(), 50);
}

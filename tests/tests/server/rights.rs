//! Logins that may not read everything.

use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::model::values::Values;
use tidemark::model::window::WindowName;
use tidemark::ports::source::{ProbeSource, Veil};
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

/// A table, and a login that may read it.
const TABLE: &str = "create table t (v int primary key, secret varchar(20), n int); insert into t values (1, 'hunter2', 10); \
     create login reader with password = 'Reader-1'; create user reader for login reader; grant select on t to reader;";

/// Makes the copy of table `t` with other settings, by the login `reader`.
fn copy(world: &World, more: &Value) -> TableCopy {
    let mut spec = json!({
        "table": "t", "tracking": { "watermark": { "column": "v", "settle_seconds": 0 } }, "format": { "csv": { "header": false } },
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    TableCopy::of(&world.login_as("reader", "Reader-1"), spec)
}

/// Returns why a run failed, as it must have.
async fn refused(world: &World, more: &Value) -> String {
    let mut copy = copy(world, more);
    let outcome = copy.try_run().await;
    assert!(outcome.committed.is_empty() && copy.lines().is_empty(), "{more}");
    let failed = &outcome.failed[0];
    assert_eq!(failed.error, ErrorCode::SourceRejected, "{}", failed.cause);
    failed.cause.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_copied_without_the_column_that_its_login_is_denied() {
    let world = World::new(TABLE).await;
    world.execute("deny select on t (secret) to reader");
    for settings in [json!({ "exclude": ["Secret"] }), json!({ "columns": ["v", "n"] })] {
        let mut copy = copy(&world, &settings);
        assert_eq!(copy.run().await.committed[0].rows, 1, "{settings}");
        assert_eq!(copy.lines(), ["1,10"]);
    }
    for settings in [json!({}), json!({ "columns": ["v", "secret"] })] {
        let cause = refused(&world, &settings).await;
        assert!(
            cause.contains("column secret of dbo.t may not be read by this login")
                && cause.contains("name the column in exclude"),
            "{cause}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_login_may_not_read_fails_and_says_so() {
    let world = World::new(TABLE).await;
    world.execute("revoke select on t from reader");
    let cause = refused(&world, &json!({})).await;
    assert!(cause.contains("229"), "{cause}");
    // A right to a few columns is enough to copy these.
    world.execute("grant select on t (v, n) to reader");
    let mut copy = copy(&world, &json!({ "columns": ["v", "n"] }));
    assert_eq!(copy.run().await.committed[0].rows, 1);
    assert_eq!(copy.lines(), ["1,10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_column_is_refused_by_name_or_taken_as_it_is_shown() {
    let world = World::new(TABLE).await;
    world.execute("alter table t alter column secret add masked with (function = 'default()')");
    let cause = refused(&world, &json!({})).await;
    assert!(
        cause.contains("column secret of dbo.t is masked") && cause.contains("UNMASK"),
        "{cause}"
    );

    let mut taken = copy(&world, &json!({ "masked_columns": "copy" }));
    taken.run().await;
    assert_eq!(taken.lines(), ["1,xxxx,10"]);
    let manifest = taken.manifest(&WindowName::initial()).await;
    let values: Vec<_> = manifest.columns.iter().map(|column| &column.values).collect();
    assert_eq!(values, [&Values::OfSource, &Values::ServerMask, &Values::OfSource]);
    let mut without = copy(&world, &json!({ "exclude": ["secret"] }));
    without.run().await;
    assert_eq!(without.lines(), ["1,10"]);

    world.execute("grant unmask to reader");
    let mut unmasked = copy(&world, &json!({}));
    unmasked.run().await;
    assert_eq!(unmasked.lines(), ["1,hunter2,10"]);

    // A masked watermark would never move.
    world.execute("revoke unmask from reader; alter table t alter column v add masked with (function = 'default()')");
    let cause = refused(&world, &json!({ "masked_columns": "copy" })).await;
    assert!(cause.contains("column v of dbo.t is masked"), "{cause}");
}

/// The server masks what is computed of a masked column, and what a synonym stands for, but no catalog says so of the
/// column or of the synonym.
#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_found_behind_a_computed_column_and_a_synonym() {
    let world = World::new(TABLE).await;
    world.execute(
        "alter table t alter column secret add masked with (function = 'default()');
         alter table t add loud as (upper(secret)); create synonym s for t; grant select on s to reader",
    );
    let cause = refused(&world, &json!({ "exclude": ["secret"] })).await;
    assert!(cause.contains("column loud of dbo.t is masked"), "{cause}");
    let mut taken = copy(&world, &json!({ "exclude": ["secret"], "masked_columns": "copy" }));
    taken.run().await;
    assert_eq!(taken.lines(), ["1,10,xxxx"]);

    let cause = refused(&world, &json!({ "table": "s", "columns": ["v", "secret"] })).await;
    assert!(cause.contains("column secret of dbo.s is masked"), "{cause}");
    let mut without = copy(&world, &json!({ "table": "s", "columns": ["v", "N"] }));
    without.run().await;
    assert_eq!(without.lines(), ["1,10"]);

    world.execute("grant unmask to reader");
    for (table, line) in [("t", "1,hunter2,10,HUNTER2"), ("s", "1,hunter2,10,HUNTER2")] {
        let mut unmasked = copy(&world, &json!({ "table": table }));
        unmasked.run().await;
        assert_eq!(unmasked.lines(), [line], "{table}");
    }
}

/// Which columns of a view come from masked ones is in no catalog that a reader may see.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_may_show_masks_unless_the_login_sees_that_there_are_none() {
    let world = World::new(TABLE).await;
    world.execute("create view w as select v, secret as s from t; grant select on w to reader");
    let veil = async |user: &str| {
        let login = match user {
            "reader" => world.login_as("reader", "Reader-1"),
            _ => world.login(),
        };
        let server = Server::new(login);
        let (view, table) = ("w".parse().unwrap(), "t".parse().unwrap());
        let catalogs = server.catalogs(&[&view, &table]).await.unwrap();
        let veiled: Vec<_> = catalogs.into_iter().map(|catalog| catalog.unwrap().veil).collect();
        assert_eq!(
            veiled[1],
            Veil::None,
            "the catalog says of a table which columns are masked"
        );
        veiled[0]
    };
    assert_eq!(veil("reader").await, Veil::Possible, "it cannot know");
    world.execute("grant view definition to reader");
    assert_eq!(veil("reader").await, Veil::None, "it sees that there is no mask");
    world.execute("alter table t alter column secret add masked with (function = 'default()')");
    assert_eq!(veil("reader").await, Veil::Certain);
    world.execute("grant unmask to reader");
    assert_eq!((veil("reader").await, veil("owner").await), (Veil::None, Veil::None));
}

/// Every spelling would have a ledger, a stored watermark and files of its own.
#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_a_table_is_refused_with_the_right_one() {
    let world = World::new(TABLE).await;
    world.execute("create schema Sales; create table Sales.Orders (v int); insert into Sales.Orders values (1); create synonym Syn for t");
    for (written, declared) in [
        ("sales.orders", "Sales.Orders"),
        ("SALES.Orders", "Sales.Orders"),
        ("T", "dbo.t"),
        ("DBO.t", "dbo.t"),
        ("syn", "dbo.Syn"),
    ] {
        let spec = |table| json!({ "table": table, "tracking": { "watermark": { "column": "v" } }, "columns": ["v"] });
        let failed = TableCopy::of(&world.login(), spec(written)).try_run().await.failed;
        assert_eq!(failed[0].error, ErrorCode::InvalidInput, "{written}: {failed:?}");
        let said = format!("is called {declared} in the database");
        assert!(failed[0].cause.contains(&said), "{}", failed[0].cause);
        let planned = TableCopy::of(&world.login(), spec(declared)).plan().await;
        assert_eq!(planned.windows.len(), 1, "{declared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_hides_rows_is_noted_for_who_may_know_of_it() {
    let world = World::new(TABLE).await;
    world.execute(
        "insert into t values (2, 'x', 99)\nGO
         create function f(@n int) returns table as return select 1 as ok where @n < 50\nGO
         create security policy p add filter predicate dbo.f(n) on dbo.t with (state = on)",
    );
    let mut unaware = copy(&world, &json!({}));
    assert_eq!(unaware.plan().await.notes, []);
    world.execute("grant view definition on p to reader");
    let mut aware = copy(&world, &json!({}));
    let notes = aware.plan().await.notes;
    assert!(notes[0].filtered, "{notes:?}");
    aware.run().await;
    assert_eq!(aware.lines(), ["1,hunter2,10"]);
}

/// The load, the window of changes, and the load in place of an expired window each report that rows may be hidden.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_hides_rows_of_a_tracked_table_is_noted_with_each_window() {
    let world = World::new(&format!(
        "{TABLE} alter database current set change_tracking = on; alter table t enable change_tracking;
         grant view change tracking on t to reader; insert into t values (2, 'x', 99)\nGO
         create function f(@n int) returns table as return select 1 as ok where @n < 50\nGO
         create security policy p add filter predicate dbo.f(n) on dbo.t with (state = on)"
    ))
    .await;
    let tracked = json!({ "tracking": { "change_tracking": {} } });
    let mut unaware = copy(&world, &tracked);
    assert_eq!(unaware.plan().await.notes, []);
    world.execute("grant view definition on p to reader");
    let mut aware = copy(&world, &tracked);
    for change in ["select 1", "update t set n = 11 where v = 1"] {
        world.execute(change);
        let notes = aware.plan().await.notes;
        assert!(
            notes.len() == 1 && notes[0].filtered && notes[0].table.to_string() == "dbo.t",
            "{change}: {notes:?}"
        );
        let committed = aware.run().await.committed;
        assert_eq!(committed[0].rows, 1);
        let unseen = aware.manifest(&committed[0].window).await.unseen;
        assert!(unseen.filtered && !unseen.veiled, "{change}");
    }
    assert_eq!(aware.run().await.unchanged.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_for_change_tracking() {
    let world = World::new(&format!(
        "{TABLE} alter database current set change_tracking = on; alter table t enable change_tracking"
    ))
    .await;
    let tracked = json!({ "tracking": { "change_tracking": {} } });
    let mut without = copy(&world, &tracked);
    let outcome = without.try_run().await;
    assert_eq!(
        outcome.failed[0].error,
        ErrorCode::ChangeTrackingInvalid,
        "{}",
        outcome.failed[0].cause
    );
    world.execute("grant view change tracking on t to reader");
    let mut with = copy(&world, &tracked);
    assert_eq!(with.run().await.committed[0].rows, 1);
    world.execute("update t set n = 11");
    assert_eq!(with.run().await.committed[0].rows, 1);
}

//! Views, synonyms and replicas whose rows are not those of this database: what would be lost or copied as masks is
//! refused, and what cannot be seen is noted.

use serde_json::{Value, json};
use tidemark::error::ErrorCode;
use tidemark::model::window::WindowName;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

/// Another database with a table, and a login that reads this one.
const OTHER: &str = "create database other\nGO\nuse other\nGO\ncreate table t (id int primary key, rv rowversion); insert into t (id) values (1)";
const READER: &str = "create login reader with password = 'Reader-1'; create user reader for login reader;";

fn by_row_version(table: &str) -> Value {
    json!({ "table": table, "tracking": { "watermark": { "column": "rv" } }, "format": { "csv": { "header": false } } })
}

/// Plans a table by a login. Returns why it failed, with its code, or `None`.
async fn failed(world: &World, user: &str, spec: Value) -> Option<(ErrorCode, String)> {
    let login = match user {
        "reader" => world.login_as("reader", "Reader-1"),
        _ => world.login(),
    };
    let failed = TableCopy::of(&login, spec).plan().await.failed.into_iter().next()?;
    Some((failed.error, failed.cause))
}

/// The bound is the lowest row version in use in this database, and every database has a counter of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_another_database_is_not_followed_by_a_rowversion() {
    let world = World::new("create table t (id int primary key, rv rowversion); insert into t (id) values (1)").await;
    world.execute(OTHER);
    world.execute(
        "create view v as select id, rv from other.dbo.t\nGO\ncreate view nested as select id, rv from v\nGO\n\
         create synonym s for nested\nGO\ncreate synonym far for other.dbo.t\nGO\ncreate view through as select id, rv from far\nGO\n\
         create view own as select id, rv from dbo.t\nGO\ncreate synonym near for own",
    );
    for table in ["v", "nested", "s", "through"] {
        let (code, cause) = failed(&world, "owner", by_row_version(table)).await.unwrap();
        assert_eq!(code, ErrorCode::SourceRejected, "{table}: {cause}");
        assert!(
            cause.contains("in another database") && cause.contains("rows of another one would be left out"),
            "{cause}"
        );
    }
    for table in ["own", "near", "t"] {
        let mut copy = TableCopy::of(&world.login(), by_row_version(table));
        assert_eq!(copy.run().await.committed[0].rows, 1, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_the_login_does_not_see_through_is_not_followed_by_a_rowversion_unless_it_stays_in_its_database() {
    let world = World::new("create table t (id int primary key, rv rowversion); insert into t (id) values (1)").await;
    world.execute(READER);
    world.execute(
        "create view own as select id, rv from dbo.t\nGO\ncreate view bound with schemabinding as select id, rv from dbo.t\nGO\n\
         grant select on own to reader; grant select on bound to reader",
    );
    assert_eq!(failed(&world, "reader", by_row_version("bound")).await, None);
    let (code, cause) = failed(&world, "reader", by_row_version("own")).await.unwrap();
    assert_eq!(code, ErrorCode::SourceRejected, "{cause}");
    assert!(
        cause.contains("VIEW DEFINITION") && cause.contains("WITH SCHEMABINDING"),
        "{cause}"
    );
    world.execute("grant view definition on own to reader");
    assert_eq!(failed(&world, "reader", by_row_version("own")).await, None);
}

/// The owner's right to what is below a view is enough to read the view, so a login need not see it. What it does not see may
/// be a table, or a view of another database.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_what_the_login_does_not_see_is_followed_by_a_rowversion_and_noted() {
    let world = World::new("create table t (id int primary key, rv rowversion); insert into t (id) values (1)").await;
    world.execute(OTHER);
    world.execute(&format!(
        "{READER} exec('create view far as select id, rv from other.dbo.t')\nGO\n
         create view nested as select id, rv from dbo.far\nGO\ngrant select on nested to reader; grant view definition on nested to reader"
    ));
    let mut copy = TableCopy::of(&world.login_as("reader", "Reader-1"), by_row_version("nested"));
    let run = copy.plan().await;
    assert!(run.failed.is_empty() && run.notes[0].unseen_sources, "{run:?}");
    let committed = copy.run().await.committed;
    assert!(copy.manifest(&committed[0].window).await.unseen.sources);
    // Once it sees the view below, it is told what that reads.
    world.execute("grant view definition on far to reader");
    let (_, cause) = failed(&world, "reader", by_row_version("nested")).await.unwrap();
    assert!(cause.contains("in another database"), "{cause}");
    let owner = TableCopy::of(&world.login(), by_row_version("t")).plan().await;
    assert!(owner.notes.is_empty(), "{owner:?}");
}

/// The catalog knows other servers by names of four parts alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_sends_a_query_to_another_server_is_not_followed_by_a_rowversion_and_may_show_masks() {
    let world = World::new("create table t (id int primary key, rv rowversion); insert into t (id) values (1)").await;
    world.execute(
        "create view v as select id, rv from openquery(far, 'select id, rv from t')\nGO\ncreate view nested as select id, rv from v\nGO\n\
         create view named as select id as [openquery(], rv from dbo.t",
    );
    let by_id = |table: &str| json!({ "table": table, "tracking": { "watermark": { "column": "id" } } });
    for table in ["v", "nested"] {
        let (code, cause) = failed(&world, "owner", by_row_version(table)).await.unwrap();
        assert!(
            code == ErrorCode::SourceRejected && cause.contains("sends a query to another server"),
            "{table}: {cause}"
        );
        let planned = TableCopy::of(&world.login(), by_id(table)).plan().await;
        assert!(planned.failed.is_empty() && planned.notes[0].veiled, "{planned:?}");
    }
    assert_eq!(failed(&world, "owner", by_row_version("named")).await, None);
}

/// The rights in this database say nothing of another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_or_a_table_of_another_database_may_show_masks() {
    let world = World::new(
        "create external table away (id int not null) with (data_source = elsewhere)\nGO\n
         create table t (id int primary key)\nGO\ncreate view own as select id from dbo.t",
    )
    .await;
    world.execute(OTHER);
    world.execute(&format!(
        "{READER} grant unmask to reader; grant view definition to reader; grant select to reader\nGO\n
         create view v as select id from other.dbo.t\nGO\ncreate view nested as select id from v"
    ));
    for (table, user, veiled) in [
        ("v", "reader", true),
        ("nested", "reader", true),
        ("away", "reader", true),
        ("own", "reader", false),
        ("v", "owner", false),
        ("away", "owner", true),
    ] {
        let login = match user {
            "reader" => world.login_as("reader", "Reader-1"),
            _ => world.login(),
        };
        let spec = json!({ "table": table, "tracking": { "watermark": { "column": "id" } } });
        let planned = TableCopy::of(&login, spec).plan().await;
        let is_noted = planned.notes.iter().any(|note| note.veiled);
        assert!(
            planned.failed.is_empty() && is_noted == veiled,
            "{table} {user}: {planned:?}"
        );
    }
}

/// A login that may only read does not see policies, and so cannot say that there is none.
#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_says_whether_the_login_sees_security_policies() {
    let world = World::new("create table t (id int primary key); insert into t values (1)").await;
    world.execute(&format!("{READER} grant select on t to reader"));
    let spec = json!({ "table": "t", "tracking": { "watermark": { "column": "id", "settle_seconds": 0 } } });
    let mut copy = TableCopy::of(&world.login_as("reader", "Reader-1"), spec);
    assert_eq!(copy.plan().await.notes, [], "it is the same for every table");
    let first = copy.run().await.committed;
    assert!(copy.manifest(&first[0].window).await.unseen.policies);
    world.execute("grant view definition to reader; insert into t values (2)");
    let second = copy.run().await.committed;
    assert!(copy.manifest(&second[0].window).await.unseen.is_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_recognised_however_it_is_reached() {
    let world = World::new(
        "alter database current set change_tracking = on\nGO\ncreate table t (id int primary key, rv rowversion); \
         insert into t (id) values (1); alter table t enable change_tracking",
    )
    .await;
    let tracked = json!({ "table": "t", "tracking": { "change_tracking": {} } });
    let by_id = json!({ "table": "t", "tracking": { "watermark": { "column": "id" } } });
    for spec in [&tracked, &by_row_version("t")] {
        assert_eq!(failed(&world, "owner", spec.clone()).await, None);
    }
    world.sandbox.become_replica();
    for (spec, said) in [
        (tracked, "change tracking cannot be read on a replica"),
        (by_row_version("t"), "a rowversion cannot be followed on a replica"),
    ] {
        let (code, cause) = failed(&world, "owner", spec).await.unwrap();
        assert!(code == ErrorCode::InvalidConfig && cause.contains(said), "{cause}");
    }
    assert_eq!(failed(&world, "owner", by_id).await, None);
}

/// A snapshot is read-only as a database is that its owner has set so, but its original goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_database_is_taken_for_a_replica() {
    let world = World::new(
        "alter database current set change_tracking = on\nGO\ncreate table t (id int primary key, rv rowversion); \
         insert into t (id) values (1); alter table t enable change_tracking",
    )
    .await;
    world.sandbox.become_snapshot().unwrap();
    let tracked = json!({ "table": "t", "tracking": { "change_tracking": {} } });
    for spec in [tracked, by_row_version("t")] {
        let (code, cause) = failed(&world, "owner", spec).await.unwrap();
        assert!(
            code == ErrorCode::InvalidConfig && cause.contains("in a snapshot of a database"),
            "{cause}"
        );
    }
    let by_id = json!({ "table": "t", "tracking": { "watermark": { "column": "id" } } });
    assert_eq!(failed(&world, "owner", by_id).await, None);
}

/// The catalog has it among the tables, and no rowversion of this database counts its rows.
#[tokio::test(flavor = "multi_thread")]
async fn an_external_table_and_a_view_of_it_are_not_followed_by_a_rowversion() {
    let world = World::new(
        "create external table far (id int not null, rv binary(8)) with (data_source = elsewhere)\nGO\n\
         create external table away (id int not null, rv rowversion) with (data_source = elsewhere)\nGO\n\
         create view v as select id, rv from dbo.away\nGO\ncreate synonym s for away",
    )
    .await;
    for table in ["away", "v", "s"] {
        let (code, cause) = failed(&world, "owner", by_row_version(table)).await.unwrap();
        assert!(
            code == ErrorCode::SourceRejected && cause.contains("in another database"),
            "{table}: {cause}"
        );
    }
    let by_id = json!({ "table": "far", "tracking": { "watermark": { "column": "id" } } });
    assert_eq!(failed(&world, "owner", by_id).await, None);
}

/// Nothing is behind a database that only its owner keeps from being written to.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_set_to_read_only_is_no_replica() {
    let world = World::new(
        "alter database current set change_tracking = on\nGO\ncreate table t (id int primary key, rv rowversion); \
         insert into t (id) values (1); alter table t enable change_tracking\nGO\nalter database current set read_only",
    )
    .await;
    let refused = world.sandbox.execute("insert into t (id) values (2)").unwrap_err();
    assert_eq!(refused.number, 3906);
    for spec in [
        json!({ "table": "t", "tracking": { "change_tracking": {} } }),
        by_row_version("t"),
    ] {
        assert_eq!(failed(&world, "owner", spec).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_found_behind_a_synonym_that_names_its_own_database() {
    let world = World::new(
        "create table m (id int primary key, mail varchar(20) masked with (function = 'default()')); insert into m values (1, 'a@b.c')",
    )
    .await;
    let database = world.login().database;
    world.execute(&format!(
        "{READER} create synonym s3 for {database}.dbo.m; grant select on m to reader; grant select on s3 to reader"
    ));
    let spec = |columns: &[&str]| json!({ "table": "s3", "tracking": { "watermark": { "column": "id" } }, "columns": columns });
    let (code, cause) = failed(&world, "reader", spec(&["id", "mail"])).await.unwrap();
    assert!(
        code == ErrorCode::SourceRejected && cause.contains("column mail of dbo.s3 is masked"),
        "{cause}"
    );
    assert_eq!(failed(&world, "reader", spec(&["id"])).await, None);
}

/// The masks of a view are in no catalog that a reader may see. It is refused when there are masked columns, and noted
/// when there may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_may_show_masks_is_noted_and_one_of_a_database_with_masks_is_refused() {
    let world = World::new(
        "create table m (id int primary key, mail varchar(20) masked with (function = 'default()')); insert into m values (1, 'a@b.c')\nGO\n\
         create table u (id int primary key)\nGO\ncreate view v as select id, mail from m\nGO\ncreate view plain as select id from u",
    )
    .await;
    world.execute(&format!(
        "{READER} grant select on v to reader; grant select on plain to reader"
    ));
    let spec = |table: &str| json!({ "table": table, "tracking": { "watermark": { "column": "id" } }, "format": { "csv": { "header": false } } });
    let noted = TableCopy::of(&world.login_as("reader", "Reader-1"), spec("v"))
        .plan()
        .await;
    assert!(noted.failed.is_empty() && noted.notes[0].veiled, "{noted:?}");

    world.execute("grant view definition to reader");
    let (code, cause) = failed(&world, "reader", spec("v")).await.unwrap();
    assert!(
        code == ErrorCode::SourceRejected && cause.contains("masked_columns to copy"),
        "{cause}"
    );
    let plain = TableCopy::of(&world.login_as("reader", "Reader-1"), spec("plain"))
        .plan()
        .await;
    assert!(
        plain.failed.is_empty() && plain.notes.is_empty(),
        "what the view reads has no masks: {plain:?}"
    );

    let mut taken = spec("v");
    taken["masked_columns"] = json!("copy");
    let mut taken = TableCopy::of(&world.login_as("reader", "Reader-1"), taken);
    assert_eq!(taken.plan().await.notes, [], "it is taken on purpose");
    taken.run().await;
    assert_eq!(taken.lines(), ["1,xxxx"]);
    assert!(taken.manifest(&WindowName::initial()).await.unseen.veiled);
    let mut owner = TableCopy::of(&world.login(), spec("v"));
    owner.run().await;
    assert_eq!(owner.lines(), ["1,a@b.c"]);
    assert!(owner.manifest(&WindowName::initial()).await.unseen.is_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_in_a_view_selects_is_what_the_view_reads() {
    let world = World::new(
        "create table m (id int primary key, mail varchar(20) masked with (function = 'default()')); insert into m values (1, 'a@b.c');\
         create table u (id int primary key); insert into u values (1)\nGO\n\
         create function mail_of(@id int) returns varchar(20) as begin return (select mail from dbo.m where id = @id) end\nGO\n\
         create function twice(@id int) returns int as begin return @id * 2 end\nGO\n\
         create view reads as select id, dbo.mail_of(id) as mail from u\nGO\n\
         create view counts as select id, dbo.twice(id) as n from u",
    )
    .await;
    world.execute(&format!(
        "{READER} grant select on reads to reader; grant select on counts to reader; grant view definition to reader"
    ));
    let spec = |table: &str| json!({ "table": table, "tracking": { "watermark": { "column": "id" } }, "format": { "csv": { "header": false } } });
    let (code, cause) = failed(&world, "reader", spec("reads")).await.unwrap();
    assert!(
        code == ErrorCode::SourceRejected && cause.contains("masked_columns to copy"),
        "{cause}"
    );
    let mut counts = TableCopy::of(&world.login_as("reader", "Reader-1"), spec("counts"));
    assert_eq!(counts.plan().await.notes, [], "its function reads nothing");
    counts.run().await;
    assert_eq!(counts.lines(), ["1,2"]);

    // Whoever does not see what the function does cannot know.
    world.execute("revoke view definition from reader; grant view definition on counts to reader; grant view definition on m to reader");
    let (_, cause) = failed(&world, "reader", spec("counts")).await.unwrap();
    assert!(cause.contains("masked_columns to copy"), "{cause}");

    world.execute(
        "create function f(@n int) returns table as return select 1 as ok where @n < 50\nGO
         create security policy p add filter predicate dbo.f(id) on dbo.m with (state = on)",
    );
    for (view, filtered) in [("reads", true), ("counts", false)] {
        let notes = TableCopy::of(&world.login(), spec(view)).plan().await.notes;
        assert_eq!(notes.iter().any(|note| note.filtered), filtered, "{view}: {notes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_computed_of_unmasked_ones_is_copied_when_the_login_sees_that() {
    let world = World::new(
        "create table t (id int primary key, mail varchar(20) masked with (function = 'default()'), twice as (id * 2), loud as (upper(mail)));
         insert into t (id, mail) values (1, 'a@b.c')",
    )
    .await;
    world.execute(&format!("{READER} grant select on t to reader"));
    let spec =
        |columns: &[&str]| json!({ "table": "t", "tracking": { "watermark": { "column": "id" } }, "columns": columns });
    for columns in [["id", "twice"], ["id", "loud"]] {
        assert!(
            failed(&world, "reader", spec(&columns))
                .await
                .unwrap()
                .1
                .contains("is masked"),
            "{columns:?}"
        );
    }
    world.execute("grant view definition on t to reader");
    assert_eq!(failed(&world, "reader", spec(&["id", "twice"])).await, None);
    assert!(
        failed(&world, "reader", spec(&["id", "loud"]))
            .await
            .unwrap()
            .1
            .contains("column loud of dbo.t is masked")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_filters_what_a_view_reads_is_noted() {
    let world = World::new(
        "create table t (id int primary key); insert into t values (1); create table u (id int primary key); insert into u values (1)\nGO
         create view v as select id from t\nGO\ncreate view w as select id from v\nGO\ncreate view free as select id from u\nGO
         create function f(@n int) returns table as return select 1 as ok where @n < 50\nGO
         create security policy p add filter predicate dbo.f(id) on dbo.t with (state = on)",
    )
    .await;
    for (view, filtered) in [("v", true), ("w", true), ("free", false)] {
        let spec = json!({ "table": view, "tracking": { "watermark": { "column": "id" } } });
        let notes = TableCopy::of(&world.login(), spec).plan().await.notes;
        assert_eq!(notes.iter().any(|note| note.filtered), filtered, "{view}: {notes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_or_a_synonym_has_no_changes_and_is_told_so() {
    let world =
        World::new("alter database current set change_tracking = on; create table t (id int primary key)").await;
    world.execute(
        "alter table t enable change_tracking\nGO\ncreate view v as select id from t\nGO\ncreate synonym s for t",
    );
    for (table, said) in [("v", "dbo.v is a view"), ("s", "dbo.s is a synonym")] {
        let spec = json!({ "table": table, "tracking": { "change_tracking": {} } });
        let (code, cause) = failed(&world, "owner", spec).await.unwrap();
        assert!(
            code == ErrorCode::ChangeTrackingInvalid && cause.contains(said),
            "{cause}"
        );
    }
}

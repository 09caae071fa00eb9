//! Columns that `SELECT *` leaves out or does not have as they are, and columns in code pages of their own.

use serde_json::json;
use tidemark::error::ErrorCode;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

/// A table whose rows tell since when they are valid, in a column that is hidden, as Entity Framework makes it.
const TEMPORAL: &str = "create table t (id int primary key, since datetime2(3) generated always as row start hidden not null, \
     until datetime2(3) generated always as row end hidden not null, n int, period for system_time (since, until))";

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_column_can_be_the_watermark_and_is_copied_when_it_is_named() {
    let world = World::new(TEMPORAL).await;
    let at = |moment: &str| world.sandbox.set_clock(moment, "UTC").unwrap();
    at("2026-05-01T10:00:00");
    world.execute("insert into t (id, n) values (1, 10), (2, 20)");
    let spec = |more: serde_json::Value| {
        let mut spec = json!({
            "table": "t", "tracking": { "watermark": { "column": "Since", "settle_seconds": 0 } },
            "format": { "csv": { "header": false } },
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let mut star = TableCopy::of(&world.login(), spec(json!({})));
    let mut named = TableCopy::of(&world.login(), spec(json!({ "columns": ["id", "since"] })));
    assert_eq!(star.run().await.committed[0].rows, 2);
    assert_eq!(named.run().await.committed[0].rows, 2);
    assert_eq!(star.lines(), ["1,10", "2,20"]);

    at("2026-05-01T11:00:00");
    world.execute("update t set n = 11 where id = 1");
    assert_eq!(star.run().await.committed[0].rows, 1);
    assert_eq!(named.run().await.committed[0].rows, 1);
    assert_eq!(star.lines(), ["1,10", "1,11", "2,20"]);
    assert_eq!(
        named.lines(),
        [
            "1,2026-05-01 10:00:00.000",
            "1,2026-05-01 11:00:00.000",
            "2,2026-05-01 10:00:00.000"
        ]
    );
    assert_eq!(star.stored().await.as_deref(), Some("2026-05-01T11:00:00.000"));
}

/// The set repeats the columns, so it is copied only where it is named.
#[tokio::test(flavor = "multi_thread")]
async fn sparse_columns_are_copied_and_the_column_set_of_them_when_it_is_named() {
    let world = World::new(
        "create table t (id int primary key, a int sparse null, b nvarchar(9) sparse null, everything xml column_set for all_sparse_columns);
         insert into t (id, a) values (1, 10); insert into t (id, b) values (2, 'x')",
    )
    .await;
    let spec = |more: serde_json::Value| {
        let mut spec = json!({
            "table": "t", "tracking": { "watermark": { "column": "id" } }, "format": { "csv": { "header": false } },
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let mut all = TableCopy::of(&world.login(), spec(json!({})));
    all.run().await;
    assert_eq!(all.lines(), ["1,10,", "2,,x"]);
    let mut named = TableCopy::of(&world.login(), spec(json!({ "columns": ["id", "everything"] })));
    named.run().await;
    assert_eq!(named.lines(), ["1,<a>10</a>", "2,<b>x</b>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_its_clients_encrypt_is_refused_by_name_unless_it_is_left_out() {
    let world = World::new(
        "create table t (id int primary key, name nvarchar(9), ssn varchar(11) encrypted with (column_encryption_key = k, \
         encryption_type = deterministic, algorithm = 'AEAD_AES_256_CBC_HMAC_SHA_256') null);
         insert into t (id, name) values (1, 'a')",
    )
    .await;
    let spec = |more: serde_json::Value| {
        let mut spec = json!({
            "table": "t", "tracking": { "watermark": { "column": "id" } }, "format": { "csv": { "header": false } },
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    for refused in [json!({}), json!({ "columns": ["id", "SSN"] })] {
        let mut copy = TableCopy::of(&world.login(), spec(refused));
        let failed = copy.try_run().await.failed;
        assert_eq!(failed[0].error, ErrorCode::UnsupportedType, "{failed:?}");
        assert!(
            failed[0]
                .cause
                .contains("column ssn of dbo.t is encrypted by Always Encrypted"),
            "{failed:?}"
        );
    }
    let mut copy = TableCopy::of(&world.login(), spec(json!({ "exclude": ["ssn"] })));
    copy.run().await;
    assert_eq!(copy.lines(), ["1,a"]);
}

/// A key, a watermark and values in several code pages.
const CODE_PAGES: &str = "create table t (id varchar(9) collate Chinese_PRC_CI_AS primary key, v int, \
     ru varchar(9) collate Cyrillic_General_CI_AS, jp char(3) collate Japanese_CI_AS, kr varchar(max) collate Korean_Wansung_CI_AS, \
     dos varchar(9) collate SQL_Latin1_General_CP850_CI_AS, utf8 varchar(20) collate Latin1_General_100_CI_AS_SC_UTF8, plain varchar(9)); \
     insert into t values (N'中', 1, N'Привет', N'日', N'한국', N'é║', N'é😀', N'é€'), (N'文', 2, N'é', N'é', N'é', N'€', N'', N'中')";

#[tokio::test(flavor = "multi_thread")]
async fn text_is_copied_from_the_code_page_of_its_column() {
    let world = World::new(CODE_PAGES).await;
    let mut copy = TableCopy::new(&world, "t", &[], &json!({ "column": "v", "settle_seconds": 0 }));
    copy.spec.columns = None;
    assert_eq!(copy.run().await.committed[0].rows, 2);
    assert_eq!(
        copy.lines(),
        [
            "中,1,Привет,\"日 \",한국,é║,é😀,é€",
            // What a code page lacks was a question mark before it was copied.
            "文,2,?,\"?  \",?,?,\"\",?",
        ]
    );
}

/// A ledger keeps what was dropped, and gives the column a name of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_dropped_from_a_ledger_table_is_copied_only_when_it_is_named() {
    let world = World::new(
        "create table t (id int primary key, v int, MSSQL_DroppedLedgerColumn_name_6391BEEC1FF44B4DADB858C1623BE4F9 nvarchar(9));
         insert into t values (1, 10, 'secret')",
    )
    .await;
    let spec = |more: serde_json::Value| {
        let mut spec = json!({
            "table": "t", "tracking": { "watermark": { "column": "id" } }, "format": { "csv": { "header": false } },
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let named = json!({ "columns": ["id", "MSSQL_DroppedLedgerColumn_name_6391BEEC1FF44B4DADB858C1623BE4F9"] });
    for (settings, line) in [(json!({}), "1,10"), (named, "1,secret")] {
        let mut copy = TableCopy::of(&world.login(), spec(settings));
        copy.run().await;
        assert_eq!(copy.lines(), [line]);
    }
    let tables = Server::new(world.login()).inventory().await.unwrap();
    assert_eq!(tables[0].columns.len(), 2);
}

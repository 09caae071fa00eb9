//! Logins, TLS, types on the wire, errors, attention and bulk loads, with tiberius as the client.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{config, connect, connect_with, number, sandbox};
use futures::TryStreamExt;
use tiberius::{AuthMethod, ColumnData, EncryptionLevel, QueryItem, TokenRow};
use tidemark_sandbox::{Action, Fault, SqlError};

/// A table with a column of every common type.
const ALL_TYPES: &str = "CREATE TABLE dbo.every_type (
  id int NOT NULL, c_bit bit, c_tinyint tinyint, c_smallint smallint, c_bigint bigint, c_decimal decimal(38,10),
  c_numeric numeric(9,2), c_smallmoney smallmoney, c_money money, c_real real, c_float float, c_date date,
  c_time time(7), c_time0 time(0), c_smalldatetime smalldatetime, c_datetime datetime, c_datetime2 datetime2(7),
  c_datetime2_3 datetime2(3), c_datetimeoffset datetimeoffset(7), c_char char(5), c_varchar varchar(20),
  c_varchar_max varchar(max), c_text text, c_nchar nchar(5), c_nvarchar nvarchar(20), c_nvarchar_max nvarchar(max),
  c_ntext ntext, c_binary binary(4), c_varbinary varbinary(10), c_varbinary_max varbinary(max), c_image image,
  c_guid uniqueidentifier, c_xml xml, c_rowversion rowversion)";

const A_ROW: &str = "INSERT INTO dbo.every_type VALUES (1, 1, 255, -32768, 9223372036854775807, -1234567890123456789012345678.0123456789,
  1234567.89, -214748.3648, 922337203685477.5807, 1.5, -2.25, '0001-01-01', '23:59:59.9999999', '12:34:56',
  '2079-06-06 23:59:00', '2017-09-05 08:06:00.997', '9999-12-31 23:59:59.9999999', '2017-09-05 08:06:00.123',
  '2017-09-05 08:06:00.1234567 +05:30', 'ab', 'é€', REPLICATE(CAST('x' AS varchar(max)), 9000), 'text', N'漢', N'😀', N'max', N'ntext',
  0x0102, 0x, 0xFF, 0x0A0B, '6F9619FF-8B86-D011-B42D-00C04FC964FF', '<a/>')";

fn row_of_nulls(columns: usize) -> String {
    format!("INSERT INTO dbo.every_type VALUES (2{})", ", NULL".repeat(columns - 2))
}

fn has_its_numbers(row: &tiberius::Row) {
    assert_eq!(row.get::<bool, _>(1), Some(true));
    assert_eq!(row.get::<u8, _>(2), Some(255));
    assert_eq!(row.get::<i16, _>(3), Some(-32768));
    assert_eq!(row.get::<i64, _>(4), Some(i64::MAX));
    let decimal = row.get::<tiberius::numeric::Numeric, _>(5).unwrap();
    assert_eq!(
        (decimal.value(), decimal.scale()),
        (-12_345_678_901_234_567_890_123_456_780_123_456_789, 10)
    );
    assert_eq!(row.get::<f64, _>(8), Some(922_337_203_685_477.6));
    assert_eq!(row.get::<f32, _>(9), Some(1.5));
    assert_eq!(row.get::<f64, _>(10), Some(-2.25));
}

fn has_its_texts_and_bytes(row: &tiberius::Row) {
    assert_eq!(row.get::<&str, _>(19), Some("ab   "));
    assert_eq!(row.get::<&str, _>(20), Some("é€"));
    assert_eq!(row.get::<&str, _>(21).map(str::len), Some(9000));
    assert_eq!(row.get::<&str, _>(22), Some("text"));
    assert_eq!(row.get::<&str, _>(23), Some("漢    "));
    assert_eq!(row.get::<&str, _>(24), Some("😀"));
    assert_eq!(row.get::<&str, _>(26), Some("ntext"));
    assert_eq!(row.get::<&[u8], _>(27), Some(&[1, 2, 0, 0][..]));
    assert_eq!(row.get::<&[u8], _>(28), Some(&[][..]));
    assert_eq!(row.get::<&[u8], _>(30), Some(&[10, 11][..]));
    assert_eq!(
        row.get::<tiberius::Uuid, _>(31).map(|g| g.to_string()),
        Some("6f9619ff-8b86-d011-b42d-00c04fc964ff".to_owned())
    );
    let xml = row
        .cells()
        .nth(32)
        .map(|(_, data)| format!("{data:?}"))
        .unwrap_or_default();
    assert!(xml.contains("<a/>"), "{xml}");
    assert_eq!(row.get::<&[u8], _>(33).map(<[u8]>::len), Some(8));
}

#[tokio::test]
async fn every_type_reaches_a_driver_with_its_value_and_metadata() {
    let sandbox = sandbox();
    sandbox.execute(ALL_TYPES).unwrap();
    sandbox.execute(A_ROW).unwrap();
    sandbox.execute(&row_of_nulls(34)).unwrap();
    let mut client = connect(&sandbox).await;
    let mut stream = client
        .query("SELECT * FROM dbo.every_type ORDER BY id", &[])
        .await
        .unwrap();
    let columns: Vec<String> = stream
        .columns()
        .await
        .unwrap()
        .unwrap()
        .iter()
        .map(|c| format!("{:?}", c.column_type()))
        .collect();
    assert_eq!(
        columns.join(" "),
        "Int4 Bitn Int1 Int2 Int8 Decimaln Decimaln Money Money Float4 Float8 Daten Timen Timen Datetimen Datetimen \
         Datetime2 Datetime2 DatetimeOffsetn BigChar BigVarChar BigVarChar Text NChar NVarchar NVarchar NText BigBinary \
         BigVarBin BigVarBin Image Guid Xml BigBinary"
    );
    let rows = stream.into_first_result().await.unwrap();
    let row = &rows[0];
    has_its_numbers(row);
    has_its_texts_and_bytes(row);
    let cells: Vec<String> = row.cells().map(|(_, data)| format!("{data:?}")).collect();
    assert_eq!(cells[11], "Date(Some(Date(0)))");
    assert!(cells[12].contains("increments: 863999999999"), "{}", cells[12]);
    assert!(
        cells[15].contains("days: 42981") && cells[15].contains("seconds_fragments: 8748299"),
        "{}",
        cells[15]
    );
    assert!(
        cells[16].contains("Date(3652058)") && cells[16].contains("863999999999"),
        "{}",
        cells[16]
    );
    assert!(cells[18].contains("offset: 330"), "{}", cells[18]);
    let nulls = rows[1]
        .cells()
        .filter(|(_, data)| format!("{data:?}").contains("None"))
        .count();
    assert_eq!(nulls, 32);
}

#[tokio::test]
async fn parameters_of_every_type_come_back_as_they_went() {
    let sandbox = sandbox();
    let mut client = connect(&sandbox).await;
    let row = client
        .query(
            "SELECT @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8",
            &[
                &1_i32,
                &i64::MIN,
                &"漢字",
                &true,
                &2.5_f64,
                &vec![1_u8, 2],
                &Option::<i32>::None,
                &tiberius::Uuid::nil(),
            ],
        )
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(1));
    assert_eq!(row.get::<i64, _>(1), Some(i64::MIN));
    assert_eq!(row.get::<&str, _>(2), Some("漢字"));
    assert_eq!(row.get::<bool, _>(3), Some(true));
    assert_eq!(row.get::<f64, _>(4), Some(2.5));
    assert_eq!(row.get::<&[u8], _>(5), Some(&[1, 2][..]));
    assert_eq!(row.get::<i32, _>(6), None);
    assert_eq!(row.get::<tiberius::Uuid, _>(7), Some(tiberius::Uuid::nil()));
}

#[tokio::test]
async fn types_of_expressions_are_inferred() {
    let sandbox = sandbox();
    sandbox.execute(ALL_TYPES).unwrap();
    let mut client = connect(&sandbox).await;
    let sql = "SELECT MAX(c_datetime), MAX(c_datetime2_3), MIN(c_rowversion), COUNT(*), COUNT_BIG(*), SUM(c_money), CAST(c_money AS decimal(19,4)),
      ISNULL(c_datetime, '2000-01-01'), CASE WHEN id > 1 THEN c_bigint ELSE 1 END, SYSUTCDATETIME(), GETDATE(), @P1, 'x', N'x', 1, 1.5
      FROM (SELECT * FROM every_type) AS t WHERE c_datetime <= CAST(@P1 AS datetime)
      GROUP BY c_money, c_datetime, c_bigint, id";
    let mut stream = client.query(sql, &[&"2000-01-01"]).await.unwrap();
    let columns: Vec<String> = stream
        .columns()
        .await
        .unwrap()
        .unwrap()
        .iter()
        .map(|c| format!("{:?}", c.column_type()))
        .collect();
    assert_eq!(
        columns.join(" "),
        "Datetimen Datetime2 BigBinary Int4 Int8 Money Decimaln Datetime Int8 Datetime2 Datetime NVarchar BigVarChar NVarchar Int4 Decimaln"
    );
}

#[tokio::test]
async fn errors_have_the_servers_numbers() {
    let sandbox = sandbox();
    sandbox
        .execute("CREATE TABLE t (a int, d datetime); INSERT t VALUES (1, '2020-01-01')")
        .unwrap();
    let mut client = connect(&sandbox).await;
    for (sql, want) in [
        ("SELECT * FORM t", 102),
        ("SELECT * FROM nosuch", 208),
        ("SELECT nosuch FROM t", 207),
        (
            "SELECT * FROM t WHERE d > CAST('2020-01-01T00:00:00.1234' AS datetime)",
            241,
        ),
        ("SELECT * FROM t WHERE a = 'x'", 245),
        ("EXEC nosuch", 2812),
        ("SELECT 1/0", 8134),
    ] {
        let error = match client.simple_query(sql).await {
            Ok(stream) => stream.into_results().await.err(),
            Err(e) => Some(e),
        };
        assert_eq!(error.as_ref().map(number), Some(want), "{sql}");
        let by_rpc = match client.query(sql, &[&1]).await {
            Ok(stream) => stream.into_results().await.err(),
            Err(e) => Some(e),
        };
        assert_eq!(by_rpc.as_ref().map(number), Some(want), "{sql} by RPC");
    }
    let row = client
        .query("SELECT 1", &[])
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(1));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_database_are_refused() {
    let sandbox = sandbox();
    let mut wrong = config(&sandbox);
    wrong.authentication(AuthMethod::sql_server("sa", "wrong"));
    assert_eq!(number(&connect_with(wrong, sandbox.port()).await.err().unwrap()), 18456);
    let mut unknown = config(&sandbox);
    unknown.database("nosuch");
    assert_eq!(
        number(&connect_with(unknown, sandbox.port()).await.err().unwrap()),
        4060
    );
}

#[tokio::test]
async fn a_client_without_the_authority_does_not_connect() {
    let sandbox = sandbox();
    let mut config = tiberius::Config::new();
    config.host("localhost");
    config.port(sandbox.port());
    config.authentication(AuthMethod::sql_server("sa", sandbox.password()));
    config.encryption(EncryptionLevel::Required);
    let error = connect_with(config, sandbox.port()).await.err().unwrap();
    assert!(!matches!(error, tiberius::error::Error::Server(_)), "{error}");
    let other = common::sandbox();
    let mut config = common::config(&sandbox);
    config.port(other.port());
    assert!(connect_with(config, other.port()).await.is_err());
}

#[tokio::test]
async fn every_connection_is_encrypted() {
    let sandbox = &sandbox();
    for (level, works) in [
        (EncryptionLevel::Off, true),
        (EncryptionLevel::Required, true),
        (EncryptionLevel::NotSupported, false),
    ] {
        let mut config = config(sandbox);
        config.encryption(level);
        let client = connect_with(config, sandbox.port()).await;
        assert_eq!(client.is_ok(), works, "{level:?} {:?}", client.err());
        if let Ok(mut client) = client {
            let row = client
                .query("SELECT @@SPID", &[])
                .await
                .unwrap()
                .into_row()
                .await
                .unwrap()
                .unwrap();
            assert!(row.get::<i16, _>(0).is_some());
        }
    }
}

#[tokio::test]
async fn an_attention_stops_a_stream_and_the_connection_lives_on() {
    let sandbox = sandbox();
    let mut client = connect(&sandbox).await;
    let started = Instant::now();
    {
        let mut stream = client
            .query(
                "SELECT value, REPLICATE('x', 100) FROM GENERATE_SERIES(1, 50000000)",
                &[],
            )
            .await
            .unwrap();
        let mut rows = 0;
        while let Some(item) = stream.try_next().await.unwrap() {
            rows += u32::from(matches!(item, QueryItem::Row(_)));
            if rows == 100 {
                break;
            }
        }
    }
    client.cancel_query().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
    let row = client
        .query("SELECT 5", &[])
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(5));
}

#[tokio::test]
async fn a_bulk_load_arrives_whole() {
    let sandbox = sandbox();
    sandbox
        .execute(
            "CREATE TABLE b (id int NOT NULL PRIMARY KEY, name nvarchar(50), amount decimal(10,2), at datetime2(7))",
        )
        .unwrap();
    let mut client = connect(&sandbox).await;
    let mut load = client.bulk_insert("b").await.unwrap();
    for i in 0..5000_i32 {
        let mut row = TokenRow::new();
        row.push(ColumnData::I32(Some(i)));
        row.push(if i % 2 == 0 {
            ColumnData::String(Some(format!("name {i}").into()))
        } else {
            ColumnData::String(None)
        });
        row.push(ColumnData::Numeric(Some(tiberius::numeric::Numeric::new_with_scale(
            i128::from(i),
            2,
        ))));
        row.push(ColumnData::DateTime2(None));
        load.send(row).await.unwrap();
    }
    assert_eq!(load.finalize().await.unwrap().total(), 5000);
    let sets = sandbox
        .execute("SELECT COUNT(*), COUNT(name), SUM(amount) FROM b")
        .unwrap();
    let want = ["5000", "2500", "124975.00"].map(|s| Some(s.to_owned()));
    assert_eq!(sets[0].rows, [want.to_vec()]);
}

#[tokio::test]
async fn transactions_isolate_until_they_end() {
    let sandbox = sandbox();
    sandbox.execute("CREATE TABLE t (a int)").unwrap();
    let (mut one, mut two) = (connect(&sandbox).await, connect(&sandbox).await);
    one.simple_query("BEGIN TRAN; INSERT t VALUES (1)")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    let count = |rows: Vec<tiberius::Row>| rows[0].get::<i32, _>(0).unwrap();
    let seen = two
        .query("SELECT COUNT(*) FROM t", &[])
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    assert_eq!(count(seen), 0);
    two.simple_query("SET LOCK_TIMEOUT 100")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    let blocked = two.execute("UPDATE t SET a = 2", &[]).await.err().unwrap();
    assert_eq!(number(&blocked), 1222);
    one.simple_query("COMMIT").await.unwrap().into_results().await.unwrap();
    let seen = two
        .query("SELECT COUNT(*) FROM t", &[])
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    assert_eq!(count(seen), 1);
    one.begin_transaction().await.unwrap();
    one.execute("INSERT t VALUES (3)", &[]).await.unwrap();
    one.rollback_transaction().await.unwrap();
    let seen = two
        .query("SELECT COUNT(*) FROM t", &[])
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    assert_eq!(count(seen), 1);
}

#[tokio::test]
async fn hints_that_keep_locks_make_others_wait() {
    let sandbox = sandbox();
    sandbox.execute("CREATE TABLE t (a int); INSERT t VALUES (1)").unwrap();
    let (mut one, mut two) = (connect(&sandbox).await, connect(&sandbox).await);
    let held = "BEGIN TRAN; DECLARE @a int = (SELECT a FROM t WITH (UPDLOCK, HOLDLOCK)); SELECT @a";
    one.simple_query(held).await.unwrap().into_results().await.unwrap();
    two.simple_query("SET LOCK_TIMEOUT 100")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    let blocked = match two.simple_query(held).await {
        Ok(stream) => stream.into_results().await.err(),
        Err(e) => Some(e),
    };
    assert_eq!(blocked.as_ref().map(number), Some(1222));
    one.simple_query("COMMIT").await.unwrap().into_results().await.unwrap();
    two.simple_query("IF @@TRANCOUNT > 0 ROLLBACK")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    two.simple_query(held).await.unwrap().into_results().await.unwrap();
}

#[tokio::test]
async fn ordered_faults_happen_once() {
    let sandbox = sandbox();
    let error = SqlError::new(40613, "Database is not currently available.").class(17);
    sandbox.inject(Fault {
        text: "GENERATE_SERIES".into(),
        after_rows: None,
        action: Action::Error(error),
        times: 1,
    });
    let mut client = connect(&sandbox).await;
    let sql = "SELECT value FROM GENERATE_SERIES(1, 100000)";
    let failed = match client.query(sql, &[]).await {
        Ok(stream) => stream.into_results().await.err(),
        Err(e) => Some(e),
    };
    assert_eq!(failed.as_ref().map(number), Some(40613));
    assert_eq!(
        client
            .query(sql, &[])
            .await
            .unwrap()
            .into_first_result()
            .await
            .unwrap()
            .len(),
        100_000
    );
    sandbox.inject(Fault {
        text: "GENERATE_SERIES".into(),
        after_rows: Some(500),
        action: Action::Disconnect,
        times: 1,
    });
    let cut = match client.query(sql, &[]).await {
        Ok(stream) => stream.into_first_result().await.err(),
        Err(e) => Some(e),
    };
    assert!(cut.is_some_and(|e| !matches!(e, tiberius::error::Error::Server(_))));
    let mut client = connect(&sandbox).await;
    sandbox.disconnect_all();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(client.query("SELECT 1", &[]).await.is_err());
}

//! The same server with Microsoft's own driver crate as the client.
#![allow(clippy::unwrap_used)]

mod common;

use std::borrow::Cow;
use std::time::Instant;

use common::{TUTORIAL, connect_mssql, sandbox};
use mssql_tds::connection::tds_client::{ResultSet, TdsClient};
use mssql_tds::datatypes::column_values::{
    ColumnValues, SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney,
    SqlTime, SqlXml,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::{EncodingType, SqlString};
use mssql_tds::datatypes::sql_vector::SqlVector;
use mssql_tds::datatypes::sqltypes::SqlType;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};
use tidemark_sandbox::Sandbox;

async fn connect(sandbox: &Sandbox) -> TdsClient {
    connect_mssql(sandbox, sandbox.database(), 16_383).await
}

fn text(name: &str, value: &str) -> RpcParameter {
    let value = SqlType::NVarchar(Some(SqlString::from_utf8_string(value.to_owned())), 4000);
    RpcParameter::new(Some(name.to_owned()), StatusFlags::NONE, value)
}

async fn rows(client: &mut TdsClient) -> Vec<Vec<ColumnValues>> {
    let mut out = Vec::new();
    while let Some(row) = client.next_row().await.unwrap() {
        out.push(row);
    }
    client.close_query().await.unwrap();
    out
}

#[tokio::test]
async fn a_window_is_read_with_typed_bounds() {
    let sandbox = sandbox();
    sandbox.execute(TUTORIAL).unwrap();
    let mut client = connect(&sandbox).await;
    assert!(client.is_encrypted());
    let sql = "SELECT [PersonID], [Name], CAST([LastModifytime] AS datetime) AS [t] FROM [dbo].[data_source_table]
      WHERE [LastModifytime] > CAST(@P1 AS datetime) AND [LastModifytime] <= CAST(@P2 AS datetime)";
    let bounds = vec![
        text("@P1", "2017-09-01T00:56:00.000"),
        text("@P2", "2017-09-03T02:36:00.000"),
    ];
    client.execute_sp_executesql(sql.to_owned(), bounds, ()).await.unwrap();
    let names: Vec<String> = client.get_metadata().iter().map(|c| c.column_name.clone()).collect();
    assert_eq!(names, ["PersonID", "Name", "t"]);
    let rows = rows(&mut client).await;
    assert_eq!(
        rows.iter().map(|r| r[0].clone()).collect::<Vec<_>>(),
        [ColumnValues::Int(2), ColumnValues::Int(3)]
    );
    assert!(
        matches!(&rows[0][2], ColumnValues::DateTime(d) if d.days == 42_978),
        "{:?}",
        rows[0][2]
    );
}

/// Checks that the size is granted when it is asked for, and the connection is lost when a packet has it
/// (<https://github.com/dotnet/SqlClient/issues/69>).
#[tokio::test]
async fn a_packet_that_is_too_long_to_be_encrypted_ends_the_connection() {
    let sandbox = sandbox();
    let long = "SELECT REPLICATE(CAST('x' AS varchar(max)), 100000) AS x";
    for (packet_bytes, survives) in [(16_383, true), (32_767, false)] {
        let mut client = connect_mssql(&sandbox, sandbox.database(), packet_bytes).await;
        client.execute("SELECT 1 AS a".to_owned(), ()).await.unwrap();
        assert_eq!(rows(&mut client).await.len(), 1, "{packet_bytes}");
        let answered = client.execute(long.to_owned(), ()).await.is_ok() && client.next_row().await.is_ok();
        assert_eq!(answered, survives, "a row in packets of {packet_bytes}");
        let mut client = connect_mssql(&sandbox, sandbox.database(), packet_bytes).await;
        let long = format!("SELECT 1 AS a -- {}", "x".repeat(40_000));
        let answered = client.execute(long, ()).await.is_ok();
        assert_eq!(answered, survives, "a statement in packets of {packet_bytes}");
    }
}

#[tokio::test]
async fn every_type_is_decoded() {
    let sandbox = sandbox();
    let mut client = connect(&sandbox).await;
    client
        .execute(
            "SELECT CAST(1 AS bit), CAST(2 AS tinyint), CAST(-3 AS smallint), 4, CAST(5 AS bigint), CAST(1.5 AS real), CAST(2.5 AS float),
              CAST(-12.34 AS decimal(38,2)), CAST(-1.2345 AS money), CAST(1.5 AS smallmoney), CAST('2020-02-29' AS date),
              CAST('01:02:03.4567' AS time(4)), CAST('2020-02-29 01:02' AS smalldatetime), CAST('2020-02-29 01:02:03.4567891' AS datetime2(7)),
              CAST('2020-02-29 01:02:03 -05:00' AS datetimeoffset(0)), CAST('abc' AS varchar(max)), N'漢', CAST(0x0102 AS varbinary(max)),
              CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier), CAST('<a/>' AS xml), NULL, CAST('t' AS text), CAST(N'n' AS ntext), CAST(0x03 AS image)"
                .to_owned(),
            (),
        )
        .await
        .unwrap();
    let rows = rows(&mut client).await;
    let shown: Vec<String> = rows[0].iter().map(|v| format!("{v:?}")).collect();
    assert_eq!(
        shown[..7],
        [
            "Bit(true)",
            "TinyInt(2)",
            "SmallInt(-3)",
            "Int(4)",
            "BigInt(5)",
            "Real(1.5)",
            "Float(2.5)"
        ]
    );
    assert!(matches!(&rows[0][10], ColumnValues::Date(_)), "{}", shown[10]);
    assert!(
        matches!(&rows[0][11], ColumnValues::Time(t) if t.time_nanoseconds == 37_234_567_000),
        "{}",
        shown[11]
    );
    assert!(
        matches!(&rows[0][14], ColumnValues::DateTimeOffset(d) if d.offset == -300),
        "{}",
        shown[14]
    );
    assert!(
        matches!(&rows[0][15], ColumnValues::String(s) if s.to_utf8_string() == "abc"),
        "{}",
        shown[15]
    );
    assert!(
        matches!(&rows[0][16], ColumnValues::String(s) if s.to_utf8_string() == "漢"),
        "{}",
        shown[16]
    );
    assert_eq!(shown[20], "Null");
    assert!(
        matches!(&rows[0][21], ColumnValues::String(s) if s.to_utf8_string() == "t"),
        "{}",
        shown[21]
    );
    assert!(
        matches!(&rows[0][23], ColumnValues::Bytes(b) if b == &[3]),
        "{}",
        shown[23]
    );
}

#[tokio::test]
async fn errors_and_cancellation_leave_the_connection_usable() {
    let sandbox = sandbox();
    let mut client = connect(&sandbox).await;
    let error = client
        .execute("SELECT * FROM nosuch".to_owned(), ())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("Invalid object name 'nosuch'"), "{error}");
    client
        .execute("SELECT value FROM GENERATE_SERIES(1, 50000000)".to_owned(), ())
        .await
        .unwrap();
    assert!(client.next_row().await.unwrap().is_some());
    client.cancel_query(10).await.unwrap();
    client.execute("SELECT 7".to_owned(), ()).await.unwrap();
    assert_eq!(rows(&mut client).await, [[ColumnValues::Int(7)]]);
}

#[tokio::test]
async fn a_reset_leads_back_to_the_database_of_the_login() {
    let sandbox = sandbox();
    sandbox.execute("CREATE DATABASE other").unwrap();
    let mut client = connect_mssql(&sandbox, "other", 16_383).await;
    let first = sandbox.database().to_owned();
    for (statement, database) in [
        (format!("USE {first}"), first.as_str()),
        ("SELECT 1".to_owned(), "other"),
    ] {
        client.prepare_reset_connection(false);
        client.execute(statement, ()).await.unwrap();
        client.close_query().await.unwrap();
        assert_eq!(client.database(), database);
    }
    client.execute("SELECT DB_NAME()".to_owned(), ()).await.unwrap();
    let name = rows(&mut client).await;
    assert!(matches!(&name[0][0], ColumnValues::String(name) if name.to_utf8_string() == "other"));
}

#[tokio::test]
async fn a_rowversion_is_announced_as_a_timestamp_that_only_the_server_sets() {
    let sandbox = sandbox();
    sandbox.execute("CREATE TABLE t (id int, rv rowversion)").unwrap();
    let mut client = connect(&sandbox).await;
    client
        .execute("SELECT rv, id, @@DBTS FROM t".to_owned(), ())
        .await
        .unwrap();
    let seen: Vec<(u32, u16)> = client.get_metadata().iter().map(|c| (c.user_type, c.flags)).collect();
    // UserType is 0x50. Bits 2 and 3 are usUpdateable: 0 is ReadOnly, 2 unknown. Bit 0 is fNullable, bit 5 fComputed.
    assert_eq!(seen, [(0x50, 0), (0, 0b1001), (0, 0b10_0000)]);
}

/// A writer that forgets everything except the number of rows.
#[derive(Default)]
struct Counter {
    rows: u64,
    bytes: u64,
}

macro_rules! forget {
    ($($name:ident: $ty:ty),* $(,)?) => { $(fn $name(&mut self, _: usize, _: $ty) {})* };
}

impl RowWriter for Counter {
    fn write_null(&mut self, _: usize) {}
    fn write_string(&mut self, _: usize, bytes: Cow<'_, [u8]>, _: EncodingType) {
        self.bytes += bytes.len() as u64;
    }
    fn write_bytes(&mut self, _: usize, bytes: Cow<'_, [u8]>) {
        self.bytes += bytes.len() as u64;
    }
    forget! {
        write_bool: bool, write_u8: u8, write_i16: i16, write_i32: i32, write_i64: i64, write_f32: f32, write_f64: f64,
        write_decimal: DecimalParts, write_numeric: DecimalParts, write_date: SqlDate, write_time: SqlTime,
        write_datetime: SqlDateTime, write_smalldatetime: SqlSmallDateTime, write_datetime2: SqlDateTime2,
        write_datetimeoffset: SqlDateTimeOffset, write_money: SqlMoney, write_smallmoney: SqlSmallMoney,
        write_uuid: mssql_tds_uuid::Uuid, write_xml: SqlXml, write_json: SqlJson, write_vector: SqlVector,
    }
    fn end_row(&mut self) {
        self.rows += 1;
    }
}

/// The type of uniqueidentifiers in the driver's interface.
mod mssql_tds_uuid {
    pub(crate) use tiberius::Uuid;
}

/// Measures how fast a million rows of ten mixed columns arrive. Run it in an optimised build.
#[tokio::test]
#[ignore = "a measurement, for optimised builds: cargo test --release -- --ignored --nocapture"]
async fn a_million_mixed_rows_stream() {
    let sandbox = sandbox();
    sandbox
        .execute(
            "CREATE TABLE m (id int NOT NULL, big bigint, price money, amount decimal(18,4), f float, at datetime2(7), d datetime,
              name nvarchar(50), note varchar(100), g uniqueidentifier)",
        )
        .unwrap();
    let started = Instant::now();
    sandbox
        .execute(
            "INSERT INTO m SELECT value, CAST(value AS bigint) * 1000000007, CAST(value AS money) / 7, CAST(value % 1000 AS decimal(18,4)) / 3, value / 3.0e0,
               DATEADD(second, value, CAST('2020-01-01' AS datetime2(7))), DATEADD(second, value, CAST('2020-01-01' AS datetime)),
               CONCAT(N'name ', value), CASE WHEN value % 10 = 0 THEN NULL ELSE REPLICATE('x', value % 50) END, NEWID()
             FROM GENERATE_SERIES(1, 1000000)",
        )
        .unwrap();
    println!("filled in {:.2} s", started.elapsed().as_secs_f64());
    let mut client = connect(&sandbox).await;
    let started = Instant::now();
    client.execute("SELECT * FROM m".to_owned(), ()).await.unwrap();
    let mut counter = Counter::default();
    while client.next_row_into(&mut counter).await.unwrap() {}
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(counter.rows, 1_000_000);
    println!("streamed {:.0} rows/s over TLS", 1e6 / seconds);
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", peak.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default());
}

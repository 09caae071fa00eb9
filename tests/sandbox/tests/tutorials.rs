//! The tutorials' scripts run as they are printed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{MANY_TABLES_CHANGES, MANY_TABLES_DESTINATION, MANY_TABLES_SOURCE, TUTORIAL, connect, sandbox};
use tidemark_sandbox::{ResultSet, Sandbox};

fn rows(sandbox: &Sandbox, sql: &str) -> Vec<String> {
    let sets: Vec<ResultSet> = sandbox.execute(sql).unwrap();
    let last = sets.last().cloned().unwrap_or_default();
    last.rows
        .iter()
        .map(|r| {
            r.iter()
                .map(|v| v.clone().unwrap_or("NULL".into()))
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect()
}

#[test]
fn the_first_tutorial_runs_as_printed() {
    let sandbox = sandbox();
    sandbox.execute(TUTORIAL).unwrap();
    assert_eq!(
        rows(&sandbox, "select * from data_source_table"),
        [
            "1 | aaaa | 2017-09-01 00:56:00.000",
            "2 | bbbb | 2017-09-02 05:23:00.000",
            "3 | cccc | 2017-09-03 02:36:00.000",
            "4 | dddd | 2017-09-04 03:21:00.000",
            "5 | eeee | 2017-09-05 08:06:00.000",
        ]
    );
    assert_eq!(
        rows(&sandbox, "select * from watermarktable"),
        ["data_source_table | 2010-01-01 00:00:00.000"]
    );
    assert_eq!(
        rows(
            &sandbox,
            "select MAX(LastModifytime) as NewWatermarkvalue from data_source_table"
        ),
        ["2017-09-05 08:06:00.000"]
    );
    sandbox
        .execute("EXEC usp_write_watermark '2017-09-05T08:06:00', 'data_source_table'")
        .unwrap();
    assert_eq!(
        rows(&sandbox, "select * from watermarktable"),
        ["data_source_table | 2017-09-05 08:06:00.000"]
    );
    sandbox
        .execute(
            "INSERT INTO data_source_table VALUES (6, 'newdata','9/6/2017 2:23:00 AM')
             INSERT INTO data_source_table VALUES (7, 'newdata','9/7/2017 9:01:00 AM')",
        )
        .unwrap();
    assert_eq!(
        rows(
            &sandbox,
            "select * from data_source_table where LastModifytime > '2017-09-05 08:06:00.000' and LastModifytime <= '9/7/2017 9:01:00 AM'"
        ),
        [
            "6 | newdata | 2017-09-06 02:23:00.000",
            "7 | newdata | 2017-09-07 09:01:00.000"
        ]
    );
    sandbox
        .execute("exec [dbo].[usp_write_watermark] @TableName = N'data_source_table', @LastModifiedtime = '9/7/2017 9:01:00 AM'")
        .unwrap();
    assert_eq!(
        rows(&sandbox, "select * from watermarktable"),
        ["data_source_table | 2017-09-07 09:01:00.000"]
    );
}

#[test]
fn the_second_tutorial_runs_as_printed() {
    let sandbox = sandbox();
    sandbox.execute(MANY_TABLES_SOURCE).unwrap();
    assert_eq!(
        rows(
            &sandbox,
            "select MAX(Creationtime) as NewWatermarkvalue from project_table"
        ),
        ["2017-03-04 05:16:00.000"]
    );
    sandbox.execute(MANY_TABLES_CHANGES).unwrap();
    assert_eq!(
        rows(&sandbox, "select * from customer_table where PersonID = 3"),
        ["3 | NewName | 2017-09-08 00:00:00.000"]
    );

    let sink = common::sandbox();
    sink.execute(MANY_TABLES_DESTINATION).unwrap();
    let first = "DECLARE @rows DataTypeforCustomerTable;
         INSERT INTO @rows VALUES (1, 'John', '9/1/2017 12:56:00 AM'), (3, 'Alice', '9/3/2017 2:36:00 AM');
         EXEC usp_upsert_customer_table @rows;
         SELECT * FROM customer_table ORDER BY PersonID";
    let both = [
        "1 | John | 2017-09-01 00:56:00.000",
        "3 | Alice | 2017-09-03 02:36:00.000",
    ];
    assert_eq!(rows(&sink, first), both);
    assert_eq!(rows(&sink, first), both, "the second time changes nothing");
    let second = "DECLARE @rows AS dbo.DataTypeforCustomerTable;
         INSERT @rows SELECT 3, 'NewName', '2017-09-08T00:00:00Z' UNION ALL SELECT 6, NULL, NULL;
         EXEC dbo.usp_upsert_customer_table @customer_table = @rows;
         SELECT * FROM customer_table ORDER BY PersonID";
    assert_eq!(
        rows(&sink, second),
        [both[0], "3 | NewName | 2017-09-08 00:00:00.000", "6 | NULL | NULL"]
    );
}

#[tokio::test]
async fn a_driver_reads_the_window_and_writes_the_watermark() {
    let sandbox = sandbox();
    sandbox.execute(TUTORIAL).unwrap();
    let mut client = connect(&sandbox).await;
    let top = client
        .query("SELECT TOP (0) * FROM [dbo].[data_source_table]", &[])
        .await
        .unwrap();
    assert!(top.into_first_result().await.unwrap().is_empty());
    let max = client
        .query(
            "SELECT MAX([LastModifytime]) FROM [dbo].[data_source_table] WHERE [LastModifytime] <= CAST(SYSUTCDATETIME() AS datetime)",
            &[],
        )
        .await
        .unwrap();
    let row = max.into_row().await.unwrap().unwrap();
    let date = format!("{:?}", row.cells().next().unwrap().1);
    assert!(date.contains("DateTime(Some"), "{date}");
    let done = client
        .execute(
            "EXEC [dbo].[usp_write_watermark] @P1, @P2",
            &[&"2017-09-05T08:06:00.000", &"data_source_table"],
        )
        .await
        .unwrap();
    assert_eq!(done.total(), 1);
    let count = client
        .query(
            "SELECT COUNT_BIG(*) FROM [dbo].[data_source_table] WHERE [LastModifytime] > CAST(@P1 AS datetime) AND [LastModifytime] <= CAST(@P2 AS datetime)",
            &[&"2017-09-01T00:56:00.000", &"2017-09-05T08:06:00.000"],
        )
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count.get::<i64, _>(0), Some(4));
    let stored = client
        .query(
            "SELECT * FROM [dbo].[watermarktable] WHERE [TableName] = @P1",
            &[&"data_source_table"],
        )
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.get::<&str, _>(0), Some("data_source_table"));
}

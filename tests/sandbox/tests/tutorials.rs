//! The tutorials' scripts run as they are printed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{TUTORIAL, connect, sandbox};
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
fn the_second_tutorials_source_runs_as_printed() {
    let sandbox = sandbox();
    sandbox
        .execute(
            "create table customer_table
            (
                PersonID int,
                Name varchar(255),
                LastModifytime datetime
            );
            create table project_table
            (
                Project varchar(255),
                Creationtime datetime
            );
            INSERT INTO customer_table (PersonID, Name, LastModifytime) VALUES
            (1, 'John','9/1/2017 12:56:00 AM'),
            (2, 'Mike','9/2/2017 5:23:00 AM'),
            (3, 'Alice','9/3/2017 2:36:00 AM'),
            (4, 'Andy','9/4/2017 3:21:00 AM'),
            (5, 'Anny','9/5/2017 8:06:00 AM');
            INSERT INTO project_table (Project, Creationtime) VALUES
            ('project1','1/1/2015 0:00:00 AM'),
            ('project2','2/2/2016 1:23:00 AM'),
            ('project3','3/4/2017 5:16:00 AM');",
        )
        .unwrap();
    sandbox
        .execute(
            "UPDATE customer_table
            SET [LastModifytime] = '2017-09-08T00:00:00Z', [name]='NewName' where [PersonID] = 3

            INSERT INTO project_table (Project, Creationtime) VALUES ('NewProject','10/1/2017 0:00:00 AM');",
        )
        .unwrap();
    assert_eq!(
        rows(&sandbox, "select * from customer_table where PersonID = 3"),
        ["3 | NewName | 2017-09-08 00:00:00.000"]
    );
    assert_eq!(
        rows(&sandbox, "select * from project_table order by Creationtime"),
        [
            "project1 | 2015-01-01 00:00:00.000",
            "project2 | 2016-02-02 01:23:00.000",
            "project3 | 2017-03-04 05:16:00.000",
            "NewProject | 2017-10-01 00:00:00.000",
        ]
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

#[test]
fn data_in_a_file_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let options = || tidemark_sandbox::Options {
        data: Some(folder.path().join("d.sqlite")),
        ..Default::default()
    };
    let first = Sandbox::start(options()).unwrap();
    first
        .execute("CREATE TABLE t (id int IDENTITY, rv rowversion, a int); INSERT t (a) VALUES (1), (2)")
        .unwrap();
    drop(first);
    let second = Sandbox::start(options()).unwrap();
    second.execute("INSERT t (a) VALUES (3)").unwrap();
    assert_eq!(
        rows(&second, "SELECT id, a FROM t ORDER BY rv"),
        ["1 | 1", "2 | 2", "3 | 3"]
    );
}

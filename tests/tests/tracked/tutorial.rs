//! Microsoft's third tutorial, and versions in control tables.

use tidemark::ports::watermarks::ReadWatermarks;
use tidemark_sqlserver::control_table::ControlTable;
use tidemark_sqlserver::session::Server;
use tidemark_tests::stand_in::{CONTROL_TABLE, World, control_table, shipped_control_table};

use crate::world::plain;

const TUTORIAL: &str = include_str!("../../tutorials/change_tracking.sql");

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

    // The tutorial's own query would lose the key of the deleted row.
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

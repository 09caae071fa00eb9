//! The size of packets: a server that encrypts takes none over 16,383 bytes, and the stand-in ends a connection that
//! has one.

use serde_json::json;
use tidemark_tests::stand_in::World;
use tidemark_tests::table_copy::TableCopy;

/// Sends a row, the catalog's answer about a wide table, and a statement that names its columns. None of them fits into
/// one packet.
#[tokio::test(flavor = "multi_thread")]
async fn both_drivers_send_and_read_what_does_not_fit_into_one_packet() {
    let columns: Vec<String> = (0..400).map(|n| format!("a_column_with_the_number_{n:04}")).collect();
    let declared = columns
        .iter()
        .map(|name| format!("{name} int"))
        .collect::<Vec<_>>()
        .join(", ");
    let world = World::new(&format!(
        "create table t (v int, text varchar(max), {declared}); insert into t (v, text) values (1, replicate(cast('x' as varchar(max)), 200000));"
    ))
    .await;
    let names: Vec<&str> = ["v", "text"]
        .into_iter()
        .chain(columns.iter().map(String::as_str))
        .collect();
    let mut copy = TableCopy::new(&world, "t", &names, &json!({ "column": "v", "settle_seconds": 0 }));
    assert_eq!(copy.run().await.committed[0].rows, 1);
    let text = copy.lines()[0].split(',').nth(1).map(str::len);
    assert_eq!(text, Some(200_000));
}

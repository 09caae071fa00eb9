//! Values that arrive as they were, and values that are refused because they would not.

use serde_json::json;
use tidemark::error::{ErrorCode, Role};
use tidemark::ports::sink_table::StagedRows;
use tidemark_tests::every_type;

use crate::world::{World, rows, spec, staged_row};

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_it_was() {
    let create = every_type::create();
    let world = World::new(&format!("{create}; {}", every_type::EDGES), &create).await;
    let spec = spec("every", "at", json!({}));
    assert_eq!(world.run("r1", &spec).await.unwrap().committed[0].rows, 4);
    let all = every_type::select();
    let (sent, arrived) = (rows(&world.source, &all), world.rows(&all));
    for (sent, arrived) in sent.iter().zip(&arrived) {
        for (at, (sent, arrived)) in sent.split('|').zip(arrived.split('|')).enumerate() {
            assert_eq!(sent, arrived, "{:?}", every_type::COLUMNS[at]);
        }
    }
    assert_eq!(sent.len(), arrived.len());
    world.source.execute(every_type::CHANGES).unwrap();
    assert_eq!(world.run("r2", &spec).await.unwrap().committed[0].rows, 2);
    assert_eq!(rows(&world.source, &all), world.rows(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn wider_columns_hold_the_same_values() {
    let source = "CREATE TABLE t (k smallint, a tinyint, b money, c varchar(5), d datetime, e smalldatetime, f rowversion, g date);
                  INSERT t (k, a, b, c, d, e, g) VALUES (1, 200, 1.5, 'é', '2017-09-05T08:06:00.007', '2017-09-05T08:06:00', '2017-09-05')";
    let sink =
        "CREATE TABLE wide (K bigint PRIMARY KEY, a float, b decimal(20,5), c nvarchar(10), d datetime2(3), e datetime,
                f varbinary(10), g datetime2(0), more int DEFAULT 5)";
    let mut world = World::new(source, sink).await;
    let spec = spec("t", "d", json!({ "table": "wide" }));
    world.run("r1", &spec).await.unwrap();
    let expected = "1|200|1.50000|é|2017-09-05 08:06:00.007|2017-09-05 08:06:00.000|1|2017-09-05 00:00:00|5";
    let found = "SELECT k, a, b, c, d, e, IIF(f > 0x00, 1, 0), g, more FROM wide";
    assert_eq!(world.rows(found), [expected]);
    // A row whose watermark is equal is written again. The watermark has been rounded to the column's own digits on
    // both sides.
    world.sink.execute("UPDATE wide SET c = 'x'").unwrap();
    world.prefix = "again";
    world.run("again", &spec).await.unwrap();
    assert_eq!(world.rows(found), [expected]);
}

/// Only its clients have the keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_clients_encrypt_takes_no_rows_and_may_be_left_out() {
    let source = "CREATE TABLE t (id int, ssn varchar(11), at int); INSERT t VALUES (5, 'x', 1)";
    let sink = "CREATE TABLE t (id int PRIMARY KEY, ssn varchar(11) ENCRYPTED WITH (COLUMN_ENCRYPTION_KEY = k, \
                ENCRYPTION_TYPE = RANDOMIZED, ALGORITHM = 'AEAD_AES_256_CBC_HMAC_SHA_256') NULL, at int)";
    let mut world = World::new(source, sink).await;
    let mut spec = spec("t", "at", json!({}));
    let error = world.run("r1", &spec).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{}", error.report());
    assert!(error.report().contains("Always Encrypted"), "{}", error.report());
    world.prefix = "without";
    spec.exclude = vec!["ssn".to_owned().try_into().unwrap()];
    world.run("r2", &spec).await.unwrap();
    assert_eq!(world.rows("SELECT id, at FROM t"), ["5|1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_column_is_kept_as_a_key_and_a_computed_one_left_to_the_server() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (5, 'a', 1), (9, 'b', 2)";
    let sink = "CREATE TABLE t (id int IDENTITY PRIMARY KEY, v varchar(10), at int, twice AS at * 2)";
    let world = World::new(source, sink).await;
    world.run("r1", &spec("t", "at", json!({}))).await.unwrap();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), ["5|a|1|2", "9|b|2|4"]);
    // The setting does not outlive the merge.
    world.sink.execute("INSERT t (v, at) VALUES ('own', 3)").unwrap();
    assert_eq!(world.rows("SELECT MAX(id) FROM t"), ["10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_period_of_a_temporal_table_is_left_to_the_server() {
    let source = "CREATE TABLE t (id int, at int); INSERT t VALUES (1, 1)";
    let period =
        "since datetime2 GENERATED ALWAYS AS ROW START NOT NULL, until datetime2 GENERATED ALWAYS AS ROW END NOT NULL,
                  PERIOD FOR SYSTEM_TIME (since, until)";
    let sink = format!("CREATE TABLE t (id int PRIMARY KEY, at int, {period})");
    let world = World::new(source, &sink).await;
    world.run("r1", &spec("t", "at", json!({}))).await.unwrap();
    world.source.execute("UPDATE t SET at = 2").unwrap();
    world.run("r2", &spec("t", "at", json!({}))).await.unwrap();
    let found = "SELECT id, at FROM t WHERE since < until";
    assert_eq!(world.rows(found), ["1|2"]);

    let source = "CREATE TABLE t (id int, at int, since datetime2); INSERT t VALUES (1, 1, '2020-01-01')";
    let world = World::new(source, &sink).await;
    let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert!(error.to_string().contains("since"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_arrive_is_refused_before_any_row_is_written() {
    let source = "CREATE TABLE t (id int, v varchar(10), at int); INSERT t VALUES (1, 'a', 1)";
    let cases = [
        (
            "CREATE TABLE t (id int PRIMARY KEY, v varchar(9), at int)",
            ErrorCode::SchemaMismatch,
            "varchar(9)",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY, at int)",
            ErrorCode::SchemaMismatch,
            "'v'",
        ),
        (
            "CREATE TABLE t (id int, v varchar(10), at int)",
            ErrorCode::InvalidInput,
            "primary key",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY, v AS CAST(id AS varchar(10)), at int)",
            ErrorCode::SchemaMismatch,
            "computes",
        ),
        ("CREATE TABLE other (id int)", ErrorCode::SinkRejected, "dbo.t"),
    ];
    for (sink, code, named) in cases {
        let world = World::new(source, sink).await;
        let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
        assert_eq!(error.code(), code, "{sink}: {error}");
        assert!(error.report().contains(named), "{sink}: {}", error.report());
    }
    let table = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10), at int)";
    let world = World::new(&source.replace("varchar(10)", "nvarchar(10)"), table).await;
    let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);

    // Only the data can show a character that the code page does not have.
    let world = World::new(source, table).await;
    let error = staged_row(&world.sink, "a\u{3b1}")
        .await
        .merge()
        .await
        .unwrap_err()
        .of(Role::Sink);
    assert_eq!(error.code(), ErrorCode::SchemaMismatch, "{error}");
    assert!(error.to_string().contains("column v"), "{error}");
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);

    // After a NULL where none may be, nothing of the slice is there.
    let table = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10) NOT NULL, at int)";
    let world = World::new(&format!("{source}, (2, NULL, 2)"), table).await;
    let error = world.run("r1", &spec("t", "at", json!({}))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SinkRejected);
    assert!(error.report().contains("515"), "{}", error.report());
    assert_eq!(world.rows("SELECT COUNT(*) FROM t"), ["0"]);
}

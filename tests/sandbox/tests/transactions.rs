//! Concurrent transactions: what others see of an open one, who waits for whom, and what a rollback leaves.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ask, ask_in, connect, lines, number, sandbox};
use tidemark_sandbox::{OpenSession, Sandbox};

/// Makes a table with rows 1 to 3.
fn table() -> Sandbox {
    let sandbox = sandbox();
    sandbox
        .execute(
            "CREATE TABLE t (id int NOT NULL CONSTRAINT pk_t PRIMARY KEY, v varchar(10));
             INSERT t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        )
        .unwrap();
    sandbox
}

fn open(sandbox: &Sandbox, sql: &str) -> OpenSession {
    let mut session = sandbox.session().unwrap();
    session.execute(sql).unwrap();
    session
}

const ROWS: &str = "SELECT id, v FROM t ORDER BY id";
const IMPATIENT: &str = "SET LOCK_TIMEOUT 0; ";

/// Returns the answer of a statement that must not wait.
fn now(sandbox: &Sandbox, sql: &str) -> Result<String, i32> {
    ask(sandbox, &format!("{IMPATIENT}{sql}"))
}

#[test]
fn others_see_what_is_committed_and_commit_beside_an_open_transaction() {
    let s = table();
    let mut one = open(
        &s,
        "BEGIN TRAN; INSERT t VALUES (4, 'd'); UPDATE t SET v = 'x' WHERE id = 1; DELETE t WHERE id = 2",
    );
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|x\n3|c\n4|d".into()));
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c".into()));
    assert_eq!(
        now(
            &s,
            "INSERT t VALUES (5, 'e'); UPDATE t SET v = 'y' WHERE id = 3; SELECT @@ROWCOUNT"
        ),
        Ok("1".into())
    );
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|y\n5|e".into()));
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|x\n3|y\n4|d\n5|e".into()));
    one.execute("COMMIT").unwrap();
    assert_eq!(now(&s, ROWS), Ok("1|x\n3|y\n4|d\n5|e".into()));
}

#[test]
fn other_tables_definitions_and_aggregates_go_on_beside_an_open_transaction() {
    let s = table();
    let one = open(&s, "BEGIN TRAN; INSERT t VALUES (9, 'z'); DELETE t WHERE id < 3");
    let cases = [
        ("SELECT COUNT(*), MIN(id), MAX(id) FROM t", "3|1|3"),
        ("SELECT a.id FROM t a JOIN t b ON b.id = a.id + 1 ORDER BY 1", "1\n2"),
        ("SELECT id FROM t WHERE v IN (SELECT v FROM t WHERE id = 2)", "2"),
        (
            "CREATE TABLE u (id int); INSERT u SELECT id FROM t; SELECT COUNT(*) FROM u",
            "3",
        ),
        ("SELECT id INTO copy FROM t; SELECT COUNT(*) FROM copy", "3"),
        (
            "IF EXISTS (SELECT 1 FROM t WHERE id = 9) SELECT 'dirty' ELSE SELECT 'clean'",
            "clean",
        ),
        ("DECLARE @n int = (SELECT COUNT(*) FROM t); SELECT @n", "3"),
        ("DROP TABLE u; SELECT COUNT(*) FROM sys.tables WHERE name = 'u'", "0"),
        (
            "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SELECT id FROM t",
            "3\n9",
        ),
    ];
    for (sql, want) in cases {
        assert_eq!(now(&s, sql), Ok(want.to_owned()), "{sql}");
    }
    drop(one);
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c".into()));
}

#[test]
fn a_rollback_undoes_everything_and_a_savepoint_what_came_after_it() {
    let s = table();
    let mut one = open(
        &s,
        "BEGIN TRAN; UPDATE t SET v = v + '1'; DELETE t WHERE id = 3; INSERT t VALUES (4, 'd')",
    );
    one.execute(
        "SAVE TRAN half; UPDATE t SET v = v + '2'; DELETE t WHERE id = 4; INSERT t VALUES (3, 'again'), (5, 'e')",
    )
    .unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|a12\n2|b12\n3|again\n5|e".into()));
    one.execute("ROLLBACK TRAN half").unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|a1\n2|b1\n4|d".into()));
    one.execute("UPDATE t SET v = 'z' WHERE id = 4; ROLLBACK TRAN half")
        .unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|a1\n2|b1\n4|d".into()));
    one.execute("ROLLBACK").unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|a\n2|b\n3|c".into()));
    assert_eq!(ask_in(&mut one, "SELECT @@TRANCOUNT"), Ok("0".into()));
}

#[test]
fn temporary_tables_roll_back_too() {
    let s = sandbox();
    let mut one = open(&s, "CREATE TABLE #a (v int); INSERT #a VALUES (1)");
    one.execute(
        "BEGIN TRAN; INSERT #a VALUES (2); SELECT v INTO #b FROM #a; CREATE TABLE #c (v int); INSERT #c VALUES (7)",
    )
    .unwrap();
    one.execute("SAVE TRAN s; UPDATE #c SET v = 8; UPDATE #a SET v = 9; ROLLBACK TRAN s")
        .unwrap();
    assert_eq!(
        ask_in(&mut one, "SELECT v FROM #c UNION ALL SELECT v FROM #a"),
        Ok("7\n1\n2".into())
    );
    // These tables block nobody else.
    assert_eq!(
        now(&s, "CREATE TABLE t (a int); INSERT t VALUES (1); SELECT a FROM t"),
        Ok("1".into())
    );
    one.execute("ROLLBACK").unwrap();
    assert_eq!(ask_in(&mut one, "SELECT v FROM #a"), Ok("1".into()));
    assert_eq!(ask_in(&mut one, "SELECT v FROM #b"), Err(208));
    assert_eq!(ask_in(&mut one, "SELECT v FROM #c"), Err(208));
    one.execute("BEGIN TRAN; DROP TABLE #a; ROLLBACK").unwrap();
    assert_eq!(ask_in(&mut one, "SELECT v FROM #a"), Ok("1".into()));
}

#[test]
fn table_variables_do_not_roll_back() {
    let s = sandbox();
    assert_eq!(
        ask(
            &s,
            "BEGIN TRAN; DECLARE @t TABLE (a int); INSERT @t VALUES (1); ROLLBACK; INSERT @t VALUES (2); SELECT a FROM @t"
        ),
        Ok("1\n2".into())
    );
}

#[test]
fn merge_meets_other_transactions_like_its_parts() {
    let s = table();
    let merge = "MERGE t USING (VALUES (1, 'm'), (4, 'm')) AS n(id, v) ON t.id = n.id
                 WHEN MATCHED THEN UPDATE SET v = n.v WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.v);";
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'one' WHERE id = 1");
    assert_eq!(now(&s, merge), Err(1222));
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c".into()));
    one.execute("ROLLBACK").unwrap();
    let mut one = open(&s, &format!("BEGIN TRAN; {merge}"));
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|m\n2|b\n3|c\n4|m".into()));
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c".into()));
    assert_eq!(now(&s, "INSERT t VALUES (4, 'two')"), Err(1222));
    one.execute("ROLLBACK").unwrap();
    assert_eq!(now(&s, &format!("{merge} {ROWS}")), Ok("1|m\n2|b\n3|c\n4|m".into()));
}

#[test]
fn a_second_writer_of_a_row_waits_and_goes_on_with_what_the_first_left() {
    let s = table();
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'one' WHERE id = 1");
    assert_eq!(now(&s, "UPDATE t SET v = 'two' WHERE id = 1"), Err(1222));
    assert_eq!(now(&s, "DELETE t WHERE v = 'a'"), Err(1222));
    assert_eq!(now(&s, "DELETE t WHERE v = 'one'"), Err(1222));
    assert_eq!(
        now(&s, "UPDATE t SET v = 'two' WHERE id = 2; SELECT @@ROWCOUNT"),
        Ok("1".into())
    );
    let waiting = std::thread::spawn({
        let mut two = s.session().unwrap();
        move || {
            ask_in(
                &mut two,
                "UPDATE t SET v = v + '+' WHERE id = 1; SELECT v FROM t WHERE id = 1",
            )
        }
    });
    one.execute("COMMIT").unwrap();
    assert_eq!(waiting.join().unwrap(), Ok("one+".into()));
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'gone' WHERE id = 1");
    let waiting = std::thread::spawn({
        let mut two = s.session().unwrap();
        move || ask_in(&mut two, "UPDATE t SET v = 'last' WHERE v = 'one+'; SELECT @@ROWCOUNT")
    });
    one.execute("ROLLBACK").unwrap();
    assert_eq!(waiting.join().unwrap(), Ok("1".into()));
    assert_eq!(now(&s, ROWS), Ok("1|last\n2|two\n3|c".into()));
}

#[test]
fn keys_are_unique_across_open_transactions() {
    let s = table();
    let mut one = open(&s, "BEGIN TRAN; INSERT t VALUES (4, 'one'); DELETE t WHERE id = 3");
    // What depends on the end of the open transaction waits. What does not is decided at once.
    assert_eq!(now(&s, "INSERT t VALUES (4, 'two')"), Err(1222));
    assert_eq!(now(&s, "INSERT t VALUES (3, 'two')"), Err(1222));
    assert_eq!(now(&s, "UPDATE t SET id = 4 WHERE id = 2"), Err(1222));
    assert_eq!(now(&s, "INSERT t VALUES (1, 'two')"), Err(2627));
    assert_eq!(now(&s, "INSERT t VALUES (5, 'two'); SELECT @@ROWCOUNT"), Ok("1".into()));
    let insert = |key: i32| {
        let mut two = s.session().unwrap();
        std::thread::spawn(move || ask_in(&mut two, &format!("INSERT t VALUES ({key}, 'two'); SELECT @@ROWCOUNT")))
    };
    let (new, old) = (insert(4), insert(3));
    one.execute("COMMIT").unwrap();
    assert_eq!(new.join().unwrap(), Err(2627));
    assert_eq!(old.join().unwrap(), Ok("1".into()));
    let mut one = open(&s, "BEGIN TRAN; INSERT t VALUES (6, 'one'); DELETE t WHERE id = 5");
    let (new, old) = (insert(6), insert(5));
    one.execute("ROLLBACK").unwrap();
    assert_eq!(new.join().unwrap(), Ok("1".into()));
    assert_eq!(old.join().unwrap(), Err(2627));
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|two\n4|one\n5|two\n6|two".into()));
}

#[test]
fn row_numbers_of_deleted_rows_are_not_used_again_while_they_may_come_back() {
    let s = table();
    let one = open(&s, "BEGIN TRAN; DELETE t WHERE id = 3");
    assert_eq!(now(&s, "INSERT t VALUES (8, 'h')"), Ok(String::new()));
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c\n8|h".into()));
    drop(one);
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c\n8|h".into()));
}

#[test]
fn of_two_that_wait_for_each_other_one_is_the_victim() {
    let s = table();
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'one' WHERE id = 1");
    let mut two = open(&s, "BEGIN TRAN; UPDATE t SET v = 'two' WHERE id = 2");
    let waiting = std::thread::spawn(move || {
        let result = ask_in(&mut two, "UPDATE t SET v = 'two' WHERE id = 1; SELECT @@TRANCOUNT");
        let after = ask_in(&mut two, "SELECT @@TRANCOUNT; IF @@TRANCOUNT > 0 COMMIT");
        (result, after)
    });
    let first = ask_in(&mut one, "UPDATE t SET v = 'one' WHERE id = 2; SELECT @@TRANCOUNT");
    let after = ask_in(&mut one, "SELECT @@TRANCOUNT; IF @@TRANCOUNT > 0 COMMIT");
    let mut ends = [(first, after), waiting.join().unwrap()];
    ends.sort();
    assert_eq!(ends[0], (Ok("1".into()), Ok("1".into())));
    assert_eq!(ends[1], (Err(1205), Ok("0".into())));
    let rows = now(&s, ROWS).unwrap();
    assert!(
        ["1|one\n2|one\n3|c", "1|two\n2|two\n3|c"].contains(&rows.as_str()),
        "{rows}"
    );
}

#[test]
fn hints_lock_a_table_until_the_transaction_ends() {
    let s = table();
    let hinted = |hint: &str| format!("BEGIN TRAN; SELECT v FROM t WITH ({hint}) WHERE id = 1");
    let cases = [
        ("UPDLOCK, HOLDLOCK", "UPDLOCK, HOLDLOCK", Err(1222)),
        ("UPDLOCK", "HOLDLOCK", Ok("a".to_owned())),
        ("HOLDLOCK", "HOLDLOCK", Ok("a".to_owned())),
        ("XLOCK", "HOLDLOCK", Err(1222)),
        ("XLOCK", "NOLOCK", Ok("a".to_owned())),
    ];
    for (first, second, want) in cases {
        let _one = open(&s, &hinted(first));
        assert_eq!(now(&s, &hinted(second)), want, "{first} then {second}");
        assert_eq!(now(&s, "UPDATE t SET v = 'x' WHERE id = 1"), Err(1222), "{first}");
        assert_eq!(now(&s, "SELECT v FROM t WHERE id = 1"), Ok("a".into()), "{first}");
    }
    let _one = open(
        &s,
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRAN; SELECT COUNT(*) FROM t",
    );
    assert_eq!(now(&s, "INSERT t VALUES (4, 'd')"), Err(1222));
}

#[test]
fn a_comparison_under_updlock_and_the_set_after_it_are_one_step() {
    let s = sandbox();
    s.execute("CREATE TABLE c (n int, v int); INSERT c VALUES (1, 0)")
        .unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut session = s.session().unwrap();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    session
                        .execute(
                            "SET XACT_ABORT ON; BEGIN TRANSACTION;
                             DECLARE @v int = (SELECT v FROM c WITH (UPDLOCK, HOLDLOCK) WHERE n = 1);
                             UPDATE c SET v = @v + 1 WHERE n = 1; COMMIT TRANSACTION",
                        )
                        .unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(now(&s, "SELECT v FROM c"), Ok("80".into()));
}

#[test]
fn snapshot_transactions_see_one_moment_and_their_own_changes() {
    let s = table();
    let mut one = open(&s, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT 1");
    // The moment is that of the first read, not of BEGIN TRAN.
    s.execute("INSERT t VALUES (4, 'd')").unwrap();
    let before = "1|a\n2|b\n3|c\n4|d";
    assert_eq!(ask_in(&mut one, ROWS), Ok(before.into()));
    s.execute("UPDATE t SET v = 'x' WHERE id = 1; DELETE t WHERE id = 2; INSERT t VALUES (5, 'e'); UPDATE t SET v = 'y' WHERE id = 1")
        .unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok(before.into()));
    one.execute("UPDATE t SET v = 'mine' WHERE id = 3; INSERT t VALUES (6, 'f')")
        .unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|a\n2|b\n3|mine\n4|d\n6|f".into()));
    assert_eq!(now(&s, ROWS), Ok("1|y\n3|c\n4|d\n5|e".into()));
    one.execute("COMMIT").unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Ok("1|y\n3|mine\n4|d\n5|e\n6|f".into()));
}

#[test]
fn snapshot_transactions_are_refused_what_has_changed_since() {
    let s = table();
    let begin = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT COUNT(*) FROM t";
    for change in ["UPDATE t SET v = 'x' WHERE id = 1", "DELETE t WHERE id = 1"] {
        let mut one = open(&s, begin);
        s.execute(change).unwrap();
        assert_eq!(ask_in(&mut one, "UPDATE t SET v = 'mine' WHERE id = 1"), Err(3960));
        assert_eq!(ask_in(&mut one, "SELECT @@TRANCOUNT"), Ok("0".into()));
    }
    let mut one = open(&s, begin);
    s.execute("CREATE INDEX ix ON t (v)").unwrap();
    assert_eq!(ask_in(&mut one, ROWS), Err(3961));
    let mut one = open(&s, "BEGIN TRAN; SET TRANSACTION ISOLATION LEVEL SNAPSHOT");
    assert_eq!(ask_in(&mut one, ROWS), Err(3951));
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'open' WHERE id = 3");
    let mut two = open(
        &s,
        "SET LOCK_TIMEOUT 0; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT COUNT(*) FROM t",
    );
    assert_eq!(ask_in(&mut two, "UPDATE t SET v = 'mine' WHERE id = 3"), Err(1222));
    one.execute("COMMIT").unwrap();
    assert_eq!(ask_in(&mut two, "UPDATE t SET v = 'mine' WHERE id = 3"), Err(3960));
}

#[test]
fn databases_allow_or_refuse_row_versions() {
    let s = table();
    let state = "SELECT snapshot_isolation_state, snapshot_isolation_state_desc, is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()";
    assert_eq!(now(&s, state), Ok("1|ON|1".into()));
    s.execute("ALTER DATABASE tidemark SET ALLOW_SNAPSHOT_ISOLATION OFF; ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF")
        .unwrap();
    assert_eq!(now(&s, state), Ok("0|OFF|0".into()));
    let snapshot = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT COUNT(*) FROM t";
    assert_eq!(now(&s, snapshot), Err(3952));
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'x' WHERE id = 1");
    assert_eq!(now(&s, ROWS), Err(1222));
    let waiting = std::thread::spawn({
        let mut two = s.session().unwrap();
        move || ask_in(&mut two, ROWS)
    });
    one.execute("COMMIT").unwrap();
    assert_eq!(waiting.join().unwrap(), Ok("1|x\n2|b\n3|c".into()));
    s.execute("ALTER DATABASE tidemark SET READ_COMMITTED_SNAPSHOT ON, ALLOW_SNAPSHOT_ISOLATION ON")
        .unwrap();
    assert_eq!(now(&s, snapshot), Ok("3".into()));
    assert_eq!(
        now(&s, "ALTER DATABASE nosuch SET READ_COMMITTED_SNAPSHOT ON"),
        Err(5011)
    );
    assert_eq!(
        now(&s, "BEGIN TRAN; ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON"),
        Err(226)
    );
    assert_eq!(now(&s, "ALTER DATABASE CURRENT SET RECOVERY SIMPLE"), Err(40510));
    assert_eq!(now(&s, "ALTER DATABASE CURRENT SET NONSENSE ON"), Err(102));
}

#[test]
fn definitions_in_a_transaction_keep_other_writers_waiting_and_roll_back() {
    let s = table();
    s.execute("CREATE TABLE other (a int)").unwrap();
    let mut one = open(
        &s,
        "BEGIN TRAN; INSERT t VALUES (4, 'd'); SAVE TRAN a; ALTER TABLE t ADD extra int NULL; SAVE TRAN b; CREATE TABLE u (a int); INSERT u VALUES (1); UPDATE t SET extra = 1",
    );
    assert_eq!(now(&s, "INSERT t VALUES (5, 'e')"), Err(1222));
    assert_eq!(now(&s, ROWS), Ok("1|a\n2|b\n3|c".into()));
    assert_eq!(now(&s, "SELECT * FROM u"), Err(208));
    one.execute("ROLLBACK TRAN b").unwrap();
    assert_eq!(
        ask_in(&mut one, "SELECT OBJECT_ID('u'), COUNT(extra), COUNT(*) FROM t"),
        Ok("NULL|0|4".into())
    );
    one.execute("ROLLBACK TRAN a").unwrap();
    assert_eq!(ask_in(&mut one, "SELECT * FROM t WHERE id = 4"), Ok("4|d".into()));
    // The definitions are gone, and the lock on the table stays until the end.
    assert_eq!(now(&s, "INSERT other VALUES (1)"), Ok(String::new()));
    assert_eq!(now(&s, "INSERT t VALUES (5, 'e')"), Err(1222));
    one.execute("CREATE TABLE u (a int); COMMIT").unwrap();
    assert_eq!(
        now(&s, "SELECT COUNT(*), OBJECT_NAME(OBJECT_ID('u')) FROM t"),
        Ok("4|u".into())
    );
    let _one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'x' WHERE id = 1");
    for definition in [
        "ALTER TABLE t ADD extra int",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "CREATE INDEX ix ON t (v)",
    ] {
        assert_eq!(now(&s, definition), Err(1222), "{definition}");
    }
}

#[test]
fn a_definition_in_a_transaction_waits_for_the_users_of_its_table() {
    let s = table();
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'x' WHERE id = 1");
    let waiting = std::thread::spawn({
        let mut two = s.session().unwrap();
        move || {
            ask_in(
                &mut two,
                "BEGIN TRAN; ALTER TABLE t ADD extra int; COMMIT; SELECT v, extra FROM t WHERE id = 1",
            )
        }
    });
    one.execute("UPDATE t SET v = 'y' WHERE id = 1; COMMIT").unwrap();
    assert_eq!(waiting.join().unwrap(), Ok("y|NULL".into()));
}

#[test]
fn transfers_side_by_side_keep_the_total() {
    let s = sandbox();
    s.execute("CREATE TABLE a (id int NOT NULL PRIMARY KEY, n int NOT NULL); INSERT a SELECT value, 100 FROM GENERATE_SERIES(1, 6)")
        .unwrap();
    let movers: Vec<_> = (0_i32..3)
        .map(|mover| {
            let mut session = s.session().unwrap();
            std::thread::spawn(move || {
                for round in 0..30 {
                    let (from, to) = ((mover + round) % 6 + 1, (mover * 2 + round * 5) % 6 + 1);
                    let end = if round % 4 == 3 { "ROLLBACK" } else { "COMMIT" };
                    // A row is moved by an update, or by a delete and an insert.
                    let take = if round % 2 == 0 {
                        format!("UPDATE a SET n -= {round} WHERE id = {from}")
                    } else {
                        format!("DECLARE @n int; SELECT @n = n FROM a WITH (UPDLOCK) WHERE id = {from}; DELETE a WHERE id = {from}; INSERT a VALUES ({from}, @n - {round})")
                    };
                    let script = format!("BEGIN TRAN; {take}; SAVE TRAN s; DELETE a; ROLLBACK TRAN s; UPDATE a SET n += {round} WHERE id = {to}; {end}");
                    match session.execute(&script) {
                        Ok(_) => {}
                        Err(e) => assert_eq!(e.number, 1205, "{e}"),
                    }
                }
            })
        })
        .collect();
    let total = "SELECT SUM(n), COUNT(*), COUNT(DISTINCT id) FROM a";
    let mut snapshot = s.session().unwrap();
    while movers.iter().any(|m| !m.is_finished()) {
        assert_eq!(now(&s, total), Ok("600|6|6".into()));
        let begin = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN";
        let rows = "SELECT id, n FROM a ORDER BY id";
        let first = ask_in(&mut snapshot, &format!("{begin}; {rows}"));
        assert_eq!(ask_in(&mut snapshot, total), Ok("600|6|6".into()));
        assert_eq!(ask_in(&mut snapshot, &format!("{rows}; COMMIT")), first);
    }
    for mover in movers {
        mover.join().unwrap();
    }
    assert_eq!(now(&s, total), Ok("600|6|6".into()));
}

#[test]
fn statements_are_atomic_inside_an_open_transaction() {
    let s = table();
    let mut one = open(&s, "BEGIN TRAN; UPDATE t SET v = 'x' WHERE id = 1");
    assert_eq!(ask_in(&mut one, "INSERT t VALUES (7, 'g'), (1, 'twice')"), Err(2627));
    one.execute("INSERT t VALUES (8, 'h'); COMMIT").unwrap();
    assert_eq!(now(&s, ROWS), Ok("1|x\n2|b\n3|c\n8|h".into()));
}

#[tokio::test]
async fn bulk_loads_are_part_of_their_transaction() {
    let s = table();
    let mut client = connect(&s).await;
    client
        .simple_query("BEGIN TRAN")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    let load = async |client: &mut common::Tiberius, ids: [i32; 2]| {
        let mut request = client.bulk_insert("t").await.unwrap();
        for id in ids {
            use tiberius::IntoRow as _;
            request.send((Some(id), Some("bulk")).into_row()).await.unwrap();
        }
        request.finalize().await.map(|r| r.total())
    };
    assert_eq!(load(&mut client, [10, 11]).await.unwrap(), 2);
    assert_eq!(now(&s, "SELECT COUNT(*) FROM t"), Ok("3".into()));
    let mut other = connect(&s).await;
    other
        .simple_query("SET LOCK_TIMEOUT 0")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    assert_eq!(number(&load(&mut other, [12, 11]).await.unwrap_err()), 1222);
    assert_eq!(load(&mut other, [12, 13]).await.unwrap(), 2);
    client
        .simple_query("ROLLBACK")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    assert_eq!(load(&mut other, [10, 11]).await.unwrap(), 2);
    assert_eq!(
        lines(&s.execute("SELECT id FROM t WHERE id > 9 ORDER BY id").unwrap()),
        "10\n11\n12\n13"
    );
}

//! Logins with fewer rights, masks, and the clock that a test sets.
#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use common::{all, all_as, config, connect_with, number, sandbox};
use tiberius::AuthMethod;

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, secret varchar(20), v int); INSERT t VALUES (1, 'a', 10);
    CREATE TABLE hidden (a int);
    CREATE LOGIN reader WITH PASSWORD = 'Reader-1'; CREATE USER reader FOR LOGIN reader;";

#[test]
fn a_login_reads_what_it_was_granted_and_no_column_that_it_was_denied() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(
        &mut reader,
        &[("SELECT id FROM t", Err(229)), ("SELECT OBJECT_ID('t')", Ok("NULL"))],
    );
    sandbox
        .execute("GRANT SELECT ON dbo.t TO reader; DENY SELECT ON OBJECT::t (secret) TO reader")
        .unwrap();
    all_as(
        &mut reader,
        &[
            ("SELECT id, v FROM t", Ok("1|10")),
            ("SELECT COUNT(*) FROM t WHERE v > 1", Ok("1")),
            ("SELECT * FROM t", Err(230)),
            ("SELECT id FROM t WHERE secret = 'a'", Err(230)),
            ("SELECT a FROM hidden", Err(229)),
            ("INSERT t (id) VALUES (2)", Err(229)),
            ("UPDATE t SET v = 1", Err(229)),
            ("DELETE t", Err(229)),
            ("CREATE TABLE mine (a int)", Err(262)),
            ("DROP TABLE t", Err(262)),
            (
                "CREATE TABLE #mine (a int); INSERT #mine VALUES (1); SELECT a FROM #mine",
                Ok("1"),
            ),
            ("SELECT name FROM sys.tables", Ok("t")),
            ("SELECT name FROM sys.columns ORDER BY column_id", Ok("id\nsecret\nv")),
        ],
    );
    // A right to the column itself outweighs one to the table.
    sandbox
        .execute(
            "REVOKE SELECT ON t FROM reader; REVOKE SELECT ON t (secret) FROM reader; GRANT SELECT ON t (v) TO reader",
        )
        .unwrap();
    all_as(
        &mut reader,
        &[("SELECT v FROM t", Ok("10")), ("SELECT id FROM t", Err(230))],
    );
    sandbox.execute("GRANT SELECT ON SCHEMA::dbo TO reader").unwrap();
    all_as(
        &mut reader,
        &[("SELECT COUNT(*) FROM hidden", Ok("0")), ("SELECT id FROM t", Ok("1"))],
    );
    sandbox.execute("DENY SELECT TO reader").unwrap();
    all_as(&mut reader, &[("SELECT COUNT(*) FROM hidden", Err(229))]);
}

#[test]
fn has_perms_by_name_says_what_the_login_may_do() {
    let sandbox = sandbox();
    let question = "SELECT name, HAS_PERMS_BY_NAME('dbo.t', 'OBJECT', 'SELECT', name, 'COLUMN') FROM sys.columns
                    WHERE object_id = OBJECT_ID('dbo.t') ORDER BY column_id";
    sandbox.execute(TABLE).unwrap();
    all(
        &sandbox,
        &[
            (question, Ok("id|1\nsecret|1\nv|1")),
            (
                "SELECT HAS_PERMS_BY_NAME('dbo.t', 'OBJECT', 'INSERT'), HAS_PERMS_BY_NAME('nothing', 'OBJECT', 'SELECT')",
                Ok("1|NULL"),
            ),
            (
                "GRANT SELECT ON t TO reader; DENY SELECT ON t (secret) TO reader; GRANT UNMASK TO reader",
                Ok(""),
            ),
            ("GRANT SELECT ON nothing TO reader", Err(15151)),
            ("GRANT SELECT ON t TO nobody", Err(15151)),
            ("CREATE USER reader", Err(15023)),
        ],
    );
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(
        &mut reader,
        &[
            (question, Ok("id|1\nsecret|0\nv|1")),
            (
                "SELECT HAS_PERMS_BY_NAME('dbo.t', 'OBJECT', 'SELECT'), HAS_PERMS_BY_NAME('dbo.t', 'OBJECT', 'INSERT'),
                 HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK'), HAS_PERMS_BY_NAME('dbo.hidden', 'OBJECT', 'SELECT')",
                Ok("1|0|1|0"),
            ),
        ],
    );
}

#[test]
fn a_procedure_may_do_what_its_caller_may_not() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    sandbox
        .execute("CREATE PROCEDURE p AS UPDATE t SET v = v + 1\nGO\nCREATE PROCEDURE q AS SELECT 1\nGO\nGRANT EXECUTE ON p TO reader")
        .unwrap();
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(
        &mut reader,
        &[
            ("EXEC p", Ok("")),
            ("EXEC q", Err(229)),
            ("UPDATE t SET v = 1", Err(229)),
        ],
    );
    all(&sandbox, &[("SELECT v FROM t", Ok("11"))]);
}

#[test]
fn a_view_may_read_what_its_reader_may_not() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    sandbox
        .execute("CREATE VIEW w AS SELECT id FROM t\nGO\nGRANT SELECT ON w TO reader")
        .unwrap();
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(
        &mut reader,
        &[("SELECT id FROM w", Ok("1")), ("SELECT id FROM t", Err(229))],
    );
    sandbox.execute("REVOKE SELECT ON w FROM reader").unwrap();
    all_as(&mut reader, &[("SELECT id FROM w", Err(229))]);
}

#[test]
fn a_policy_filters_the_rows_of_everybody() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    sandbox
        .execute(
            "INSERT t VALUES (2, 'b', 20); GRANT SELECT ON t TO reader\nGO
             CREATE FUNCTION f(@v int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @v < 15 OR USER_NAME() = 'dbo'\nGO
             CREATE SECURITY POLICY p ADD FILTER PREDICATE dbo.f(v) ON dbo.t WITH (STATE = ON)",
        )
        .unwrap();
    let seen = "SELECT x.id FROM t AS x ORDER BY x.id";
    let policy = "SELECT y.name, y.is_enabled, f.predicate_type, OBJECT_NAME(f.target_object_id) FROM sys.security_predicates AS f
                  JOIN sys.security_policies AS y ON y.object_id = f.object_id";
    all(&sandbox, &[(seen, Ok("1\n2")), (policy, Ok("p|1|0|t"))]);
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(
        &mut reader,
        &[(seen, Ok("1")), (policy, Ok("")), ("SELECT COUNT(*) FROM t", Ok("1"))],
    );
    sandbox.execute("GRANT VIEW DEFINITION ON p TO reader").unwrap();
    all_as(&mut reader, &[(policy, Ok("p|1|0|t"))]);
}

#[test]
fn changes_are_read_with_a_right_of_their_own() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    sandbox
        .execute(
            "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER TABLE t ENABLE CHANGE_TRACKING;
             INSERT t VALUES (2, 'b', 1); GRANT SELECT ON t TO reader",
        )
        .unwrap();
    let changes = "SELECT SYS_CHANGE_OPERATION, id FROM CHANGETABLE(CHANGES t, 0) AS c";
    let minimum = "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t'))";
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(&mut reader, &[(changes, Err(229)), (minimum, Ok("NULL"))]);
    sandbox.execute("GRANT VIEW CHANGE TRACKING ON t TO reader").unwrap();
    all_as(&mut reader, &[(changes, Ok("I|2")), (minimum, Ok("0"))]);
}

#[tokio::test]
async fn a_login_enters_the_databases_that_it_is_a_user_of() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    let log_in = async |user: &str, password: &str, database: &str| {
        let mut config = config(&sandbox);
        config.authentication(AuthMethod::sql_server(user, password));
        config.database(database);
        let connected = connect_with(config, sandbox.port()).await;
        connected.map(|_| ()).map_err(|error| number(&error))
    };
    assert_eq!(log_in("reader", "Reader-1", "tidemark").await, Ok(()));
    assert_eq!(log_in("reader", "wrong", "tidemark").await, Err(18456));
    assert_eq!(log_in("nobody", "Reader-1", "tidemark").await, Err(18456));
    assert_eq!(log_in("reader", "Reader-1", "master").await, Err(4060));
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(&mut reader, &[("USE master", Err(916))]);
}

#[test]
fn a_mask_is_shown_to_whom_may_not_unmask_it() {
    let sandbox = sandbox();
    sandbox
        .execute(
            "CREATE TABLE m (id int, name varchar(20) MASKED WITH (FUNCTION = 'default()'), short char(2) MASKED WITH (FUNCTION = 'default()'),
               paid decimal(9,2) MASKED WITH (FUNCTION = 'default()'), born date, card varbinary(9));
             ALTER TABLE m ALTER COLUMN born ADD MASKED WITH (FUNCTION = 'default()');
             ALTER TABLE m ALTER COLUMN card ADD MASKED WITH (FUNCTION = 'default()');
             INSERT m VALUES (1, 'Ann', 'ab', 12.5, '2020-02-03', 0x1234), (2, NULL, NULL, NULL, NULL, NULL);
             CREATE LOGIN reader WITH PASSWORD = 'Reader-1'; CREATE USER reader; GRANT SELECT ON m TO reader",
        )
        .unwrap();
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(
        &mut reader,
        &[
            (
                "SELECT * FROM m ORDER BY id",
                Ok("1|xxxx|xx|0.00|1900-01-01|0x00\n2|NULL|NULL|NULL|NULL|NULL"),
            ),
            (
                "SELECT name, name + '!', UPPER(name) FROM m WHERE name = 'Ann'",
                Ok("xxxx|xxxx|xxxx"),
            ),
            ("SELECT COUNT(name), COUNT(*), MAX(born) FROM m", Ok("1|2|1900-01-01")),
            (
                "SELECT x.n, (SELECT MAX(paid) FROM m) FROM (SELECT name AS n FROM m WHERE id = 1) AS x",
                Ok("xxxx|0.00"),
            ),
        ],
    );
    let masked = "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('m') AND is_masked = 1 ORDER BY column_id";
    all(
        &sandbox,
        &[
            ("SELECT name, card FROM m WHERE id = 1", Ok("Ann|0x1234")),
            (
                "ALTER TABLE m ALTER COLUMN short DROP MASKED; GRANT UNMASK ON m (born) TO reader",
                Ok(""),
            ),
            (masked, Ok("name\npaid\nborn\ncard")),
            (
                "ALTER TABLE m ALTER COLUMN short ADD MASKED WITH (FUNCTION = 'email()')",
                Err(40510),
            ),
        ],
    );
    all_as(
        &mut reader,
        &[("SELECT name, short, born FROM m WHERE id = 1", Ok("xxxx|ab|2020-02-03"))],
    );
    sandbox.execute("GRANT UNMASK TO reader").unwrap();
    all_as(
        &mut reader,
        &[("SELECT name, card FROM m WHERE id = 1", Ok("Ann|0x1234"))],
    );
}

#[test]
fn the_wall_clock_follows_its_zone() {
    let sandbox = sandbox();
    let shown = "SELECT GETDATE(), SYSUTCDATETIME(), CAST(SYSDATETIMEOFFSET() AS varchar(40))";
    let zone = "Central European Standard Time";
    let (eastern, newfoundland) = ("Eastern Standard Time", "Newfoundland Standard Time");
    let (chile, sydney, lord_howe) = (
        "Pacific SA Standard Time",
        "AUS Eastern Standard Time",
        "Lord Howe Standard Time",
    );
    // The nights in which clocks change in 2026 and 2027.
    for (zone, utc, local, offset) in [
        (zone, "2026-10-25T00:59:59", "2026-10-25 02:59:59", "+02:00"),
        (zone, "2026-10-25T01:00:00", "2026-10-25 02:00:00", "+01:00"),
        (zone, "2027-03-28T00:59:59", "2027-03-28 01:59:59", "+01:00"),
        (zone, "2027-03-28T01:00:00", "2027-03-28 03:00:00", "+02:00"),
        (eastern, "2026-11-01T05:59:59", "2026-11-01 01:59:59", "-04:00"),
        (eastern, "2026-11-01T06:00:00", "2026-11-01 01:00:00", "-05:00"),
        (eastern, "2027-03-14T07:00:00", "2027-03-14 03:00:00", "-04:00"),
        (newfoundland, "2026-11-01T04:29:59", "2026-11-01 01:59:59", "-02:30"),
        (newfoundland, "2026-11-01T04:30:00", "2026-11-01 01:00:00", "-03:30"),
        (chile, "2026-04-05T02:59:59", "2026-04-04 23:59:59", "-03:00"),
        (chile, "2026-04-05T03:00:00", "2026-04-04 23:00:00", "-04:00"),
        (chile, "2026-09-06T04:00:00", "2026-09-06 01:00:00", "-03:00"),
        (sydney, "2026-04-04T15:59:59", "2026-04-05 02:59:59", "+11:00"),
        (sydney, "2026-04-04T16:00:00", "2026-04-05 02:00:00", "+10:00"),
        (sydney, "2026-10-03T16:00:00", "2026-10-04 03:00:00", "+11:00"),
        (lord_howe, "2026-04-04T14:59:59", "2026-04-05 01:59:59", "+11:00"),
        (lord_howe, "2026-04-04T15:00:00", "2026-04-05 01:30:00", "+10:30"),
        (lord_howe, "2026-10-03T15:30:00", "2026-10-04 02:30:00", "+11:00"),
    ] {
        sandbox.set_clock(utc, zone).unwrap();
        let utc = utc.replace('T', " ");
        let want = format!("{local}.000|{utc}.0000000|{local}.0000000 {offset}");
        all(&sandbox, &[(shown, Ok(&want))]);
    }
    sandbox.set_clock("2026-07-01", zone).unwrap();
    all(
        &sandbox,
        &[
            (
                "SELECT name, current_utc_offset, is_currently_dst FROM sys.time_zone_info
                 WHERE name IN ('UTC', 'Central European Standard Time', 'Newfoundland Standard Time', 'Lord Howe Standard Time')",
                Ok(
                    "UTC|+00:00|0\nCentral European Standard Time|+02:00|1\nNewfoundland Standard Time|-02:30|1\nLord Howe Standard Time|+10:30|0",
                ),
            ),
            (
                "SELECT DATEPART(tzoffset, SYSDATETIMEOFFSET() AT TIME ZONE 'UTC'), DATEPART(tz, SYSDATETIMEOFFSET())",
                Ok("0|120"),
            ),
            ("SELECT SYSDATETIMEOFFSET() AT TIME ZONE 'Nowhere'", Err(9820)),
        ],
    );
}

#[test]
fn what_a_view_reads_is_shown_to_who_may_see_its_definition() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    sandbox
        .execute(
            "CREATE VIEW w AS SELECT t.id FROM dbo.t JOIN [hidden] AS h ON h.a = t.id\nGO\nGRANT SELECT ON w TO reader",
        )
        .unwrap();
    let asked = "SELECT referenced_schema_name, referenced_entity_name, CASE WHEN referenced_id = OBJECT_ID('t') THEN 't' END, referenced_database_name
        FROM sys.dm_sql_referenced_entities(N'[dbo].[w]', N'OBJECT')";
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(&mut reader, &[(asked, Ok(""))]);
    sandbox
        .execute("GRANT VIEW DEFINITION ON w TO reader; GRANT SELECT ON t TO reader")
        .unwrap();
    all_as(&mut reader, &[(asked, Ok("dbo|t|t|NULL\nNULL|hidden|NULL|NULL"))]);
    all(
        &sandbox,
        &[
            ("CREATE VIEW x WITH SCHEMABINDING AS SELECT id FROM t", Err(4512)),
            ("CREATE VIEW x WITH SCHEMABINDING AS SELECT id FROM dbo.t", Ok("")),
            (
                "SELECT OBJECTPROPERTY(OBJECT_ID('x'), 'IsSchemaBound'), OBJECTPROPERTY(OBJECT_ID('w'), 'IsSchemaBound'), OBJECTPROPERTY(OBJECT_ID('t'), 'IsTable')",
                Ok("1|0|1"),
            ),
            (
                "SELECT PARSENAME('[a]].b].c', 2), PARSENAME('a.b.c', 3), PARSENAME('a.b', 3)",
                Ok("a].b|a|NULL"),
            ),
        ],
    );
}

/// The owner of a view may read its tables, but no owner gives the right to see behind a mask.
#[test]
fn a_mask_is_shown_through_a_view() {
    let sandbox = sandbox();
    sandbox.execute(TABLE).unwrap();
    sandbox
        .execute("ALTER TABLE t ALTER COLUMN secret ADD MASKED WITH (FUNCTION = 'default()')\nGO\nCREATE VIEW w AS SELECT id, secret AS s FROM t\nGO\nGRANT SELECT ON w TO reader")
        .unwrap();
    let mut reader = sandbox.session_of("reader", "Reader-1").unwrap();
    all_as(&mut reader, &[("SELECT id, s FROM w", Ok("1|xxxx"))]);
    all(&sandbox, &[("SELECT id, s FROM w", Ok("1|a"))]);
    sandbox.execute("GRANT UNMASK TO reader").unwrap();
    all_as(&mut reader, &[("SELECT id, s FROM w", Ok("1|a"))]);
}

//! Connections to the SQLite file of a server, with the functions and collations that the statements of the stand-in
//! need.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::{catalog, functions};
use crate::engine::{Engine, Local};
use crate::error::SqlResult;
use crate::value::collation;

/// Makes a server, with its system databases and the one of its login.
///
/// Fails with the error of the storage.
pub fn serve(username: &str, password: &str, database: &str) -> SqlResult<Arc<Engine>> {
    let engine = Arc::new(Engine::new(username, password, database)?);
    let conn = connect(&engine, &Arc::default())?;
    catalog::create(&conn, "main")?;
    for name in ["master", "tempdb", "model", "msdb", database] {
        catalog::create_database(&conn, name)?;
    }
    Ok(engine)
}

/// Opens the connection of one session.
///
/// Fails with the error of the storage.
pub fn connect(engine: &Arc<Engine>, local: &Arc<Local>) -> SqlResult<Connection> {
    let conn = Connection::open(engine.path())?;
    conn.busy_timeout(std::time::Duration::from_millis(50))?;
    conn.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;
         PRAGMA cache_size=-16384;",
    )?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    conn.set_prepared_statement_cache_capacity(64);
    for (name, compare) in collation::IN_SQLITE {
        conn.create_collation(name, compare)?;
    }
    functions::register(&conn, engine, local)?;
    catalog::create(&conn, "temp")?;
    Ok(conn)
}

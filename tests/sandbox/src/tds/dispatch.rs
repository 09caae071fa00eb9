//! The thread of one connection, which takes requests, runs them in the session, and answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use rusqlite::types::Value;
use tidemark_tds::login;
use tidemark_tds::packet::{self, Message};
use tidemark_tds::reader::Reader;
use tidemark_tds::tokens::{self, from_utf16};

use super::wire::{OutputValue, Wire};
use super::{bulk, rpc};
use crate::engine::Engine;
use crate::error::{SqlError, SqlResult};
use crate::fault::Action;
use crate::locks::locked;
use crate::sql::catalog;
use crate::sql::exec::{Manager, Session, TakeResults};

/// Serves a connection whose first message is LOGIN7, until it ends.
pub fn serve(engine: &Arc<Engine>, first: &Message, requests: &Receiver<Message>, wire: &mut Wire) {
    let Some(mut session) = log_in(engine, &first.payload, wire) else {
        return;
    };
    session.attention = Arc::clone(&wire.attention);
    while let Ok(message) = requests.recv() {
        if message.kind == packet::ATTENTION {
            wire.acknowledge_attention();
            continue;
        }
        if message.status & packet::IGNORE != 0 {
            continue;
        }
        if message.status & (packet::RESET | packet::RESET_KEEP) != 0 {
            let (trancount, keep) = (session.trancount, message.status & packet::RESET_KEEP != 0);
            session.reset_connection(keep && trancount > 0, wire);
            tokens::env_bytes(wire.token(), 18, &[], &[]);
        }
        let running = Arc::clone(&engine.running);
        request(&mut session, &message, wire);
        drop(running);
        if wire.is_gone() {
            break;
        }
        if wire.cancelled() { wire.abandon() } else { wire.end() }
    }
    session.rollback_quietly();
}

fn request(session: &mut Session, message: &Message, wire: &mut Wire) {
    let result = match message.kind {
        packet::BATCH => batch(session, &message.payload, wire),
        packet::RPC => calls(session, &message.payload, wire),
        packet::BULK => rows(session, &message.payload, wire),
        packet::TRANSACTION => transaction(session, &message.payload, wire),
        other => Err(SqlError::unsupported(format!("TDS message type {other}"))),
    };
    if let Err(e) = result {
        wire.error(&e.at(1));
    }
    if !wire.cancelled() && !wire.is_gone() {
        wire.complete();
    }
}

/// Meets a fault that a test has ordered for this text. Returns whether the request must not be run.
fn faulty(session: &Session, wire: &mut Wire, text: &str) -> SqlResult<bool> {
    wire.fault = None;
    let Some(fault) = session.engine.faults.meet(text) else {
        return Ok(false);
    };
    match (fault.after_rows, fault.action) {
        (Some(rows), action) => {
            wire.fault = Some((rows, action));
            Ok(false)
        }
        (None, Action::Error(error)) => Err(error),
        (None, Action::Disconnect) => {
            wire.cut();
            Ok(true)
        }
    }
}

fn batch(session: &mut Session, payload: &[u8], wire: &mut Wire) -> SqlResult<()> {
    let mut r = Reader::new(payload);
    r.all_headers()?;
    let sql = from_utf16(r.rest());
    if !faulty(session, wire, &sql)? {
        session.batch(&sql, wire);
    }
    Ok(())
}

fn calls(session: &mut Session, payload: &[u8], wire: &mut Wire) -> SqlResult<()> {
    for call in rpc::parse(payload)? {
        let mut all = call.name.join(".");
        for argument in &call.arguments {
            if let Value::Text(t) = &argument.value {
                all.push('\n');
                all.push_str(t);
            }
        }
        if faulty(session, wire, &all)? {
            return Ok(());
        }
        wire.no_metadata = call.no_metadata;
        let names: Vec<String> = call.arguments.iter().map(|a| a.name.clone()).collect();
        wire.nest(true);
        let result = session.rpc(&call.name, call.arguments, wire);
        wire.nest(false);
        wire.no_metadata = false;
        if wire.cancelled() {
            return Ok(());
        }
        let (status, outputs) = result.clone().unwrap_or((session.last_error, Vec::new()));
        let output = |(ordinal, ty, value)| OutputValue {
            name: names.get(ordinal).cloned().unwrap_or_default(),
            ordinal,
            ty,
            value,
        };
        let outputs: Vec<OutputValue> = outputs.into_iter().map(output).collect();
        wire.return_values(status, &outputs)?;
        wire.done_proc(result.is_none());
    }
    Ok(())
}

fn rows(session: &mut Session, payload: &[u8], wire: &mut Wire) -> SqlResult<()> {
    let load = bulk::parse(payload)?;
    if load.columns.is_empty() {
        wire.done(Some(0), false);
        return Ok(());
    }
    let count = session.bulk_rows(&load.columns, load.rows, wire)?;
    wire.done(Some(count), false);
    Ok(())
}

fn transaction(session: &mut Session, payload: &[u8], wire: &mut Wire) -> SqlResult<()> {
    let mut r = Reader::new(payload);
    r.all_headers()?;
    let kind = r.u16()?;
    let name = |r: &mut Reader<'_>| -> SqlResult<String> {
        let bytes = usize::from(r.u8()?);
        Ok(from_utf16(r.bytes(bytes)?))
    };
    let again = |r: &mut Reader<'_>| r.u8().is_ok_and(|flags| flags & 1 != 0);
    let request = match kind {
        5 => Manager::Begin(r.u8().unwrap_or(0)),
        7 => {
            name(&mut r)?;
            Manager::Commit(again(&mut r))
        }
        8 => {
            let name = Some(name(&mut r)?).filter(|n| !n.is_empty());
            Manager::Rollback(name, again(&mut r))
        }
        9 => Manager::Save(name(&mut r)?),
        other => return Err(SqlError::unsupported(format!("transaction manager request {other}"))),
    };
    session.manage(request, wire);
    Ok(())
}

/// Checks the login and answers it. Returns `None` when it was refused.
fn log_in(engine: &Arc<Engine>, payload: &[u8], wire: &mut Wire) -> Option<Session> {
    engine.connections.fetch_add(1, Ordering::Relaxed);
    let login = match login::parse(payload) {
        Ok(login) => login,
        Err(e) => {
            refuse(wire, &[e.into()]);
            return None;
        }
    };
    let is_first = match check(engine, &login) {
        Ok(is_first) => is_first,
        Err(errors) => {
            refuse(wire, &errors);
            return None;
        }
    };
    let opened = Session::new(engine).and_then(|mut session| {
        if !is_first {
            session.log_in(&login.user, &login.password)?;
        }
        if !login.database.is_empty() {
            session.db =
                catalog::database(session.conn(), &login.database)?.ok_or_else(|| cannot_open(&login.database))?;
            session.home.clone_from(&session.db);
        }
        if session.may_enter(&session.db)? {
            Ok(session)
        } else {
            Err(cannot_open(&session.db))
        }
    });
    let mut session = match opened {
        Ok(session) => session,
        Err(e) if e.number == 18456 => {
            refuse(wire, &[e]);
            return None;
        }
        Err(e) => {
            refuse(wire, &[e, failed(&login.user)]);
            return None;
        }
    };
    session.client_host.clone_from(&login.host);
    session.client_app.clone_from(&login.app);
    tokens::env_text(wire.token(), tokens::DATABASE, &session.db, "master");
    wire.info(&SqlError::of(5701, &[&session.db]).at(1));
    wire.info(&SqlError::of(5703, &[]).at(1));
    login::acknowledge(wire.token(), &login);
    wire.finish();
    wire.agree(login.packet_bytes, login.version);
    Some(session)
}

/// Makes 18456, for a failed login.
fn failed(user: &str) -> SqlError {
    SqlError::of(18456, &[&user]).at(1)
}

fn cannot_open(database: &str) -> SqlError {
    SqlError::of(4060, &[&database]).at(1)
}

/// Returns whether it is the login with which the server was started. Any other is one that was created, or does not
/// exist.
fn check(engine: &Engine, login: &login::Login) -> Result<bool, Vec<SqlError>> {
    // The version 8.0 is 0x08000000. Every other version has its major number in the high half of the first byte.
    if login.version < login::TDS_7_3 && login.version != 0x0800_0000 {
        return Err(vec![SqlError::of(17835, &[])]);
    }
    if login.integrated {
        return Err(vec![SqlError::of(18452, &[]).at(1)]);
    }
    let intent = if login.read_only { " ReadOnly" } else { "" };
    let odbc = if login.odbc { "" } else { " without ODBC" };
    let language = [" in a language", ""][usize::from(login.language.is_empty())];
    let asked = format!("LOGIN{intent}{language}{odbc}");
    if let Some(fault) = engine.faults.meet(&asked)
        && let Action::Error(error) = fault.action
    {
        return Err(vec![error, failed(&login.user)]);
    }
    match &login.token {
        Some(token) if locked(&engine.token).as_ref() == Some(token) => Ok(true),
        Some(_) => Err(vec![failed("<token-identified principal>")]),
        None if !login.user.eq_ignore_ascii_case(&engine.username) => Ok(false),
        None if login.password == engine.password => Ok(true),
        None => Err(vec![failed(&login.user)]),
    }
}

fn refuse(wire: &mut Wire, errors: &[SqlError]) {
    let (last, first) = match errors.split_last() {
        Some(split) => split,
        None => return,
    };
    for error in first {
        wire.error_token(error);
    }
    wire.error(last);
    wire.end();
}

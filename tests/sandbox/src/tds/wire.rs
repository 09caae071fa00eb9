//! Results on their way onto the wire: they become tokens, and tokens become packets.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};
use tidemark_tds::tokens::{self, DONE, DONE_IN_PROC, DONE_PROC, Told, b_varchar, us_varchar};
use tidemark_tds::{login, packet};
use tokio::sync::mpsc::Sender;

use super::encode;
use crate::attention::Attention;
use crate::error::{SqlError, SqlResult};
use crate::fault::Action;
use crate::sql::bind::OutColumn;
use crate::sql::exec::{TakeResults, Transition};
use crate::value::{Page, Ty, collation};

const MORE: u16 = 0x01;
const ERROR: u16 = 0x02;
const COUNT: u16 = 0x10;
const ATTENTION: u16 = 0x20;

/// The current command in DONE tokens of a SELECT.
const SELECT: u16 = 0xC1;

/// The bytes of payload that are kept before they are sent.
const CHUNK: usize = 64 * 1024;

#[derive(Clone, Copy)]
struct Done {
    token: u8,
    status: u16,
    command: u16,
    count: u64,
}

/// A value that an RPC gives back.
pub struct OutputValue {
    /// The name of its parameter, or nothing
    pub name: String,
    /// The place of its parameter
    pub ordinal: usize,
    /// Its type
    pub ty: Ty,
    /// The value
    pub value: Value,
}

/// Where the results of one connection go.
pub struct Wire {
    payload: Vec<u8>,
    size: usize,
    next_id: u8,
    out: Sender<Vec<u8>>,
    /// The attentions of the client.
    pub attention: Arc<Attention>,
    gone: bool,
    pending: Option<Done>,
    nested: u32,
    columns: Vec<(Ty, bool, Page)>,
    any_nullable: bool,
    compressed: bool,
    /// Whether column metadata is not sent again.
    pub no_metadata: bool,
    /// The fault that is to happen, and after how many more rows.
    pub fault: Option<(u64, Action)>,
}

impl Wire {
    /// Makes a wire into the connection's writer.
    pub fn new(out: Sender<Vec<u8>>, attention: Arc<Attention>) -> Self {
        Wire {
            payload: Vec::with_capacity(CHUNK + 4096),
            size: 4096,
            next_id: 1,
            out,
            attention,
            gone: false,
            pending: None,
            nested: 0,
            columns: Vec::new(),
            any_nullable: false,
            compressed: true,
            no_metadata: false,
            fault: None,
        }
    }

    /// Takes over the packet size and protocol version of the login.
    pub fn agree(&mut self, size: usize, version: u32) {
        self.size = size;
        self.compressed = version >= login::TDS_7_3_B || version == 0x0800_0000;
    }

    /// Returns whether the client is gone.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns the payload for another token. The DONE before it gets its "more" bit.
    pub fn token(&mut self) -> &mut Vec<u8> {
        if let Some(mut done) = self.pending.take() {
            done.status |= MORE;
            self.put_done(done);
        }
        &mut self.payload
    }

    fn put_done(&mut self, done: Done) {
        tokens::done(&mut self.payload, done.token, done.status, done.command, done.count);
    }

    fn push_done(&mut self, token: u8, status: u16, command: u16, count: u64) {
        self.token();
        self.pending = Some(Done {
            token,
            status,
            command,
            count,
        });
    }

    fn send(&mut self, end: bool) {
        let body = self.size - packet::HEADER;
        let keep = if end { 0 } else { self.payload.len() % body };
        let rest = self.payload.split_off(self.payload.len() - keep);
        self.gone |= packet::is_too_long(self.payload.len(), self.size);
        if !self.payload.is_empty() && !self.gone {
            let frames = packet::frame(packet::RESPONSE, &self.payload, self.size, end, &mut self.next_id);
            self.gone = self.out.blocking_send(frames).is_err();
        }
        self.payload = rest;
        self.payload.reserve(CHUNK + 4096);
        if end {
            self.next_id = 1;
        }
    }

    /// Ends a response that has no DONE at its end with one.
    pub fn complete(&mut self) {
        if self.pending.is_none() {
            self.push_done(DONE, 0, 0, 0);
        }
    }

    /// Completes and ends the response.
    pub fn finish(&mut self) {
        self.complete();
        self.end();
    }

    /// Ends the response with what is there.
    pub fn end(&mut self) {
        if let Some(done) = self.pending.take() {
            self.put_done(done);
        }
        self.send(true);
    }

    /// Ends a request that was cancelled. Its packets stay open until the attention is answered.
    pub fn abandon(&mut self) {
        self.pending = None;
    }

    /// Answers an attention.
    pub fn acknowledge_attention(&mut self) {
        self.attention.answer();
        self.pending = None;
        tokens::done(&mut self.payload, DONE, ATTENTION, 0, 0);
        self.send(true);
    }

    /// Writes the end of an RPC: the status, the output values, DONEPROC.
    ///
    /// Fails when an output value does not have its type.
    pub fn return_values(&mut self, status: i32, outputs: &[OutputValue]) -> SqlResult<()> {
        let out = self.status(status);
        for OutputValue {
            name,
            ordinal,
            ty,
            value,
        } in outputs
        {
            out.push(0xAC);
            out.extend_from_slice(&u16::try_from(*ordinal).unwrap_or(0).to_le_bytes());
            let sign = if name.is_empty() { "" } else { "@" };
            b_varchar(out, &format!("{sign}{name}"));
            out.push(1);
            out.extend_from_slice(&encode::user_type(*ty).to_le_bytes());
            out.extend_from_slice(&[1, 0]);
            // Legacy large types come back as the types that replaced them.
            let ty = match ty {
                Ty::Text => Ty::VarChar(crate::value::MAX),
                Ty::NText => Ty::NVarChar(crate::value::MAX),
                Ty::Image => Ty::VarBinary(crate::value::MAX),
                other => *other,
            };
            let collation = collation::DEFAULT;
            encode::type_info(out, ty, true, collation);
            encode::value(out, ty, true, collation.page(ty), value.into())?;
        }
        Ok(())
    }

    /// Writes the status of an RPC, and returns the payload.
    fn status(&mut self, status: i32) -> &mut Vec<u8> {
        let out = self.token();
        out.push(0x79);
        out.extend_from_slice(&status.to_le_bytes());
        out
    }

    /// Writes DONEPROC, which ends an RPC.
    pub fn done_proc(&mut self, failed: bool) {
        self.push_done(DONE_PROC, if failed { ERROR } else { 0 }, 0, 0);
    }

    fn message(&mut self, token: u8, error: &SqlError) {
        let told = Told {
            number: error.number,
            state: error.state,
            class: error.class,
            message: &error.message,
            procedure: &error.procedure,
            line: error.line,
        };
        tokens::message(self.token(), token, "sandbox", &told);
    }

    /// Writes an ERROR token alone, without the DONE of a statement.
    pub fn error_token(&mut self, error: &SqlError) {
        self.message(tokens::ERROR, error);
    }

    fn done_token(&self) -> u8 {
        if self.nested > 0 { DONE_IN_PROC } else { DONE }
    }

    /// Lets a fault happen when its rows have been sent.
    fn fail_in_time(&mut self) -> SqlResult<()> {
        if let Some((left, _)) = &mut self.fault
            && *left > 0
        {
            *left -= 1;
            return Ok(());
        }
        match self.fault.take() {
            Some((_, Action::Error(error))) => Err(error),
            _ => {
                self.send(false);
                self.gone = true;
                Err(SqlError::cancelled())
            }
        }
    }

    /// Cuts the connection.
    pub fn cut(&mut self) {
        self.gone = true;
    }

    fn metadata(&mut self, columns: &[OutColumn]) {
        let no_metadata = std::mem::take(&mut self.no_metadata);
        let out = self.token();
        out.push(0x81);
        if no_metadata {
            out.extend_from_slice(&[0xFF, 0xFF]);
            return;
        }
        out.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_le_bytes());
        for column in columns {
            out.extend_from_slice(&encode::user_type(column.ty).to_le_bytes());
            let mut flags = u16::from(column.nullable);
            match &column.origin {
                Some(origin) if origin.identity => flags |= 0x10,
                // Only the server sets it, so usUpdateable is ReadOnly.
                Some(_) if column.ty == Ty::RowVersion => {}
                Some(origin) if origin.computed => flags |= 0x20,
                Some(_) => flags |= 0x08,
                None => flags |= 0x20,
            }
            out.extend_from_slice(&flags.to_le_bytes());
            encode::type_info(out, column.ty, column.nullable, column.collation());
            if matches!(column.ty, Ty::Text | Ty::NText | Ty::Image) {
                let parts = column.origin.as_ref().map(|o| o.table.as_slice()).unwrap_or_default();
                out.push(parts.len().to_le_bytes()[0]);
                for part in parts {
                    us_varchar(out, part);
                }
            }
            b_varchar(out, &column.name);
        }
    }

    fn row_values(&mut self, row: &Row<'_>) -> SqlResult<()> {
        let count = self.columns.len();
        let mut nulls = 0;
        if self.any_nullable && self.compressed {
            for at in 0..count {
                if row.get_ref(at)? == ValueRef::Null {
                    nulls += 1;
                }
            }
        }
        if nulls == 0 {
            self.payload.push(0xD1);
            for (at, (ty, nullable, page)) in self.columns.iter().enumerate() {
                encode::value(&mut self.payload, *ty, *nullable, *page, row.get_ref(at)?)?;
            }
            return Ok(());
        }
        self.payload.push(0xD2);
        let bitmap = self.payload.len();
        self.payload.resize(bitmap + count.div_ceil(8), 0);
        for (at, (ty, nullable, page)) in self.columns.iter().enumerate() {
            match row.get_ref(at)? {
                ValueRef::Null if *nullable => self.payload[bitmap + at / 8] |= 1 << (at % 8),
                value => encode::value(&mut self.payload, *ty, *nullable, *page, value)?,
            }
        }
        Ok(())
    }
}

impl TakeResults for Wire {
    fn columns(&mut self, columns: &[OutColumn]) -> SqlResult<()> {
        let shown = |c: &OutColumn| (c.ty, c.nullable, c.collation().page(c.ty));
        self.columns = columns.iter().map(shown).collect();
        self.any_nullable = columns.iter().any(|c| c.nullable);
        self.metadata(columns);
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) -> SqlResult<()> {
        if self.fault.is_some() {
            self.fail_in_time()?;
        }
        let start = self.payload.len();
        if let Err(e) = self.row_values(row) {
            self.payload.truncate(start);
            return Err(e);
        }
        if self.payload.len() >= CHUNK {
            self.send(false);
        }
        if self.gone || self.attention.waiting() {
            return Err(SqlError::cancelled());
        }
        Ok(())
    }

    fn done(&mut self, count: Option<u64>, rows: bool) {
        let token = self.done_token();
        if token == DONE_IN_PROC && count.is_none() && !rows {
            return;
        }
        let status = if count.is_some() { COUNT } else { 0 };
        let command = if rows { SELECT } else { 0 };
        self.push_done(token, status, command, count.unwrap_or(0));
    }

    fn info(&mut self, message: &SqlError) {
        self.message(tokens::INFO, message);
    }

    fn error(&mut self, error: &SqlError) {
        self.message(tokens::ERROR, error);
        let token = self.done_token();
        self.push_done(token, ERROR, 0, 0);
    }

    fn database(&mut self, old: &str, new: &str) {
        tokens::env_text(self.token(), tokens::DATABASE, new, old);
    }

    fn transaction(&mut self, change: Transition) {
        let out = self.token();
        match change {
            Transition::Begun(id) => tokens::env_bytes(out, 8, &id.to_le_bytes(), &[]),
            Transition::Committed(id) => tokens::env_bytes(out, 9, &[], &id.to_le_bytes()),
            Transition::RolledBack(id) => tokens::env_bytes(out, 10, &[], &id.to_le_bytes()),
        }
    }

    fn nest(&mut self, inside: bool) {
        if inside {
            self.nested += 1;
        } else {
            self.nested = self.nested.saturating_sub(1);
        }
    }

    fn returned(&mut self, status: i32) {
        self.status(status);
        self.push_done(if self.nested > 0 { DONE_IN_PROC } else { DONE_PROC }, 0, 0, 0);
    }

    fn cancelled(&self) -> bool {
        self.gone || self.attention.waiting()
    }
}

//! Application locks: `sp_getapplock` and `sp_releaseapplock`, owned by the session.

use std::time::{Duration, Instant};

use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::value::text;

/// The parameters of both procedures.
pub(super) struct Request {
    pub(super) resource: String,
    pub(super) mode: Option<String>,
    pub(super) owner: String,
    pub(super) timeout: Option<i64>,
}

impl Session {
    /// Runs `sp_getapplock`. Returns 0 when the lock is granted at once, 1 after waiting, and -1 when the timeout has
    /// passed.
    pub(super) fn get_app_lock(&self, request: &Request, results: &dyn TakeResults) -> SqlResult<i32> {
        session_owned(request)?;
        let mode = request.mode.as_deref().unwrap_or_default();
        if !text::same(mode, "Exclusive") {
            return Err(SqlError::unsupported(format!("sp_getapplock @LockMode = '{mode}'")));
        }
        let (since, resource) = (Instant::now(), self.app_resource(&request.resource));
        let limit = match request.timeout {
            Some(timeout) => u64::try_from(timeout).ok(),
            None => self.options.lock_timeout,
        };
        let limit = limit.map(Duration::from_millis);
        let mut waited = 0;
        while !self.engine.app_locks.take(&resource, self.spid) {
            if results.cancelled() {
                return Err(SqlError::cancelled());
            }
            if limit.is_some_and(|limit| since.elapsed() >= limit) {
                return Ok(-1);
            }
            waited = 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(waited)
    }

    /// Runs `sp_releaseapplock`.
    pub(super) fn release_app_lock(&self, request: &Request) -> SqlResult<i32> {
        session_owned(request)?;
        if self
            .engine
            .app_locks
            .release(&self.app_resource(&request.resource), self.spid)
        {
            return Ok(0);
        }
        Err(SqlError::of(1223, &[&request.resource]))
    }

    /// Returns the key of a resource, which is unique in a database and compared as bytes.
    fn app_resource(&self, resource: &str) -> String {
        format!("{}:{resource}", self.db)
    }
}

fn session_owned(request: &Request) -> SqlResult<()> {
    if text::same(&request.owner, "Session") {
        return Ok(());
    }
    Err(SqlError::unsupported(format!(
        "application locks with @LockOwner = '{}'",
        request.owner
    )))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.app_locks.release_all(self.spid);
    }
}

//! Common table expressions.

use super::query::{mentions, numbered, rename, retype};
use super::{Binder, Cte};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Query};

impl Binder<'_> {
    /// Binds common table expressions and gives their SQLite text.
    pub fn with(&mut self, ctes: &[(String, Vec<String>, Query)]) -> SqlResult<String> {
        let mut out = Vec::new();
        for (name, names, query) in ctes {
            let handle = self.handle();
            let recursive = match &query.body {
                Body::Set("UNION ALL", anchor, _) if mentions(&query.body, name) => Some(anchor),
                _ => None,
            };
            let outer = std::mem::take(&mut self.scopes);
            let bound = match recursive {
                Some(anchor) => {
                    // The anchor gives the types; the recursive part is converted to them.
                    let anchor = self.body(anchor)?;
                    let mut columns = anchor.columns();
                    rename(&mut columns, names, name)?;
                    for c in &mut columns {
                        c.origin = None;
                        c.nullable = true;
                    }
                    self.ctes.push(Cte {
                        name: name.clone(),
                        handle: handle.clone(),
                        columns: columns.clone(),
                    });
                    let Body::Set(_, _, step) = &query.body else {
                        return Err(SqlError::syntax(name));
                    };
                    let mut step = self.body(step)?;
                    retype(&mut step, &columns)?;
                    let sql = format!("{} UNION ALL {}", anchor.render(), step.render());
                    out.push(format!("{handle}({}) AS ({sql})", numbered(columns.len())));
                    self.scopes = outer;
                    continue;
                }
                None => self.nested(query)?,
            };
            self.scopes = outer;
            let mut columns = bound.columns;
            rename(&mut columns, names, name)?;
            out.push(format!("{handle}({}) AS ({})", numbered(columns.len()), bound.sql));
            self.ctes.push(Cte {
                name: name.clone(),
                handle,
                columns,
            });
        }
        Ok(if out.is_empty() {
            String::new()
        } else {
            format!("WITH RECURSIVE {} ", out.join(", "))
        })
    }

    pub(super) fn cte(&self, name: &str) -> Option<Cte> {
        self.ctes
            .iter()
            .rev()
            .find(|c| crate::value::text::same(&c.name, name))
            .cloned()
    }
}

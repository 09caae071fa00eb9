//! The stand-in binds common table expressions here.

use super::query::{numbered, rename};
use super::{Binder, Cte};
use crate::error::SqlResult;
use crate::sql::ast::NamedQuery;

impl Binder<'_> {
    /// Binds common table expressions, and returns their SQLite text.
    pub fn with(&mut self, ctes: &[NamedQuery]) -> SqlResult<String> {
        let mut out = Vec::new();
        for cte in ctes {
            let handle = self.handle();
            let outer = std::mem::take(&mut self.scopes);
            let bound = self.nested(&cte.query)?;
            self.scopes = outer;
            let mut columns = bound.columns;
            rename(&mut columns, &cte.columns, &cte.name)?;
            out.push(format!("{handle}({}) AS ({})", numbered(columns.len()), bound.sql));
            self.ctes.push(Cte {
                name: cte.name.clone(),
                handle,
                columns,
            });
        }
        Ok(if out.is_empty() {
            String::new()
        } else {
            format!("WITH {} ", out.join(", "))
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

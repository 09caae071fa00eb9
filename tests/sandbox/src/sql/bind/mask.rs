//! Dynamic data masks: what a query shows of a masked column to a user without the right to `UNMASK` it
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/security/dynamic-data-masking>).

use super::types::{implicit, to};
use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Expr, Item};
use crate::value::Ty;

impl Binder<'_> {
    /// Binds an item of a select list. One with a masked column in it becomes the mask of its type. Rows are counted as
    /// they are.
    pub(super) fn shown(&mut self, item: &Expr) -> SqlResult<Bound> {
        self.is_masked = false;
        let bound = self.expr(item)?;
        let is_count = matches!(item, Expr::Call(call) if call.name[0].starts_with("COUNT"));
        if std::mem::take(&mut self.is_masked) && !is_count {
            return self.masked(bound);
        }
        Ok(bound)
    }

    /// Binds a value behind the mask `default()`.
    pub(super) fn masked(&mut self, value: Bound) -> SqlResult<Bound> {
        let shown = match value.ty {
            Ty::RowVersion => Expr::Null,
            Ty::Xml => Expr::Str("<masked />".to_owned(), true),
            Ty::Guid => Expr::Str("00000000-0000-0000-0000-000000000000".to_owned(), false),
            ty if ty.is_string() => Expr::Str("xxxx".to_owned(), true),
            ty if ty.is_temporal() => Expr::Str("1900-01-01".to_owned(), false),
            ty if ty.is_binary() => Expr::Bin(vec![0]),
            _ => Expr::Int("0".to_owned()),
        };
        let shown = self.expr(&shown)?;
        let shown = if value.ty.is_string() {
            to(shown, value.ty)
        } else {
            implicit(shown, value.ty)?
        };
        let sql = format!("(CASE WHEN {} IS NOT NULL THEN {} END)", value.sql, shown.sql);
        Ok(Bound { sql, ..value })
    }

    /// Binds an item of a select list that is an expression, with its name. Returns `None` for another item.
    pub(super) fn named_item(&mut self, item: &Item) -> SqlResult<Option<(Bound, String)>> {
        let Item::Expr(e, name) = item else { return Ok(None) };
        let bound = self.shown(e)?;
        let column = bound.column.as_ref().map(|c| c.name.clone()).filter(|n| !n.is_empty());
        let name = match (name, e) {
            (Some(name), _) => name.clone(),
            (None, Expr::Col(parts)) => column.or_else(|| parts.last().cloned()).unwrap_or_default(),
            _ => String::new(),
        };
        Ok(Some((bound, name)))
    }
}

/// Fails with 40510 for another mask than `default()`.
pub fn check(mask: &str) -> SqlResult<()> {
    if mask.trim().eq_ignore_ascii_case("default()") {
        return Ok(());
    }
    Err(SqlError::unsupported(format!("the mask {mask}")))
}

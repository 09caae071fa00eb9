//! Dynamic data masks: what a query shows of a masked column to whom may not `UNMASK` it
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/security/dynamic-data-masking>).

use super::types::{implicit, to};
use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Expr, Item};
use crate::sql::parser;
use crate::value::Ty;

impl Binder<'_> {
    /// An item of a select list: of a masked column its mask, of an expression with one in it the mask of its type. Rows are
    /// counted as they are.
    pub(super) fn shown(&mut self, item: &Expr) -> SqlResult<Bound> {
        self.masks.clear();
        let bound = self.expr(item)?;
        let masks = std::mem::take(&mut self.masks);
        match (masks.first(), item) {
            (None, _) => Ok(bound),
            (_, Expr::Call(call)) if call.name[0].starts_with("COUNT") => Ok(bound),
            (Some(mask), Expr::Col(_)) => self.masked(bound, &mask.clone()),
            _ => self.masked(bound, "default()"),
        }
    }

    /// A value behind a mask.
    pub(super) fn masked(&mut self, value: Bound, mask: &str) -> SqlResult<Bound> {
        let text = value.sql.clone();
        let sql = match (mask_of(mask)?.as_slice(), value.ty) {
            ([], Ty::RowVersion) => "NULL".to_owned(),
            ([], ty) => {
                let shown = match ty {
                    Ty::Xml => Expr::Str("<masked />".to_owned(), true),
                    Ty::Guid => Expr::Str("00000000-0000-0000-0000-000000000000".to_owned(), false),
                    _ if ty.is_string() => Expr::Str("xxxx".to_owned(), true),
                    _ if ty.is_temporal() => Expr::Str("1900-01-01".to_owned(), false),
                    _ if ty.is_binary() => Expr::Bin(vec![0]),
                    _ => Expr::Int("0".to_owned()),
                };
                let shown = self.expr(&shown)?;
                if ty.is_string() {
                    to(shown, ty).sql
                } else {
                    implicit(shown, ty)?.sql
                }
            }
            ([Expr::Int(before), Expr::Col(padding), Expr::Int(after)], _) => {
                let padding = crate::sql::catalog::literal(&padding.join("."));
                format!("t_substring({text}, 1, {before}) || {padding} || t_right({text}, {after})")
            }
            _ => return Err(SqlError::unsupported(format!("the mask {mask}"))),
        };
        let sql = format!("(CASE WHEN {text} IS NOT NULL THEN {sql} END)");
        Ok(Bound { sql, ..value })
    }

    /// The items of a select list that name an expression.
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

/// The parts of a mask: none of `default()`, three of `partial(before, "padding", after)`; `email()` is the one that shows the
/// first character.
pub fn mask_of(text: &str) -> SqlResult<Vec<Expr>> {
    if text.trim().eq_ignore_ascii_case("default()") {
        return Ok(Vec::new());
    }
    match parser::expression(text)? {
        Expr::Call(call) if call.name == ["PARTIAL"] && call.args.len() == 3 => Ok(call.args),
        Expr::Call(call) if call.name == ["EMAIL"] => {
            let number = |number: &str| Expr::Int(number.to_owned());
            Ok(vec![
                number("1"),
                Expr::Col(vec!["XXX@XXXX.com".to_owned()]),
                number("0"),
            ])
        }
        _ => Err(SqlError::unsupported(format!("the mask {text}"))),
    }
}

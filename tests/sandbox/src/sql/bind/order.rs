//! The stand-in binds `ORDER BY` and row limits here.

use super::query::Part;
use super::types::to;
use super::{Binder, Bound, Scope};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Expr, Order};
use crate::value::Ty;

impl Binder<'_> {
    pub(super) fn limit(&mut self, e: &Expr) -> SqlResult<String> {
        self.scopes.push(Scope::default());
        let bound = self.expr(e);
        self.scopes.pop();
        let bound = bound?;
        if bound.ty.is_int() || matches!(bound.ty, Ty::Decimal(..)) {
            return Ok(format!("t_limit({})", to(bound, Ty::BigInt).sql));
        }
        Err(SqlError::of(1060, &[]))
    }

    pub(super) fn order(&mut self, order: &[Order], part: &mut Part) -> SqlResult<String> {
        let mut keys = Vec::new();
        for o in order {
            let key = self.order_key(&o.expr, part)?;
            if key.ty.is_incomparable() {
                return Err(SqlError::of(306, &[]));
            }
            keys.push(format!(
                "{}{}{}",
                key.sql,
                key.collate(),
                if o.desc { " DESC" } else { "" }
            ));
        }
        Ok(keys.join(", "))
    }

    pub(super) fn order_key(&mut self, e: &Expr, part: &mut Part) -> SqlResult<Bound> {
        if let Expr::Int(n) = e {
            let at: usize = n.parse().unwrap_or(0);
            let item = at
                .checked_sub(1)
                .and_then(|at| part.items.get(at))
                .ok_or_else(|| SqlError::of(108, &[&n]))?;
            return Ok(Bound {
                sql: n.clone(),
                ..item.0.clone()
            });
        }
        if let Expr::Col(name) = e
            && let [alias] = name.as_slice()
            && let Some(at) = part.items.iter().position(|(_, n)| crate::value::text::same(n, alias))
        {
            return Ok(Bound {
                sql: (at + 1).to_string(),
                ..part.items[at].0.clone()
            });
        }
        let Some(scope) = part.scope.take() else {
            return Err(SqlError::of(104, &[]));
        };
        self.scopes.push(scope);
        let bound = self.expr(e);
        let loose = self.check_loose();
        part.scope = self.scopes.pop();
        let bound = bound?;
        loose?;
        Ok(bound)
    }
}

//! The grammar of queries: select lists, sources, set operations.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Expr, Item, Kind, NamedQuery, Query, Select};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    pub(super) fn with_statement(&mut self) -> SqlResult<Kind> {
        if self.is_at(1, "change_tracking_context") {
            return Err(SqlError::unsupported("WITH CHANGE_TRACKING_CONTEXT").at(self.line()));
        }
        let ctes = self.ctes()?;
        if self.is("insert") {
            return self.insert(ctes);
        }
        self.refuse(&["update", "delete"], "WITH common_table_expression UPDATE or DELETE")?;
        let mut query = self.query()?;
        query.ctes = ctes;
        Ok(Kind::Select(Box::new(query)))
    }

    pub(super) fn ctes(&mut self) -> SqlResult<Vec<NamedQuery>> {
        self.expect("with")?;
        self.list(|p| {
            let (name, columns) = (p.ident()?, p.optional_idents()?);
            p.expect("as")?;
            let query = p.enclosed(Self::query)?;
            Ok(NamedQuery { name, columns, query })
        })
    }

    pub(super) fn query(&mut self) -> SqlResult<Query> {
        let ctes = if self.is("with") { self.ctes()? } else { Vec::new() };
        let body = self.body()?;
        let order = if self.is("order") { self.order_by()? } else { Vec::new() };
        let offset = if !order.is_empty() && self.eat("offset") {
            Some(self.offset()?)
        } else {
            None
        };
        if self.is("for") && (self.is_at(1, "xml") || self.is_at(1, "json")) {
            return Err(SqlError::unsupported("FOR XML, FOR JSON").at(self.line()));
        }
        if self.eat("option") {
            self.in_parentheses(Self::query_hint)?;
        }
        Ok(Query {
            ctes,
            body,
            order,
            offset,
        })
    }

    /// Parses the rows that `OFFSET` skips and `FETCH` takes.
    fn offset(&mut self) -> SqlResult<(Expr, Option<Expr>)> {
        let skip = self.expr()?;
        self.expect_any(&["rows", "row"])?;
        if !self.eat("fetch") {
            return Ok((skip, None));
        }
        self.expect_any(&["next", "first"])?;
        let fetch = self.expr()?;
        self.expect_any(&["rows", "row"])?;
        self.expect("only")?;
        Ok((skip, Some(fetch)))
    }

    /// Parses a hint, which changes nothing here.
    fn query_hint(&mut self) -> SqlResult<()> {
        match self.expect_any(&["recompile", "maxdop", "loop", "hash", "merge", "optimize"])? {
            "maxdop" => self.signed_int().map(|_| ()),
            "loop" | "hash" | "merge" => self.expect("join"),
            "optimize" => self.expect("for").and_then(|()| self.expect("unknown")),
            _ => Ok(()),
        }
    }

    pub(super) fn body(&mut self) -> SqlResult<Body> {
        let mut left = self.intersect()?;
        loop {
            let op = if self.eat("union") {
                if self.eat("all") { "UNION ALL" } else { "UNION" }
            } else if self.eat("except") {
                "EXCEPT"
            } else {
                return Ok(left);
            };
            left = Body::Set(op, Box::new(left), Box::new(self.intersect()?));
        }
    }

    pub(super) fn intersect(&mut self) -> SqlResult<Body> {
        let mut left = self.term()?;
        while self.eat("intersect") {
            left = Body::Set("INTERSECT", Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    pub(super) fn term(&mut self) -> SqlResult<Body> {
        if self.is_sym("(") {
            return Ok(Body::Nested(Box::new(self.enclosed(Self::query)?)));
        }
        Ok(Body::Select(Box::new(self.select()?)))
    }

    pub(super) fn select(&mut self) -> SqlResult<Select> {
        self.expect("select")?;
        let mut select = Select {
            distinct: self.eat("distinct"),
            ..Select::default()
        };
        if !select.distinct {
            self.eat("all");
        }
        select.top = self.top()?;
        select.items = self.list(Self::item)?;
        select.into = self.after("into", Self::name)?;
        if self.eat("from") {
            select.from = self.sources()?;
        }
        select.filter = self.filter()?;
        if self.eat("group") {
            self.expect("by")?;
            select.group = self.expr_list()?;
        }
        select.having = self.after("having", Self::condition)?;
        Ok(select)
    }

    pub(super) fn filter(&mut self) -> SqlResult<Option<Expr>> {
        self.after("where", Self::condition)
    }

    /// Parses `TOP (n)` or `TOP n`.
    pub(super) fn top(&mut self) -> SqlResult<Option<Expr>> {
        if !self.eat("top") {
            return Ok(None);
        }
        let count = if self.is_sym("(") {
            self.enclosed(Self::expr)?
        } else {
            match self.bump() {
                Tok::Int(n) => Expr::Int(n),
                Tok::Var(v) => Expr::Var(v),
                _ => {
                    self.at -= 1;
                    return self.unexpected();
                }
            }
        };
        if self.is("percent") || self.is("with") && self.is_at(1, "ties") {
            return Err(SqlError::unsupported("TOP … PERCENT, WITH TIES").at(self.line()));
        }
        Ok(Some(count))
    }

    pub(super) fn item(&mut self) -> SqlResult<Item> {
        if self.eat_sym("*") {
            return Ok(Item::Star(Vec::new()));
        }
        if let Tok::Var(name) = self.tok().clone()
            && let Tok::Sym(op) = *self.peek(1)
            && (op == "=" || compound(op).is_some())
        {
            self.at += 2;
            return Ok(Item::Assign(name, compound(op), self.expr()?));
        }
        if self.is_ident() {
            if let Some(star) = self.qualified_star() {
                return Ok(star);
            }
            // `alias = expression`
            if matches!(self.peek(1), Tok::Sym("=")) {
                let alias = self.ident()?;
                self.bump();
                return Ok(Item::Expr(self.expr()?, Some(alias)));
            }
        }
        let expr = self.expr()?;
        let alias = self.column_alias()?;
        Ok(Item::Expr(expr, alias))
    }

    pub(super) fn qualified_star(&mut self) -> Option<Item> {
        let from = self.at;
        let mut name = Vec::new();
        while let Ok(part) = self.ident() {
            name.push(part);
            if !self.eat_sym(".") {
                break;
            }
            if self.eat_sym("*") {
                return Some(Item::Star(name));
            }
        }
        self.at = from;
        None
    }

    pub(super) fn column_alias(&mut self) -> SqlResult<Option<String>> {
        let named = self.eat("as");
        if let Tok::Str(s, _) = self.tok().clone() {
            self.bump();
            return Ok(Some(s));
        }
        if named || self.is_ident() {
            Ok(Some(self.ident()?))
        } else {
            Ok(None)
        }
    }
}

/// Returns the operator of a compound assignment such as `+=`, or `None` for `=`.
pub(super) fn compound(op: &'static str) -> Option<&'static str> {
    let operator = op.strip_suffix('=')?;
    ["+", "-", "*", "/", "%", "&", "|", "^"]
        .contains(&operator)
        .then_some(operator)
}

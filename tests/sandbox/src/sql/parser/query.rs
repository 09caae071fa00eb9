//! Queries: select lists, sources, set operations.

use super::{Parser, is_reserved};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Expr, Item, Kind, Query, Select, Table};
use crate::sql::lexer::Tok;

/// The table hints that are known; the stand-in's own isolation makes each of them true or harmless.
const HINTS: [&str; 18] = [
    "nolock",
    "readuncommitted",
    "readcommitted",
    "readcommittedlock",
    "repeatableread",
    "serializable",
    "holdlock",
    "updlock",
    "xlock",
    "rowlock",
    "paglock",
    "tablock",
    "tablockx",
    "nowait",
    "readpast",
    "snapshot",
    "noexpand",
    "keepidentity",
];

type Ctes = Vec<(String, Vec<String>, Query)>;

impl Parser<'_> {
    /// `WITH … SELECT`, `WITH … INSERT`.
    pub(super) fn with_statement(&mut self) -> SqlResult<Kind> {
        let ctes = self.ctes()?;
        if self.is("insert") {
            return self.insert(ctes);
        }
        if self.is("update") || self.is("delete") {
            return Err(SqlError::unsupported("WITH common_table_expression UPDATE or DELETE").at(self.line()));
        }
        let mut query = self.query()?;
        query.ctes = ctes;
        Ok(Kind::Select(Box::new(query)))
    }

    fn ctes(&mut self) -> SqlResult<Ctes> {
        self.expect("with")?;
        let mut out = Vec::new();
        loop {
            let name = self.ident()?;
            let columns = if self.is_sym("(") {
                self.ident_list()?
            } else {
                Vec::new()
            };
            self.expect("as")?;
            self.expect_sym("(")?;
            let query = self.query()?;
            self.expect_sym(")")?;
            out.push((name, columns, query));
            if !self.eat_sym(",") {
                return Ok(out);
            }
        }
    }

    /// A whole query.
    pub(super) fn query(&mut self) -> SqlResult<Query> {
        let ctes = if self.is("with") { self.ctes()? } else { Vec::new() };
        let body = self.body()?;
        let order = if self.is("order") { self.order_by()? } else { Vec::new() };
        let mut offset = None;
        if !order.is_empty() && self.eat("offset") {
            let skip = self.expr()?;
            if self.eat_any(&["rows", "row"]).is_none() {
                return self.unexpected();
            }
            let mut fetch = None;
            if self.eat("fetch") {
                if self.eat_any(&["next", "first"]).is_none() {
                    return self.unexpected();
                }
                fetch = Some(self.expr()?);
                if self.eat_any(&["rows", "row"]).is_none() {
                    return self.unexpected();
                }
                self.expect("only")?;
            }
            offset = Some((skip, fetch));
        }
        if self.is("for") && (self.is_at(1, "xml") || self.is_at(1, "json")) {
            return Err(SqlError::unsupported("FOR XML, FOR JSON").at(self.line()));
        }
        if self.eat("option") {
            self.query_hints()?;
        }
        Ok(Query {
            ctes,
            body,
            order,
            offset,
        })
    }

    fn query_hints(&mut self) -> SqlResult<()> {
        self.expect_sym("(")?;
        loop {
            if self.eat("recompile") {
            } else if self.eat("maxdop") || self.eat("maxrecursion") {
                self.signed_int()?;
            } else if self.eat("loop") || self.eat("hash") || self.eat("merge") {
                if !self.eat("join") {
                    return self.unexpected();
                }
            } else if self.eat("optimize") {
                self.expect("for")?;
                self.expect("unknown")?;
            } else {
                return self.unexpected();
            }
            if !self.eat_sym(",") {
                break;
            }
        }
        self.expect_sym(")")
    }

    fn body(&mut self) -> SqlResult<Body> {
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

    fn intersect(&mut self) -> SqlResult<Body> {
        let mut left = self.term()?;
        while self.eat("intersect") {
            left = Body::Set("INTERSECT", Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn term(&mut self) -> SqlResult<Body> {
        if self.eat_sym("(") {
            let query = self.query()?;
            self.expect_sym(")")?;
            return Ok(Body::Nested(Box::new(query)));
        }
        Ok(Body::Select(Box::new(self.select()?)))
    }

    fn select(&mut self) -> SqlResult<Select> {
        self.expect("select")?;
        let mut select = Select {
            distinct: self.eat("distinct"),
            ..Select::default()
        };
        if !select.distinct {
            self.eat("all");
        }
        select.top = self.top()?;
        loop {
            let item = self.item()?;
            select.items.push(item);
            if !self.eat_sym(",") {
                break;
            }
        }
        if self.eat("into") {
            select.into = Some(self.name()?);
        }
        if self.eat("from") {
            select.from = self.sources()?;
        }
        select.filter = self.filter()?;
        if self.eat("group") {
            self.expect("by")?;
            select.group = self.expr_list()?;
        }
        if self.eat("having") {
            select.having = Some(self.condition()?);
        }
        Ok(select)
    }

    pub(super) fn filter(&mut self) -> SqlResult<Option<Expr>> {
        if self.eat("where") {
            Ok(Some(self.condition()?))
        } else {
            Ok(None)
        }
    }

    /// `TOP (n)` or `TOP n`.
    pub(super) fn top(&mut self) -> SqlResult<Option<Expr>> {
        if !self.eat("top") {
            return Ok(None);
        }
        let count = if self.eat_sym("(") {
            let count = self.expr()?;
            self.expect_sym(")")?;
            count
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
            && let Tok::Sym(op @ ("=" | "+=" | "-=" | "*=" | "/=" | "%=" | "&=" | "|=" | "^=")) = *self.peek(1)
        {
            self.bump();
            self.bump();
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

    fn qualified_star(&mut self) -> Option<Item> {
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

    fn column_alias(&mut self) -> SqlResult<Option<String>> {
        if self.eat("as") {
            if let Tok::Str(s, _) = self.tok().clone() {
                self.bump();
                return Ok(Some(s));
            }
            return Ok(Some(self.ident()?));
        }
        if let Tok::Str(s, _) = self.tok().clone() {
            self.bump();
            return Ok(Some(s));
        }
        if self.is_ident() {
            Ok(Some(self.ident()?))
        } else {
            Ok(None)
        }
    }

    /// The sources after `FROM`.
    pub(super) fn sources(&mut self) -> SqlResult<Vec<Table>> {
        let mut out = vec![self.joined()?];
        while self.eat_sym(",") {
            out.push(self.joined()?);
        }
        Ok(out)
    }

    fn joined(&mut self) -> SqlResult<Table> {
        let mut left = self.source_table()?;
        loop {
            let kind = if self.is("join") {
                "INNER"
            } else if self.is("inner") {
                self.bump();
                "INNER"
            } else if let Some(kind) = self.outer_kind() {
                kind
            } else if self.is("cross") && self.is_at(1, "join") {
                self.bump();
                "CROSS"
            } else if (self.is("cross") || self.is("outer")) && self.is_at(1, "apply") {
                return Err(SqlError::unsupported("APPLY").at(self.line()));
            } else {
                return Ok(left);
            };
            self.expect("join")?;
            let right = self.source_table_or_joined()?;
            let on = if kind == "CROSS" {
                None
            } else {
                self.expect("on")?;
                Some(self.condition()?)
            };
            left = Table::Join {
                kind,
                left: Box::new(left),
                right: Box::new(right),
                on,
            };
        }
    }

    fn source_table_or_joined(&mut self) -> SqlResult<Table> {
        self.source_table()
    }

    fn outer_kind(&mut self) -> Option<&'static str> {
        for (word, kind) in [("left", "LEFT"), ("right", "RIGHT"), ("full", "FULL")] {
            if self.is(word) && (self.is_at(1, "join") || self.is_at(1, "outer")) {
                self.bump();
                self.eat("outer");
                return Some(kind);
            }
        }
        None
    }

    fn source_table(&mut self) -> SqlResult<Table> {
        if self.eat_sym("(") {
            if self.is("select") || self.is("with") || self.is_sym("(") && self.nested_is_query() {
                let query = Box::new(self.query()?);
                self.expect_sym(")")?;
                let (alias, columns) = self.derived_alias()?;
                return Ok(Table::Derived { query, alias, columns });
            }
            if self.eat("values") {
                let rows = self.value_rows()?;
                self.expect_sym(")")?;
                let (alias, columns) = self.derived_alias()?;
                return Ok(Table::Values { rows, alias, columns });
            }
            let inner = self.joined()?;
            self.expect_sym(")")?;
            return Ok(inner);
        }
        if matches!(self.tok(), Tok::Var(_)) {
            return Err(SqlError::unsupported("table variables").at(self.line()));
        }
        let name = self.name()?;
        if self.is_sym("(") && !self.old_hint() {
            self.bump();
            let args = if self.is_sym(")") {
                Vec::new()
            } else {
                self.expr_list()?
            };
            self.expect_sym(")")?;
            let alias = self.table_alias()?;
            let columns = if alias.is_some() && self.is_sym("(") {
                self.ident_list()?
            } else {
                Vec::new()
            };
            return Ok(Table::Function {
                name,
                args,
                alias,
                columns,
            });
        }
        self.hints()?;
        let alias = self.table_alias()?;
        self.hints()?;
        Ok(Table::Named { name, alias })
    }

    fn nested_is_query(&self) -> bool {
        let mut ahead = 0;
        while matches!(self.peek(ahead), Tok::Sym("(")) {
            ahead += 1;
        }
        self.is_at(ahead, "select") || self.is_at(ahead, "with")
    }

    /// `t (NOLOCK)`, the old form without `WITH`.
    fn old_hint(&self) -> bool {
        matches!(self.peek(1), Tok::Word(w) if HINTS.contains(&w.to_ascii_lowercase().as_str()))
            && matches!(self.peek(2), Tok::Sym(")" | ","))
    }

    /// `WITH (NOLOCK, …)`.
    pub(super) fn hints(&mut self) -> SqlResult<()> {
        if self.is("with") && matches!(self.peek(1), Tok::Sym("(")) {
            self.bump();
        } else if !(self.is_sym("(") && self.old_hint()) {
            return Ok(());
        }
        self.expect_sym("(")?;
        loop {
            match self.tok() {
                Tok::Word(w) if HINTS.contains(&w.to_ascii_lowercase().as_str()) => {
                    self.bump();
                }
                Tok::Word(w) if w.eq_ignore_ascii_case("index") => {
                    self.bump();
                    if !self.eat_sym("=") {
                        self.expect_sym("(")?;
                        self.bump();
                        self.expect_sym(")")?;
                    } else {
                        self.bump();
                    }
                }
                _ => return self.unexpected(),
            }
            if !self.eat_sym(",") {
                break;
            }
        }
        self.expect_sym(")")
    }

    fn table_alias(&mut self) -> SqlResult<Option<String>> {
        if self.eat("as") {
            return Ok(Some(self.ident()?));
        }
        let free = match self.tok() {
            Tok::Word(w) => {
                !is_reserved(w) && !["apply", "output", "offset"].contains(&w.to_ascii_lowercase().as_str())
            }
            Tok::Quoted(_) => true,
            _ => false,
        };
        if free { Ok(Some(self.ident()?)) } else { Ok(None) }
    }

    fn derived_alias(&mut self) -> SqlResult<(String, Vec<String>)> {
        self.eat("as");
        let alias = self.ident()?;
        let columns = if self.is_sym("(") {
            self.ident_list()?
        } else {
            Vec::new()
        };
        Ok((alias, columns))
    }

    pub(super) fn value_rows(&mut self) -> SqlResult<Vec<Vec<Expr>>> {
        let mut rows = Vec::new();
        loop {
            self.expect_sym("(")?;
            rows.push(self.expr_list()?);
            self.expect_sym(")")?;
            if !self.eat_sym(",") {
                return Ok(rows);
            }
        }
    }
}

/// The operator of `+=` and its like, none for `=`.
pub(super) fn compound(op: &'static str) -> Option<&'static str> {
    Some(match op {
        "+=" => "+",
        "-=" => "-",
        "*=" => "*",
        "/=" => "/",
        "%=" => "%",
        "&=" => "&",
        "|=" => "|",
        "^=" => "^",
        _ => return None,
    })
}

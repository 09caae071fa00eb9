//! The grammar of the sources of `FROM`, and of table hints.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::locks::Mode;
use crate::sql::ast::{Expr, Name, TABLE_VARIABLE, Table};
use crate::sql::lexer::Tok;

/// The table hints that are known. The stand-in's own isolation makes each of them true or harmless.
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

/// The hints that keep locks until the transaction ends.
const LOCKING: [(&str, Mode); 6] = [
    ("holdlock", Mode::Shared),
    ("serializable", Mode::Shared),
    ("repeatableread", Mode::Shared),
    ("updlock", Mode::Update),
    ("xlock", Mode::Exclusive),
    ("tablockx", Mode::Exclusive),
];

impl Parser<'_> {
    /// Parses the sources after `FROM`.
    pub(super) fn sources(&mut self) -> SqlResult<Vec<Table>> {
        self.list(Self::joined)
    }

    pub(super) fn joined(&mut self) -> SqlResult<Table> {
        let mut left = self.source_table()?;
        loop {
            let kind = if self.is("join") || self.eat("inner") {
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
            let right = self.source_table()?;
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

    pub(super) fn outer_kind(&mut self) -> Option<&'static str> {
        for (word, kind) in [("left", "LEFT"), ("right", "RIGHT"), ("full", "FULL")] {
            if self.is(word) && (self.is_at(1, "join") || self.is_at(1, "outer")) {
                self.bump();
                self.eat("outer");
                return Some(kind);
            }
        }
        None
    }

    pub(super) fn source_table(&mut self) -> SqlResult<Table> {
        if self.eat_sym("(") {
            if self.is("select") || self.is("with") || self.is_sym("(") && self.nested_is_query() {
                let query = Box::new(self.query()?);
                self.expect(")")?;
                let (alias, columns) = self.derived_alias()?;
                return Ok(Table::Derived { query, alias, columns });
            }
            if self.eat("values") {
                let rows = self.value_rows()?;
                self.expect(")")?;
                let (alias, columns) = self.derived_alias()?;
                return Ok(Table::Values { rows, alias, columns });
            }
            let inner = self.joined()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.is("changetable") && matches!(self.peek(1), Tok::Sym("(")) {
            return self.change_table();
        }
        let name = match self.eat("openquery") {
            true => vec!["openquery".to_owned()],
            false => self.table_name()?,
        };
        if self.is_sym("(") && !self.old_hint() {
            let args = self.enclosed(|p| if p.is_sym(")") { Ok(Vec::new()) } else { p.expr_list() })?;
            let (alias, columns) = self.alias_and_columns()?;
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

    /// Parses the name of a table or of a table variable.
    pub(super) fn table_name(&mut self) -> SqlResult<Name> {
        if let Tok::Var(variable) = self.tok().clone() {
            self.bump();
            return Ok(vec![format!("{TABLE_VARIABLE}{variable}")]);
        }
        self.name()
    }

    pub(super) fn nested_is_query(&self) -> bool {
        let mut ahead = 0;
        while matches!(self.peek(ahead), Tok::Sym("(")) {
            ahead += 1;
        }
        self.is_at(ahead, "select") || self.is_at(ahead, "with")
    }

    /// Returns whether `t (NOLOCK)` comes, the old form without `WITH`.
    pub(super) fn old_hint(&self) -> bool {
        matches!(self.peek(1), Tok::Word(w) if HINTS.contains(&w.to_ascii_lowercase().as_str()))
            && matches!(self.peek(2), Tok::Sym(")" | ","))
    }

    /// Parses `WITH (NOLOCK, …)`.
    pub(super) fn hints(&mut self) -> SqlResult<()> {
        if self.is("with") && matches!(self.peek(1), Tok::Sym("(")) {
            self.bump();
        } else if !(self.is_sym("(") && self.old_hint()) {
            return Ok(());
        }
        self.in_parentheses(Self::hint).map(|_| ())
    }

    fn hint(&mut self) -> SqlResult<()> {
        match self.tok() {
            Tok::Word(w) if HINTS.contains(&w.to_ascii_lowercase().as_str()) => {
                let mode = LOCKING.iter().find(|(hint, _)| w.eq_ignore_ascii_case(hint));
                self.locks = self.locks.max(mode.map(|(_, mode)| *mode));
                self.bump();
                Ok(())
            }
            _ => self.unexpected(),
        }
    }

    pub(super) fn table_alias(&mut self) -> SqlResult<Option<String>> {
        let named = self.eat("as");
        let free = self.is_ident() && !["apply", "output", "offset"].iter().any(|word| self.is(word));
        (named || free).then(|| self.ident()).transpose()
    }

    pub(super) fn alias_and_columns(&mut self) -> SqlResult<(Option<String>, Vec<String>)> {
        Ok(match self.table_alias()? {
            None => (None, Vec::new()),
            alias => (alias, self.optional_idents()?),
        })
    }

    pub(super) fn derived_alias(&mut self) -> SqlResult<(String, Vec<String>)> {
        self.eat("as");
        let alias = self.ident()?;
        Ok((alias, self.optional_idents()?))
    }

    pub(super) fn value_rows(&mut self) -> SqlResult<Vec<Vec<Expr>>> {
        self.list(|p| p.in_parentheses(Self::expr))
    }
}

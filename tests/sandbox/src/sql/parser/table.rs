//! The grammar of the columns and constraints of tables.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{COLUMN_SET, ColumnDef, Constraint, ENCRYPTED, Name, Period, Rule, Storage};
use crate::sql::lexer::Tok;

/// A key without its columns.
type KeyRule = fn(Vec<String>) -> Rule;

impl Parser<'_> {
    /// Parses `ON filegroup`, which changes nothing here, `ON scheme(column)`, and `WITH (…)` of an index or table, in
    /// any order.
    pub(super) fn storage_options(&mut self) -> SqlResult<Storage> {
        let mut storage = Storage::default();
        loop {
            if self.is("with") && matches!(self.peek(1), Tok::Sym("(")) {
                self.bump();
                self.in_parentheses(|p| p.storage_option(&mut storage))?;
                continue;
            }
            if self.eat_any(&["on", "textimage_on"]).is_none() {
                return Ok(storage);
            }
            let group = self.bump().text();
            if self.eat_sym("(") {
                storage.partitioned = Some((group, self.ident()?));
                self.expect(")")?;
            } else if !["primary", "default"]
                .iter()
                .any(|known| group.eq_ignore_ascii_case(known))
            {
                return Err(SqlError::of(1921, &[&group]).at(self.line()));
            }
        }
    }

    /// Parses `SYSTEM_VERSIONING = ON (HISTORY_TABLE = name)`, of which it returns the name, or `= OFF`.
    pub(super) fn versioning(&mut self) -> SqlResult<Option<Name>> {
        self.expect("system_versioning =")?;
        if !self.on_off()? {
            return Ok(None);
        }
        let name = self.enclosed(|p| p.expect("history_table =").and_then(|()| p.name()));
        name.map(Some)
    }

    fn storage_option(&mut self, storage: &mut Storage) -> SqlResult<()> {
        if self.is("system_versioning") {
            storage.history = self.versioning()?;
            return Ok(());
        }
        if let Some(word) = self.eat_any(&["memory_optimized", "data_source"]) {
            self.expect("=")?;
            storage.external = word == "data_source";
            storage.memory_optimized = !storage.external && self.is("on");
            self.bump();
            return Ok(());
        }
        const KNOWN: &str = " pad_index statistics_norecompute allow_row_locks allow_page_locks online ";
        let option = self.ident()?.to_ascii_lowercase();
        if !KNOWN.contains(&format!(" {option} ")) {
            return Err(SqlError::unsupported(format!("index option {option}")).at(self.line()));
        }
        self.expect("=")?;
        self.on_off().map(drop)
    }

    pub(super) fn table_body(&mut self) -> SqlResult<(Vec<ColumnDef>, Vec<Constraint>)> {
        self.expect("(")?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        loop {
            self.table_element(&mut columns, &mut constraints)?;
            // The comma between a column and a constraint may be missing, and there may be one before the end.
            self.eat_sym(",");
            if self.eat_sym(")") {
                return Ok((columns, constraints));
            }
        }
    }

    /// Parses a column or a constraint of a table.
    pub(super) fn table_element(&mut self, columns: &mut Vec<ColumnDef>, rules: &mut Vec<Constraint>) -> SqlResult<()> {
        match self.table_constraint()? {
            Some(constraint) => rules.push(constraint),
            None => columns.push(self.column_def()?),
        }
        Ok(())
    }

    pub(super) fn constraint_name(&mut self) -> SqlResult<Option<String>> {
        self.after("constraint", Self::ident)
    }

    /// Parses the words of a key, up to its columns.
    fn key_rule(&mut self) -> SqlResult<Option<KeyRule>> {
        let rule: KeyRule = match self.eat_any(&["primary", "unique"]) {
            Some("primary") => {
                self.expect("key")?;
                Rule::PrimaryKey
            }
            Some(_) => Rule::Unique,
            None => return Ok(None),
        };
        self.eat_any(&["clustered", "nonclustered"]);
        Ok(Some(rule))
    }

    pub(super) fn table_constraint(&mut self) -> SqlResult<Option<Constraint>> {
        let from = self.at;
        let name = self.constraint_name()?;
        if let Some(rule) = self.key_rule()? {
            if !self.is_sym("(") {
                self.at = from;
                return Ok(None);
            }
            let columns = self.key_columns()?.into_iter().map(|(c, _)| c).collect();
            self.storage_options()?;
            return Ok(Some(Constraint {
                name,
                rule: rule(columns),
            }));
        }
        if name.is_none() && self.is("period") && self.is_at(1, "for") {
            self.expect("period for system_time")?;
            let rule = Rule::Period(self.ident_list()?);
            return Ok(Some(Constraint { name, rule }));
        }
        let others = ["check", "foreign", "default"];
        self.refuse(&others, "CHECK, FOREIGN KEY and DEFAULT … FOR constraints")?;
        if name.is_some() {
            return self.unexpected();
        }
        self.at = from;
        Ok(None)
    }

    /// Parses an expression, and returns it as written.
    pub(super) fn expr_text(&mut self) -> SqlResult<String> {
        let from = self.start();
        self.expr()?;
        Ok(self.source(from))
    }

    pub(super) fn column_def(&mut self) -> SqlResult<ColumnDef> {
        // The word `timestamp` alone is a column of that name and type.
        let lone = self.is("timestamp") && matches!(self.peek(1), Tok::Sym("," | ")"));
        let name = self.ident()?;
        let mut column = ColumnDef {
            name,
            ..ColumnDef::default()
        };
        if lone {
            column.ty = Some(crate::value::Ty::RowVersion);
            "timestamp".clone_into(&mut column.type_name);
            return Ok(column);
        }
        if self.eat("as") {
            column.computed = Some(self.expr_text()?);
        } else {
            let (ty, type_name) = self.data_type()?;
            column.ty = Some(ty);
            column.type_name = type_name;
        }
        self.column_options(&mut column)?;
        Ok(column)
    }

    pub(super) fn column_options(&mut self, column: &mut ColumnDef) -> SqlResult<()> {
        loop {
            let from = self.at;
            let name = self.constraint_name()?;
            if let Some(rule) = self.key_rule()? {
                if self.is_sym("(") {
                    self.at = from;
                    return Ok(());
                }
                self.storage_options()?;
                let rule = rule(vec![column.name.clone()]);
                column.constraints.push(Constraint { name, rule });
                continue;
            }
            let found = self.eat_any(&[
                "not",
                "null",
                "identity",
                "default",
                "collate",
                "generated",
                "masked",
                "sparse",
                "column_set",
                "encrypted",
            ]);
            match found {
                Some("not") => {
                    self.expect("null")?;
                    column.nullable = Some(false);
                }
                Some("null") => column.nullable = Some(true),
                Some("identity") => column.identity = Some(self.identity()?),
                Some("default") => column.default = Some(self.expr_text()?),
                Some("collate") => column.collation = Some(self.ident()?),
                Some("masked") => column.mask = Some(self.mask()?),
                Some("sparse") => column.sparse = true,
                Some("generated") => {
                    column.period = Some(self.generated()?);
                    column.hidden = self.eat("hidden");
                }
                Some(mark) => column.special = self.special(mark)?,
                None => {
                    self.refuse(&["check", "references"], "CHECK and FOREIGN KEY constraints")?;
                    self.at = from;
                    return Ok(());
                }
            }
        }
    }

    /// Parses `WITH (FUNCTION = 'text')`.
    pub(super) fn mask(&mut self) -> SqlResult<String> {
        self.expect("with")?;
        self.enclosed(|p| p.expect("function =").and_then(|()| p.string()))
    }

    /// Parses the rest of `COLUMN_SET FOR ALL_SPARSE_COLUMNS`, or of `ENCRYPTED WITH (…)`, whose options do not matter here.
    fn special(&mut self, mark: &str) -> SqlResult<i64> {
        if mark == "column_set" {
            self.expect("for all_sparse_columns")?;
            return Ok(COLUMN_SET);
        }
        self.expect("with")?;
        self.in_parentheses(|p| {
            p.ident()?;
            p.expect("=")?;
            Ok(p.bump())
        })?;
        Ok(ENCRYPTED)
    }

    /// Parses the seed and the increment of `IDENTITY`.
    fn identity(&mut self) -> SqlResult<(i64, i64)> {
        if !self.eat_sym("(") {
            return Ok((1, 1));
        }
        let seed = self.signed_int()?;
        self.expect(",")?;
        let increment = self.signed_int()?;
        self.expect(")")?;
        Ok((seed, increment))
    }

    /// Parses `ALWAYS AS ROW START` or `END`.
    fn generated(&mut self) -> SqlResult<Period> {
        self.expect("always as row")?;
        let start = self.expect_any(&["start", "end"])? == "start";
        Ok(if start { Period::Start } else { Period::End })
    }
}

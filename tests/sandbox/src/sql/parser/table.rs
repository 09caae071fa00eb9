//! The grammar of the columns and constraints of tables.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{COLUMN_SET, ColumnDef, Constraint, ENCRYPTED, Name, Period, Rule, Storage};
use crate::sql::lexer::Tok;

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
                self.expect_sym(")")?;
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
        self.expect("system_versioning")?;
        self.expect_sym("=")?;
        if !self.on_off()? {
            return Ok(None);
        }
        self.expect_sym("(")?;
        self.expect("history_table")?;
        self.expect_sym("=")?;
        let name = self.name()?;
        self.expect_sym(")")?;
        Ok(Some(name))
    }

    fn storage_option(&mut self, storage: &mut Storage) -> SqlResult<()> {
        if self.is("system_versioning") {
            storage.history = self.versioning()?;
            return Ok(());
        }
        if let Some(word) = self.eat_any(&["memory_optimized", "data_source"]) {
            self.expect_sym("=")?;
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
        self.expect_sym("=")?;
        self.on_off().map(drop)
    }

    pub(super) fn table_body(&mut self) -> SqlResult<(Vec<ColumnDef>, Vec<Constraint>)> {
        self.expect_sym("(")?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        loop {
            match self.table_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => columns.push(self.column_def()?),
            }
            // The comma between a column and a constraint may be missing, and there may be one before the end.
            self.eat_sym(",");
            if self.eat_sym(")") {
                return Ok((columns, constraints));
            }
        }
    }

    pub(super) fn constraint_name(&mut self) -> SqlResult<Option<String>> {
        if self.eat("constraint") {
            Ok(Some(self.ident()?))
        } else {
            Ok(None)
        }
    }

    pub(super) fn clustering(&mut self) {
        let _ = self.eat_any(&["clustered", "nonclustered"]);
    }

    pub(super) fn table_constraint(&mut self) -> SqlResult<Option<Constraint>> {
        let from = self.at;
        let name = self.constraint_name()?;
        let keyed: Option<fn(Vec<String>) -> Rule> = if self.eat("primary") {
            self.expect("key")?;
            Some(Rule::PrimaryKey)
        } else if self.eat("unique") {
            Some(Rule::Unique)
        } else {
            None
        };
        if let Some(rule) = keyed {
            self.clustering();
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
        if name.is_none() && self.is("period") && matches!(self.peek(1), Tok::Word(w) if w.eq_ignore_ascii_case("for"))
        {
            self.bump();
            self.expect("for")?;
            self.expect("system_time")?;
            let rule = Rule::Period(self.ident_list()?);
            return Ok(Some(Constraint { name, rule }));
        }
        if ["check", "foreign", "default"].iter().any(|word| self.is(word)) {
            return Err(SqlError::unsupported("CHECK, FOREIGN KEY and DEFAULT … FOR constraints").at(self.line()));
        }
        if name.is_some() {
            return self.unexpected();
        }
        self.at = from;
        Ok(None)
    }

    pub(super) fn default_text(&mut self) -> SqlResult<String> {
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
            let from = self.start();
            self.expr()?;
            column.computed = Some(self.source(from));
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
                "primary",
                "unique",
            ]);
            match found {
                Some("not") => {
                    self.expect("null")?;
                    column.nullable = Some(false);
                }
                Some("null") => column.nullable = Some(true),
                Some("identity") => column.identity = Some(self.identity()?),
                Some("default") => column.default = Some(self.default_text()?),
                Some("collate") => column.collation = Some(self.ident()?),
                Some("masked") => column.mask = Some(self.mask()?),
                Some("sparse") => column.sparse = true,
                Some(mark @ ("column_set" | "encrypted")) => column.special = self.special(mark)?,
                Some("generated") => {
                    column.period = Some(self.generated()?);
                    column.hidden = self.eat("hidden");
                }
                Some(key) => {
                    if key == "primary" {
                        self.expect("key")?;
                    }
                    self.clustering();
                    if self.is_sym("(") {
                        self.at = from;
                        return Ok(());
                    }
                    self.storage_options()?;
                    let columns = vec![column.name.clone()];
                    let rule = if key == "primary" {
                        Rule::PrimaryKey(columns)
                    } else {
                        Rule::Unique(columns)
                    };
                    column.constraints.push(Constraint { name, rule });
                }
                None if self.is("check") || self.is("references") => {
                    return Err(SqlError::unsupported("CHECK and FOREIGN KEY constraints").at(self.line()));
                }
                None => {
                    self.at = from;
                    return Ok(());
                }
            }
        }
    }

    /// Parses `WITH (FUNCTION = 'text')`.
    pub(super) fn mask(&mut self) -> SqlResult<String> {
        self.expect("with")?;
        self.expect_sym("(")?;
        self.expect("function")?;
        self.expect_sym("=")?;
        let text = self.string()?;
        self.expect_sym(")")?;
        Ok(text)
    }

    /// Parses the rest of `COLUMN_SET FOR ALL_SPARSE_COLUMNS`, or of `ENCRYPTED WITH (…)`, whose options do not matter here.
    fn special(&mut self, mark: &str) -> SqlResult<i64> {
        if mark == "column_set" {
            self.expect("for")?;
            self.expect("all_sparse_columns")?;
            return Ok(COLUMN_SET);
        }
        self.expect("with")?;
        self.in_parentheses(|p| {
            p.ident()?;
            p.expect_sym("=")?;
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
        self.expect_sym(",")?;
        let increment = self.signed_int()?;
        self.expect_sym(")")?;
        Ok((seed, increment))
    }

    /// Parses `ALWAYS AS ROW START` or `END`.
    fn generated(&mut self) -> SqlResult<Period> {
        for word in ["always", "as", "row"] {
            self.expect(word)?;
        }
        let start = self.expect_any(&["start", "end"])? == "start";
        Ok(if start { Period::Start } else { Period::End })
    }
}

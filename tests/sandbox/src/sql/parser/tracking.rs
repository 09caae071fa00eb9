//! Change tracking: the options of a database and a table, `CHANGETABLE`, the context of a change.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{
    ChangeTable, Changes, DatabaseOption, Expr, Kind, Name, Retention, Stmt, Table, TrackingOptions, Unit,
};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    /// After `SET CHANGE_TRACKING`: `= ON (options)`, `= OFF`, `(options)`.
    pub(super) fn change_tracking(&mut self) -> SqlResult<DatabaseOption> {
        if !self.eat_sym("=") {
            if !self.is_sym("(") {
                return self.unexpected();
            }
            return Ok(DatabaseOption::ChangeTracking(None, self.tracking_options()?));
        }
        let on = self.on_off()?;
        let options = if on && self.is_sym("(") {
            self.tracking_options()?
        } else {
            TrackingOptions::default()
        };
        Ok(DatabaseOption::ChangeTracking(Some(on), options))
    }

    fn tracking_options(&mut self) -> SqlResult<TrackingOptions> {
        let mut options = TrackingOptions::default();
        self.expect_sym("(")?;
        loop {
            if self.eat("auto_cleanup") {
                self.expect_sym("=")?;
                let value = self.on_off()?;
                self.once("AUTO_CLEANUP", options.auto_cleanup.replace(value).is_some())?;
            } else if self.eat("change_retention") {
                self.expect_sym("=")?;
                let value = self.retention()?;
                self.once("CHANGE_RETENTION", options.retention.replace(value).is_some())?;
            } else {
                return self.unexpected();
            }
            if !self.eat_sym(",") {
                break;
            }
        }
        self.expect_sym(")")?;
        Ok(options)
    }

    fn once(&self, option: &str, twice: bool) -> SqlResult<()> {
        if !twice {
            return Ok(());
        }
        let text = format!(
            "ALTER DATABASE change tracking option '{option}' was specified more than once. Each option can be specified only once."
        );
        Err(SqlError::new(5091, text).class(15).at(self.line()))
    }

    fn retention(&mut self) -> SqlResult<Retention> {
        let Tok::Int(number) = self.tok().clone() else {
            return self.unexpected();
        };
        self.bump();
        let unit = match self.tok().clone() {
            Tok::Word(word) => match word.to_ascii_uppercase().as_str() {
                "MINUTES" => Unit::Minutes,
                "HOURS" => Unit::Hours,
                "DAYS" => Unit::Days,
                _ => {
                    let text = format!("'{word}' is not a recognized CHANGE RETENTION UNIT option.");
                    return Err(SqlError::new(155, text).class(15).state(2).at(self.line()));
                }
            },
            _ => return self.unexpected(),
        };
        self.bump();
        let retention = number.parse().ok().map(|period| Retention { period, unit });
        retention
            .filter(|r| i32::try_from(r.minutes()).is_ok_and(|minutes| minutes > 0))
            .ok_or_else(|| {
                SqlError::new(5092, "The value for change tracking option 'CHANGE_RETENTION' is not valid. The value must be between 1 and 2147483647 minutes.")
                    .class(15)
                    .at(self.line())
            })
    }

    /// `ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)`, `DISABLE CHANGE_TRACKING`; none for another `ALTER TABLE`.
    pub(super) fn alter_tracking(&mut self, table: &Name) -> SqlResult<Option<Kind>> {
        let enable = self.is("enable");
        if !(enable || self.is("disable")) || !self.is_at(1, "change_tracking") {
            return Ok(None);
        }
        self.bump();
        self.bump();
        if !enable {
            return Ok(Some(Kind::DisableTracking(table.clone())));
        }
        let mut columns = false;
        if self.eat("with") {
            self.expect_sym("(")?;
            self.expect("track_columns_updated")?;
            self.expect_sym("=")?;
            columns = self.on_off()?;
            self.expect_sym(")")?;
        }
        Ok(Some(Kind::EnableTracking(table.clone(), columns)))
    }

    /// `CHANGETABLE (CHANGES table, version)`, `CHANGETABLE (VERSION table, (columns), (values))`, from the name.
    pub(super) fn change_table(&mut self) -> SqlResult<Table> {
        self.bump();
        self.expect_sym("(")?;
        let version = self.eat("version");
        if !version {
            self.expect("changes")?;
        }
        let table = self.name()?;
        self.expect_sym(",")?;
        let changes = if version {
            let columns = self.ident_list()?;
            self.expect_sym(",")?;
            self.expect_sym("(")?;
            let values = self.expr_list()?;
            self.expect_sym(")")?;
            Changes::Row(columns, values)
        } else {
            Changes::Since(self.version_number()?)
        };
        if self.eat_sym(",") {
            self.expect("forceseek")?;
        }
        self.expect_sym(")")?;
        let alias = self.table_alias()?;
        let columns = if alias.is_some() && self.is_sym("(") {
            self.ident_list()?
        } else {
            Vec::new()
        };
        Ok(Table::Changes(Box::new(ChangeTable {
            table,
            changes,
            alias,
            columns,
        })))
    }

    /// A number, a variable or NULL: not an expression.
    fn version_number(&mut self) -> SqlResult<Expr> {
        if self.eat("null") {
            return Ok(Expr::Null);
        }
        if let Tok::Var(name) = self.tok().clone() {
            self.bump();
            return Ok(Expr::Var(name));
        }
        let negative = self.eat_sym("-");
        let Tok::Int(number) = self.tok().clone() else {
            return self.unexpected();
        };
        self.bump();
        let number = Expr::Int(number);
        Ok(if negative {
            Expr::Unary("-", Box::new(number))
        } else {
            number
        })
    }

    /// After `WITH`: `CHANGE_TRACKING_CONTEXT (context) statement`.
    pub(super) fn with_context(&mut self) -> SqlResult<Kind> {
        self.expect("change_tracking_context")?;
        self.expect_sym("(")?;
        let context = match self.tok().clone() {
            Tok::Var(name) => Expr::Var(name),
            Tok::Bin(bytes) => Expr::Bin(bytes),
            _ => return self.unexpected(),
        };
        self.bump();
        self.expect_sym(")")?;
        let line = self.line();
        let kind = if self.eat_sym(",") {
            self.with_tables()?
        } else if ["insert", "update", "delete", "merge"].iter().any(|word| self.is(word)) {
            self.kind()?
        } else {
            return self.unexpected();
        };
        let locks = self.locks;
        Ok(Kind::WithContext(context, Box::new(Stmt { line, locks, kind })))
    }
}

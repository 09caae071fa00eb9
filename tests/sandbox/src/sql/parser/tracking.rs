//! The grammar of change tracking: the options of a database and a table, `CHANGETABLE`, the context of a change.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ChangeTable, DatabaseOption, Expr, Kind, Name, Retention, Table, TrackingOptions, Unit};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    /// Parses `= ON (options)`, `= OFF` or `(options)` after `SET CHANGE_TRACKING`.
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
        self.in_parentheses(|p| {
            let option = p.expect_any(&["auto_cleanup", "change_retention"])?;
            p.expect("=")?;
            let twice = match option {
                "auto_cleanup" => options.auto_cleanup.replace(p.on_off()?).is_some(),
                _ => options.retention.replace(p.retention()?).is_some(),
            };
            if twice {
                return Err(SqlError::of(5091, &[&option.to_ascii_uppercase()]).at(p.line()));
            }
            Ok(())
        })?;
        Ok(options)
    }

    fn retention(&mut self) -> SqlResult<Retention> {
        let Tok::Int(number) = self.tok().clone() else {
            return self.unexpected();
        };
        self.bump();
        let Tok::Word(word) = self.tok().clone() else {
            return self.unexpected();
        };
        let unit = match word.to_ascii_uppercase().as_str() {
            "MINUTES" => Unit::Minutes,
            "HOURS" => Unit::Hours,
            "DAYS" => Unit::Days,
            _ => return Err(SqlError::of(155, &[&word, &"CHANGE RETENTION UNIT"]).at(self.line())),
        };
        self.bump();
        let retention = number.parse().ok().map(|period| Retention { period, unit });
        retention
            .filter(|r| i32::try_from(r.minutes()).is_ok_and(|minutes| minutes > 0))
            .ok_or_else(|| SqlError::of(5092, &[]).at(self.line()))
    }

    /// Parses `ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)` or `DISABLE CHANGE_TRACKING`. Returns `None`
    /// for another `ALTER TABLE`.
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
        let columns = self.after("with", |p| {
            p.enclosed(|p| p.expect("track_columns_updated =").and_then(|()| p.on_off()))
        })?;
        Ok(Some(Kind::EnableTracking(table.clone(), columns == Some(true))))
    }

    pub(super) fn change_table(&mut self) -> SqlResult<Table> {
        self.bump();
        self.expect("(")?;
        if self.is("version") {
            return Err(SqlError::unsupported("CHANGETABLE (VERSION …)").at(self.line()));
        }
        self.expect("changes")?;
        let table = self.name()?;
        self.expect(",")?;
        let since = self.version_number()?;
        if self.eat_sym(",") {
            self.expect("forceseek")?;
        }
        self.expect(")")?;
        let (alias, columns) = self.alias_and_columns()?;
        Ok(Table::Changes(Box::new(ChangeTable {
            table,
            since,
            alias,
            columns,
        })))
    }

    /// Parses a version: a number, a variable or NULL.
    fn version_number(&mut self) -> SqlResult<Expr> {
        match self.tok() {
            Tok::Sym("-") => {
                self.bump();
                Ok(Expr::Unary("-", Box::new(self.constant()?)))
            }
            Tok::Int(_) | Tok::Var(_) => self.constant(),
            _ if self.is("null") => self.constant(),
            _ => self.unexpected(),
        }
    }
}

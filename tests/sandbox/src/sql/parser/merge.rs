//! The grammar of `MERGE`.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Kind, Merge, MergeAction, MergeClause, MergeRows};

impl Parser<'_> {
    /// Parses `MERGE [INTO] target [AS alias] USING source ON condition WHEN …;`.
    pub(super) fn merge(&mut self) -> SqlResult<Kind> {
        self.expect("merge")?;
        self.refuse(&["top"], "MERGE TOP")?;
        self.eat("into");
        let target = self.table_name()?;
        self.hints()?;
        let alias = if self.is("using") { None } else { self.table_alias()? };
        self.expect("using")?;
        let source = self.source_table()?;
        self.expect("on")?;
        let on = self.condition()?;
        let mut clauses: Vec<MergeClause> = Vec::new();
        while self.eat("when") {
            let clause = self.merge_clause()?;
            check(&clause, &clauses).map_err(|e| e.at(self.line()))?;
            clauses.push(clause);
        }
        if clauses.is_empty() {
            return self.unexpected();
        }
        self.refuse(&["output"], "MERGE … OUTPUT")?;
        self.refuse(&["option"], "MERGE … OPTION")?;
        if !self.is_sym(";") {
            return Err(SqlError::of(10713, &[]).at(self.line()));
        }
        Ok(Kind::Merge(Box::new(Merge {
            target,
            alias,
            source,
            on,
            clauses,
        })))
    }

    fn merge_clause(&mut self) -> SqlResult<MergeClause> {
        let rows = if self.eat("matched") {
            MergeRows::Matched
        } else {
            self.expect("not matched")?;
            if self.eat("by") && self.expect_any(&["target", "source"])? == "source" {
                MergeRows::NotInSource
            } else {
                MergeRows::NotInTarget
            }
        };
        let condition = self.after("and", Self::condition)?;
        self.expect("then")?;
        let line = self.line();
        let action = match self.expect_any(&["update", "delete", "insert"])? {
            "update" => MergeAction::Update(self.sets()?),
            "delete" => MergeAction::Delete,
            _ => self.merge_insert()?,
        };
        let fits = matches!(action, MergeAction::Insert(..)) == (rows == MergeRows::NotInTarget);
        if !fits {
            return Err(SqlError::of(10710, &[&action_name(&action), &rows_name(rows)]).at(line));
        }
        Ok(MergeClause {
            rows,
            condition,
            action,
        })
    }

    fn merge_insert(&mut self) -> SqlResult<MergeAction> {
        let columns = self.optional_idents()?;
        self.refuse(&["default"], "MERGE … INSERT DEFAULT VALUES")?;
        self.expect("values")?;
        Ok(MergeAction::Insert(columns, self.in_parentheses(Self::expr)?))
    }
}

/// Checks the rules of SQL Server for the clauses together.
fn check(clause: &MergeClause, before: &[MergeClause]) -> SqlResult<()> {
    let same = || before.iter().filter(|c| c.rows == clause.rows);
    let rows = rows_name(clause.rows);
    if same().any(|c| c.condition.is_none()) {
        return Err(if clause.condition.is_some() {
            SqlError::of(5324, &[&rows, &rows])
        } else {
            twice(clause)
        });
    }
    let limit = if clause.rows == MergeRows::NotInTarget { 1 } else { 2 };
    let action = action_name(&clause.action);
    if same().count() >= limit || same().any(|c| action_name(&c.action) == action) {
        return Err(twice(clause));
    }
    Ok(())
}

fn twice(clause: &MergeClause) -> SqlError {
    SqlError::of(10714, &[&rows_name(clause.rows), &action_name(&clause.action)])
}

fn rows_name(rows: MergeRows) -> &'static str {
    match rows {
        MergeRows::Matched => "WHEN MATCHED",
        MergeRows::NotInTarget => "WHEN NOT MATCHED",
        MergeRows::NotInSource => "WHEN NOT MATCHED BY SOURCE",
    }
}

fn action_name(action: &MergeAction) -> &'static str {
    match action {
        MergeAction::Update(_) => "UPDATE",
        MergeAction::Delete => "DELETE",
        MergeAction::Insert(..) => "INSERT",
    }
}

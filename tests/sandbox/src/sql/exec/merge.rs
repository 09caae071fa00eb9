//! The execution of `MERGE`. Its rows are matched once, before any is changed. Then each clause is an `UPDATE`,
//! `DELETE` or `INSERT` of its pairs.

use super::{Collected, Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{
    Body, Call, Expr, Item, Merge, MergeAction, MergeClause, MergeRows, Name, Query, Rows, Select, Table, Target,
};
use crate::sql::bind::ROW;
use crate::value::text;

/// The savepoint that makes the statement all or nothing inside a transaction.
const SAVEPOINT: &str = "\u{1}merge";
/// The columns of the pairs, by names that no statement can write.
const SOURCE: &str = "\u{1}source";
const TARGET: &str = "\u{1}target";
const CLAUSE: &str = "\u{1}clause";

impl Session {
    /// Runs `MERGE`.
    pub(super) fn merge(&mut self, merge: &Merge, results: &mut dyn TakeResults) -> SqlResult<()> {
        self.check_writable(&merge.target)?;
        if self.options.implicit_transactions && self.trancount == 0 {
            self.begin(results);
        }
        let mut quiet = Collected::default();
        let own = self.trancount == 0;
        if own {
            self.begin(&mut quiet);
        } else {
            self.save(SAVEPOINT)?;
        }
        let result = self.merge_rows(merge, &mut quiet);
        match (&result, own) {
            (Ok(_), true) => self.commit(&mut quiet)?,
            (Err(_), true) => self.rollback_all(&mut quiet),
            (Err(_), false) => self.rollback(Some(SAVEPOINT), &mut quiet)?,
            (Ok(_), false) => {}
        }
        let count = result?;
        self.finish_dml(count, results);
        Ok(())
    }

    fn merge_rows(&mut self, merge: &Merge, quiet: &mut Collected) -> SqlResult<u64> {
        let target = merge
            .alias
            .clone()
            .or_else(|| merge.target.last().cloned())
            .unwrap_or_default();
        let source = alias_of(&merge.source);
        if text::same(&source, &target) {
            return Err(SqlError::of(1013, &[&source, &target]));
        }
        let pairs = vec![self.next_table_name("merge")];
        self.select(&pairing(merge, &target, &source, &pairs), quiet)?;
        let result = self.merge_pairs(merge, &target, &source, &pairs, quiet);
        self.drop_object("table", &pairs, true)?;
        result
    }

    fn merge_pairs(
        &mut self,
        merge: &Merge,
        target: &str,
        source: &str,
        pairs: &Name,
        quiet: &mut Collected,
    ) -> SqlResult<u64> {
        let pairs = Table::Named {
            name: pairs.clone(),
            alias: Some(source.to_owned()),
        };
        if self.holds(&twice(merge, &pairs))? {
            return Err(SqlError::of(8672, &[]));
        }
        let changed = [Table::Join {
            kind: "INNER",
            left: Box::new(Table::Named {
                name: merge.target.clone(),
                alias: Some(target.to_owned()),
            }),
            right: Box::new(pairs.clone()),
            on: Some(equal(column(target, ROW), column(source, TARGET))),
        }];
        let mut count = 0;
        for (number, clause) in (1..).zip(&merge.clauses) {
            let filter = equal(column(source, CLAUSE), Expr::Int(i32::to_string(&number)));
            let change = Target {
                table: vec![target.to_owned()],
                from: changed.to_vec(),
                filter: Some(filter.clone()),
            };
            match &clause.action {
                MergeAction::Update(sets) => self.update(&change, sets, quiet)?,
                MergeAction::Delete => self.delete(&change, quiet)?,
                MergeAction::Insert(columns, values) => {
                    let (columns, query) = insertion(columns, values, &pairs, filter)?;
                    self.insert(&merge.target, &columns, &Rows::Query(query.into()), &[], quiet)?;
                }
            }
            count += u64::try_from(self.rowcount).unwrap_or(0);
        }
        Ok(count)
    }
}

/// Returns a query for the source rows, beside the row of the target that each matches and the first clause whose
/// condition holds.
fn pairing(merge: &Merge, target: &str, source: &str, into: &Name) -> Query {
    let rows = Select {
        items: vec![
            Item::Every,
            Item::Expr(Expr::Int("1".to_owned()), Some(SOURCE.to_owned())),
        ],
        from: vec![merge.source.clone()],
        ..Select::default()
    };
    let by_source = merge.clauses.iter().any(|c| c.rows == MergeRows::NotInSource);
    let joined = Table::Join {
        kind: if by_source { "FULL" } else { "LEFT" },
        left: Box::new(Table::Derived {
            query: Box::new(select(rows)),
            alias: source.to_owned(),
            columns: Vec::new(),
        }),
        right: Box::new(Table::Named {
            name: merge.target.clone(),
            alias: Some(target.to_owned()),
        }),
        on: Some(merge.on.clone()),
    };
    let is_null = |e: Expr, not: bool| Expr::IsNull(Box::new(e), not);
    let arm = |(number, clause): (i32, &MergeClause)| {
        let in_target = is_null(column(target, ROW), clause.rows != MergeRows::NotInTarget);
        let in_source = is_null(column(source, SOURCE), clause.rows != MergeRows::NotInSource);
        let mut when = Expr::And(Box::new(in_target), Box::new(in_source));
        if let Some(condition) = &clause.condition {
            when = Expr::And(Box::new(when), Box::new(condition.clone()));
        }
        (when, Expr::Int(number.to_string()))
    };
    let clause = Expr::Case(None, (1..).zip(&merge.clauses).map(arm).collect(), None);
    select(Select {
        items: vec![
            Item::Star(vec![source.to_owned()]),
            Item::Expr(column(target, ROW), Some(TARGET.to_owned())),
            Item::Expr(clause, Some(CLAUSE.to_owned())),
        ],
        into: Some(into.clone()),
        from: vec![joined],
        ..Select::default()
    })
}

/// Returns a condition that holds when a row of the target would be updated or deleted more than once.
fn twice(merge: &Merge, pairs: &Table) -> Expr {
    let key = Expr::Col(vec![TARGET.to_owned()]);
    let changing = (1..)
        .zip(&merge.clauses)
        .filter(|(_, c): &(i32, _)| c.rows != MergeRows::NotInTarget)
        .map(|(number, _)| Expr::Int(number.to_string()))
        // A list must not be empty, and no clause has number 0.
        .chain([Expr::Int("0".to_owned())])
        .collect();
    let count = Expr::Call(Call {
        star: true,
        ..Call::plain(vec!["COUNT".to_owned()], Vec::new())
    });
    Expr::Exists(Box::new(select(Select {
        items: vec![Item::Expr(key.clone(), None)],
        from: vec![pairs.clone()],
        filter: Some(Expr::In(Box::new(Expr::Col(vec![CLAUSE.to_owned()])), changing, false)),
        group: vec![key],
        having: Some(Expr::Compare(">", Box::new(count), Box::new(Expr::Int("1".to_owned())))),
        ..Select::default()
    })))
}

/// Returns the columns that an `INSERT` clause fills and the query for their values. `DEFAULT` leaves its column out.
fn insertion(columns: &[String], values: &[Expr], pairs: &Table, filter: Expr) -> SqlResult<(Vec<String>, Query)> {
    let defaults = values.contains(&Expr::Default);
    if defaults && columns.len() != values.len() {
        return Err(SqlError::unsupported("MERGE … INSERT with DEFAULT and without columns"));
    }
    let given = |e: &&Expr| **e != Expr::Default;
    let kept = if defaults {
        let pairs = columns.iter().zip(values);
        pairs.filter(|(_, e)| given(e)).map(|(c, _)| c.clone()).collect()
    } else {
        columns.to_vec()
    };
    let query = select(Select {
        items: values
            .iter()
            .filter(given)
            .map(|e| Item::Expr(e.clone(), Some("v".to_owned())))
            .collect(),
        from: vec![pairs.clone()],
        filter: Some(filter),
        ..Select::default()
    });
    Ok((kept, query))
}

fn alias_of(source: &Table) -> String {
    match source {
        Table::Named { name, alias } | Table::Function { name, alias, .. } => {
            alias.clone().or_else(|| name.last().cloned()).unwrap_or_default()
        }
        Table::Derived { alias, .. } | Table::Values { alias, .. } => alias.clone(),
        Table::Changes(changes) => changes.alias.clone().unwrap_or_default(),
        Table::Join { .. } => "source".to_owned(),
    }
}

fn column(source: &str, name: &str) -> Expr {
    Expr::Col(vec![source.to_owned(), name.to_owned()])
}

fn equal(a: Expr, b: Expr) -> Expr {
    Expr::Compare("=", Box::new(a), Box::new(b))
}

fn select(select: Select) -> Query {
    Query {
        ctes: Vec::new(),
        body: Body::Select(Box::new(select)),
        order: Vec::new(),
        offset: None,
    }
}

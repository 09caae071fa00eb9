//! What a view reads, through other views, functions and synonyms, as far as the login may see it.

use std::collections::BTreeSet;

use tidemark::error::{Answer, Failure, Fault};
use tidemark::model::names::ObjectName;

use crate::answers::single;
use crate::catalog::{base_of, declared_name, number, text};
use crate::session::Server;
use crate::statements::catalog;

/// The most views, functions and synonyms that are asked about. What nests deeper counts as unseen.
const MOST: usize = 50;

/// What a view reads.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Whether the login sees what the view itself reads.
    pub(crate) is_seen: bool,
    /// Whether the login sees everything that is read.
    pub(crate) is_complete: bool,
    /// Something that is read in another database.
    pub(crate) outside: Option<String>,
    /// Whether something that is read has masked columns.
    pub(crate) is_masked: bool,
    /// Whether a security policy filters something that is read.
    pub(crate) is_filtered: bool,
}

impl Server {
    /// Returns what a view reads.
    pub(crate) async fn reads_of(&self, view: &ObjectName) -> Answer<Reads> {
        let mut reads = Reads {
            is_complete: true,
            ..Reads::default()
        };
        let (mut open, mut met) = (vec![view.clone()], BTreeSet::from([view.to_string()]));
        while let Some(object) = open.pop() {
            let rows = self.catalog_rows(&catalog::references(&object)).await?;
            let is_seen = match &rows {
                Some(rows) if rows.is_empty() => self.is_seen(&object).await?,
                rows => rows.is_some(),
            };
            reads.is_seen |= object == *view && is_seen;
            reads.is_complete &= is_seen && met.len() <= MOST;
            for row in &rows.unwrap_or_default() {
                if number(row, "is_outside")? == 1 {
                    let parts = [text(row, "database_name"), text(row, "entity_name")];
                    let name: Vec<&str> = parts.into_iter().flatten().collect();
                    reads.outside.get_or_insert(name.join(".."));
                    continue;
                }
                reads.is_masked |= number(row, "masked")? == 1;
                reads.is_filtered |= number(row, "filtered")? == 1;
                let next = match (number(row, "kind")?, declared_name(row)) {
                    (1, Some(name)) => Some(name),
                    (2, Some(name)) => self.stands_for(&name, &mut reads).await?,
                    (3, _) => continue,
                    _ => None,
                };
                match next {
                    Some(next) if met.len() > MOST || !met.insert(next.to_string()) => {}
                    Some(next) => open.push(next),
                    None => reads.is_complete = false,
                }
            }
        }
        Ok(reads)
    }

    /// Returns whether the login sees the text of a view or a function.
    async fn is_seen(&self, object: &ObjectName) -> Answer<bool> {
        let rows = self.catalog_rows(&catalog::is_seen(object)).await?.unwrap_or_default();
        rows.first().map_or(Ok(false), |row| Ok(number(row, "answer")? == 1))
    }

    /// Returns whether the rows of a table are not in this database.
    async fn is_external(&self, table: &ObjectName) -> Answer<bool> {
        let rows = self.rows(&catalog::is_external(table)).await?;
        Ok(number(single(&rows)?, "answer")? == 1)
    }

    /// Returns the view that a synonym in a view stands for, or `None` when it is not a view, or not seen.
    async fn stands_for(&self, synonym: &ObjectName, reads: &mut Reads) -> Answer<Option<ObjectName>> {
        let rows = self.catalog_rows(&catalog::synonym(synonym)).await?.unwrap_or_default();
        let Some(row) = rows.first() else { return Ok(None) };
        let base = base_of(row)?;
        if base.is_none() {
            reads.outside.get_or_insert_with(|| synonym.to_string());
        }
        Ok(base)
    }

    /// Fails unless every row version of a view or a synonym is one of this database.
    ///
    /// The bound of a window is the lowest row version that is in use in this database. Those of another database have
    /// a counter of their own, so its rows would be above the bound, or committed below it later, and never be copied.
    pub(crate) async fn refuse_outside(&self, object: &ObjectName) -> Answer<()> {
        let rows = self.catalog_rows(&catalog::synonym(object)).await?.unwrap_or_default();
        let stands_for = match rows.first() {
            Some(row) => match base_of(row)? {
                Some(base) => base,
                None => {
                    return Err(refused(
                        object,
                        "is a synonym for something in another database",
                        ELSEWHERE,
                    ));
                }
            },
            None => object.clone(),
        };
        let rows = self.rows(&catalog::stays_here(&stands_for)).await?;
        if number(single(&rows)?, "stays_here")? == 1 {
            return Ok(());
        }
        let reads = self.reads_of(&stands_for).await?;
        match &reads.outside {
            Some(outside) => {
                let what = format!("reads {outside}, which is in another database");
                Err(refused(object, &what, ELSEWHERE))
            }
            None if self.is_external(&stands_for).await? => {
                let what = "is an external table, whose rows are in another database";
                Err(refused(object, what, ELSEWHERE))
            }
            None if !reads.is_seen => {
                let what = "is a view, and this login may not see whether it reads another database";
                Err(refused(object, what, UNSEEN))
            }
            None => Ok(()),
        }
    }
}

/// What to do about a view of another database.
const ELSEWHERE: &str = "copy the table with a login of its own database, or track by another column";
/// What to do about a view that is not seen through.
const UNSEEN: &str =
    "grant the login VIEW DEFINITION on the view, create the view WITH SCHEMABINDING, or track by another column";

fn refused(object: &ObjectName, what: &str, advice: &str) -> Failure {
    Failure::about(Fault::Refused, object, |object| {
        format!(
            "{object} {what}: a rowversion counts the changes of one database, and rows of another one would be left out. So {advice}"
        )
    })
}

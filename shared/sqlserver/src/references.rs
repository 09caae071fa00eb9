//! What a view reads, through other views, functions and synonyms, as far as the login may see it.

use std::collections::BTreeSet;

use tidemark::error::{Answer, Failure, Fault};
use tidemark::model::names::ObjectName;

use crate::answers::single;
use crate::catalog::{base_of, declared_name, number, text};
use crate::definition::asks_elsewhere;
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
    /// Something that is read in another database or on another server, as what the view does: `reads db..t, which is …`.
    pub(crate) outside: Option<String>,
    /// Whether there may be masks in what is read there, which the login sees in place of the values.
    pub(crate) is_veiled: bool,
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
            let rows = rows.unwrap_or_default();
            let (texts, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.result_index() == 0);
            let definition = texts.first().and_then(|row| text(row, "definition"));
            if definition.is_some_and(asks_elsewhere) {
                reads.is_outside(QUERIES.to_owned(), true);
            }
            reads.is_seen |= object == *view && definition.is_some();
            reads.is_complete &= definition.is_some() && met.len() <= MOST;
            for row in &rows {
                if number(row, "is_outside")? == 1 {
                    let parts = [text(row, "database_name"), text(row, "entity_name")];
                    let name: Vec<&str> = parts.into_iter().flatten().collect();
                    let is_veiled = !self.is_unmasked(text(row, "server_name"), parts[0]).await?;
                    reads.is_outside(in_another_database(&name.join("..")), is_veiled);
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

    /// Returns whether the login is known to read no masks in a database, which may be one of another server.
    async fn is_unmasked(&self, server: Option<&str>, database: Option<&str>) -> Answer<bool> {
        let (None, Some(database)) = (server, database) else {
            return Ok(false);
        };
        let rows = self
            .catalog_rows(&catalog::is_unmasked(database))
            .await?
            .unwrap_or_default();
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
            reads.is_outside(in_another_database(&synonym.to_string()), true);
        }
        Ok(base)
    }

    /// Fails unless every row version of a view or a synonym is one of this database, as far as the login sees. Returns whether
    /// it sees all of it.
    ///
    /// The bound of a window is the lowest row version that is in use in this database. Those of another database have
    /// a counter of their own, so its rows would be above the bound, or committed below it later, and never be copied.
    ///
    /// A login that may read a view need not be able to see the tables below it, because the owner's rights to them are enough
    /// (<https://learn.microsoft.com/en-us/sql/relational-databases/tutorial-ownership-chains-and-context-switching>).
    /// So what is not seen there is no reason to fail, except for the view's own text, which tells most.
    pub(crate) async fn sees_that_it_stays(&self, object: &ObjectName) -> Answer<bool> {
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
            return Ok(true);
        }
        let reads = self.reads_of(&stands_for).await?;
        match &reads.outside {
            Some(outside) => Err(refused(object, outside, ELSEWHERE)),
            None if self.is_external(&stands_for).await? => {
                let what = "is an external table, whose rows are in another database";
                Err(refused(object, what, ELSEWHERE))
            }
            None if !reads.is_seen => {
                let what = "is a view, and this login may not see whether it reads another database";
                Err(refused(object, what, UNSEEN))
            }
            None => Ok(reads.is_complete),
        }
    }
}

impl Reads {
    /// Notes what is read outside of the database, and whether masks may be there.
    fn is_outside(&mut self, what: String, is_veiled: bool) {
        self.outside.get_or_insert(what);
        self.is_veiled |= is_veiled;
    }
}

/// What a view does whose text has a query to another server.
const QUERIES: &str =
    "sends a query to another server, or reads a file there, and what that reads is in another database";

fn in_another_database(name: &str) -> String {
    format!("reads {name}, which is in another database")
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

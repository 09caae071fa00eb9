//! Reads the columns of a table from the catalog, and their types from the description of a result.

use std::fmt::Display;

use tiberius::{MetaDataColumn, Row};
use tidemark::error::{Answer, Failure, Fault, Result};
use tidemark::model::names::{Identifier, ObjectName, is_alike, nearest};
use tidemark::model::types::{TypeName, WantedForms};
use tidemark::ports::source::{Access, Catalog, CatalogColumn, Counting, DeclaredColumn, Veil};

use crate::answers::{unexpected_answer, unless_unreachable};
use crate::session::Server;
use crate::statements::{Quoted, catalog};
use crate::types::SqlType;

/// The number of the error for a table that does not exist, or that the login may not see.
const NO_SUCH_OBJECT: u32 = 208;

/// What is said of a table that is not there where several are not.
const NOT_THERE: &str = "SQL Server error 208: the table, or what a view of this name reads, is not there, or the login may not see it: check \
                         the name, and GRANT SELECT on it";

/// Builds the failure for a table that is not there, when another one was probably meant.
pub(crate) fn no_table(table: &ObjectName, meant: &ObjectName) -> Failure {
    let say = |table: &dyn Display| format!("{table} is not there, or the login may not see it: did you mean {meant}?");
    Failure::about(Fault::Refused, table, say).numbered(NO_SUCH_OBJECT)
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedColumn {
    /// The name as the server spells it.
    pub(crate) name: String,
    /// The type, or the server's name of a type that cannot be copied.
    pub(crate) sql_type: std::result::Result<SqlType, String>,
    /// Whether NULL is allowed.
    pub(crate) nullable: bool,
}

impl DescribedColumn {
    fn of(column: &MetaDataColumn<'_>) -> Self {
        Self {
            name: column.col_name().to_owned(),
            sql_type: SqlType::of_result(column.base().ty()),
            nullable: column.base().is_nullable(),
        }
    }

    /// Converts the column to what the planner needs.
    pub(crate) fn declared(self, wanted: WantedForms) -> Result<DeclaredColumn> {
        let Self {
            name,
            sql_type,
            nullable,
        } = self;
        Ok(match sql_type {
            Ok(sql_type) => DeclaredColumn {
                name,
                sql_type: sql_type.name(),
                nullable,
                form: sql_type.form(wanted),
                native: sql_type.native(wanted),
                watermark: sql_type.watermark_kind(),
                cuts: sql_type.cuts(),
            },
            Err(unknown) => DeclaredColumn {
                name,
                sql_type: TypeName::new(unknown.as_str())?,
                nullable,
                form: Err(format!("has the type {unknown}, which cannot be copied exactly")),
                native: None,
                watermark: None,
                cuts: false,
            },
        })
    }
}

impl Server {
    /// Returns what the catalog says about each table, in the order of `tables`. `None` stands for a table about which
    /// it says nothing, or whose question to the catalog, asked together with others, failed; such a table must be
    /// asked for alone.
    pub(crate) async fn catalogs_of(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        if let [table] = tables {
            let found = self.catalogs_together(tables).await?;
            return Ok(match found.as_slice() {
                [None] => vec![self.catalog_of_synonym(table).await?],
                _ => found,
            });
        }
        let mut catalogs = Vec::with_capacity(tables.len());
        for tables in tables.chunks(catalog::TABLES_AT_ONCE) {
            let asked = self.catalogs_together(tables).await;
            catalogs.extend(unless_unreachable(asked)?.unwrap_or_else(|| vec![None; tables.len()]));
        }
        Ok(catalogs)
    }

    async fn catalogs_together(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>> {
        let rows = self.catalog_rows(&catalog::columns(tables)).await?.unwrap_or_default();
        let mut rows = rows.iter().peekable();
        let mut catalogs = Vec::with_capacity(tables.len());
        for (place, table) in tables.iter().enumerate() {
            let mut found: Option<Catalog> = None;
            let mut doubts = Doubts::default();
            while let Some(row) = rows.next_if(|row| row.result_index() == place) {
                let column = catalog_column(row)?;
                let catalog = found.get_or_insert_default();
                catalog.name = declared_name(row);
                catalog.object = number(row, "object_id").ok();
                catalog.is_filtered = number(row, "filtered")? == 1;
                catalog.is_policy_unseen = number(row, "policies_unseen")? == 1;
                catalog.veil = match number(row, "veiled")? {
                    0 => Veil::None,
                    1 => Veil::Possible,
                    _ => Veil::Certain,
                };
                doubts.filter |= number(row, "filtered")? == 2;
                doubts.computed |= number(row, "masked")? == 2;
                doubts.is_view = number(row, "is_view")? == 1;
                catalog.columns.push(column);
            }
            if let Some(catalog) = &mut found {
                self.decide(table, catalog, doubts).await?;
            }
            catalogs.push(found);
        }
        Ok(catalogs)
    }

    /// Decides what the catalog leaves open, by what a view reads and of what columns are computed, as far as the login
    /// may see that.
    async fn decide(&self, table: &ObjectName, catalog: &mut Catalog, doubts: Doubts) -> Answer<()> {
        if doubts.is_view {
            let reads = self.reads_of(table).await?;
            catalog.is_filtered |= doubts.filter && (reads.is_filtered || !reads.is_complete);
            catalog.is_policy_unseen |= reads.outside.is_some();
            if reads.is_complete && !reads.is_masked && !reads.is_veiled {
                catalog.veil = Veil::None;
            } else if reads.is_veiled && catalog.veil == Veil::None {
                catalog.veil = Veil::Possible;
            }
        }
        if doubts.computed {
            let rows = self.catalog_rows(&catalog::computed_of_unmasked(table)).await?;
            let rows = rows.unwrap_or_default();
            let unmasked: Vec<&str> = rows.iter().filter_map(|row| text(row, "name")).collect();
            for column in &mut catalog.columns {
                if column.access == Access::Mask && unmasked.contains(&column.name.as_str()) {
                    column.access = Access::Values;
                }
            }
        }
        Ok(())
    }

    /// Returns what the catalog says about the table or view that a synonym stands for. It is `None` when there is no
    /// such synonym, or it stands for something in another database, whose catalog is not this one.
    async fn catalog_of_synonym(&self, synonym: &ObjectName) -> Answer<Option<Catalog>> {
        let rows = self.catalog_rows(&catalog::synonym(synonym)).await?.unwrap_or_default();
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(base) = base_of(row)? else { return Ok(None) };
        let mut found = self.catalogs_together(&[&base]).await?.pop().flatten();
        if let Some(catalog) = &mut found {
            catalog.name = declared_name(row);
            // A right to the synonym may stand in for one to what it stands for, so the server decides at reading.
            let refused = catalog
                .columns
                .iter_mut()
                .filter(|column| column.access == Access::Nothing);
            refused.for_each(|column| column.access = Access::Values);
        }
        Ok(found)
    }

    /// Returns the columns of a table in its order, or only those that are named. The server is asked which are row
    /// versions, unless the catalog is known.
    pub(crate) async fn described_columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        known: Option<&Catalog>,
    ) -> Answer<Vec<DescribedColumn>> {
        let name = table.quoted();
        let columns: Vec<String> = match only {
            Some(names) => names.iter().map(|name| name.quoted()).collect(),
            None => vec!["*".to_owned()],
        };
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let described = self
            .with_connection(async |connection| connection.column_metadata(&name, &columns).await)
            .await;
        let described = match described {
            Err(failure) if failure.number() == Some(NO_SUCH_OBJECT) => {
                return Err(match self.meant(table).await {
                    Some(meant) => self.named(no_table(table, &meant)),
                    None => failure.shared_as(NOT_THERE),
                });
            }
            described => described?,
        };
        let mut columns: Vec<_> = described.iter().map(DescribedColumn::of).collect();
        let is_doubtful = |column: &DescribedColumn| column.sql_type.as_ref().is_ok_and(|t| t.may_be_rowversion());
        if columns.iter().any(is_doubtful) {
            let row_versions = match known {
                Some(catalog) => row_versions(catalog),
                None => self.row_version_columns(table).await?,
            };
            for column in columns.iter_mut().filter(|column| row_versions.contains(&column.name)) {
                column.sql_type = Ok(SqlType::ROWVERSION);
            }
        }
        Ok(columns)
    }

    /// Returns the table that was probably meant by the name of one that is not there: the catalog is asked for all that
    /// the login may see, and one of the same schema comes first. Returns `None` when no name is like it, or when there
    /// is such a table, which may be a view of one that is not there.
    pub(crate) async fn meant(&self, table: &ObjectName) -> Option<ObjectName> {
        let rows = self.catalog_rows(&catalog::names()).await.ok()??;
        let names = rows.iter().filter_map(|row| {
            format!("{}.{}", text(row, "schema")?.quoted(), text(row, "table")?.quoted())
                .parse::<ObjectName>()
                .ok()
        });
        let mut names: Vec<ObjectName> = names.collect();
        names.sort_by_key(|name| name.schema() == table.schema());
        let meant = nearest(table.name().as_str(), names.iter().map(|name| name.name().as_str()))?.to_owned();
        let meant = names.into_iter().rfind(|name| name.name().as_str() == meant)?;
        let is_same = is_alike(&meant.to_string(), &table.to_string());
        (!is_same).then_some(meant)
    }

    /// Returns the names of a table's rowversion columns. A server without `sys.columns` has none that could be known.
    async fn row_version_columns(&self, table: &ObjectName) -> Answer<Vec<String>> {
        let rows = self.catalog_rows(&catalog::row_version_columns(table)).await?;
        let rows = rows.unwrap_or_default();
        Ok(rows
            .iter()
            .filter_map(|row| text(row, "name"))
            .map(str::to_owned)
            .collect())
    }
}

fn row_versions(catalog: &Catalog) -> Vec<String> {
    let columns = catalog.columns.iter().filter(|column| column.is_row_version);
    columns.map(|column| column.name.clone()).collect()
}

/// What one question to the catalog leaves open.
#[derive(Debug, Clone, Copy, Default)]
struct Doubts {
    /// Whether it is a view, which may read anything.
    is_view: bool,
    /// Whether a security policy filters what the view reads.
    filter: bool,
    /// Whether columns are computed of masked ones.
    computed: bool,
}

pub(crate) fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.try_get::<&str, _>(name).ok().flatten()
}

/// Returns an `int` that is not NULL.
pub(crate) fn number(row: &Row, name: &str) -> Answer<i32> {
    let number = row.try_get::<i32, _>(name).ok().flatten();
    number.ok_or_else(unexpected_answer)
}

/// Returns the name of an object as it was declared.
pub(crate) fn declared_name(row: &Row) -> Option<ObjectName> {
    let part = |name: &str| Identifier::new(text(row, name)?).ok();
    Some(ObjectName::new(part("schema_name")?, part("object_name")?))
}

/// Returns what a synonym stands for, unless that is in another database.
pub(crate) fn base_of(row: &Row) -> Answer<Option<ObjectName>> {
    let Some(name) = text(row, "base_name").filter(|_| number(row, "is_outside").is_ok_and(|outside| outside == 0))
    else {
        return Ok(None);
    };
    let schema = text(row, "base_schema").unwrap_or("dbo");
    Ok(Some(ObjectName::new(Identifier::new(schema)?, Identifier::new(name)?)))
}

fn catalog_column(row: &Row) -> Answer<CatalogColumn> {
    let is = |name: &str| Ok::<_, Failure>(number(row, name)? != 0);
    let access = match (is("denied")?, is("encrypted")?, is("masked")?) {
        (true, ..) => Access::Nothing,
        (_, true, _) => Access::Ciphertext,
        (.., true) => Access::Mask,
        _ => Access::Values,
    };
    Ok(CatalogColumn {
        name: text(row, "name").ok_or_else(unexpected_answer)?.to_owned(),
        in_star: is("in_star")?,
        is_row_version: is("row_version")?,
        is_period_start: is("period_start")?,
        access,
        counting: counting(row),
    })
}

/// Returns the type of a column that can be a watermark, if the catalog describes it completely.
fn counting(row: &Row) -> Option<Counting> {
    let size = |name: &str| number(row, name).ok();
    let sql_type = SqlType::from_catalog(
        text(row, "type_name")?,
        size("max_length")?,
        size("precision")?,
        size("scale")?,
    )?;
    sql_type.watermark_kind()?;
    Some(Counting {
        sql_type: sql_type.name(),
        nullable: size("nullable")? == 1,
    })
}

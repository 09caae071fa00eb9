//! Asking the source about a table: everything but its rows.

use crate::error::{Answer, Result};
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::table::Clock;
use crate::model::types::{Form, TypeName, WantedForms};
use crate::model::watermark::{Watermark, WatermarkKind};

/// What only the adapter of the source knows of its types.
pub trait KnowTypes {
    /// The watermark of a column of this type that a text stands for, in its canonical form.
    ///
    /// Fractions of a second may have fewer digits than the type, or more if those are zeros: control tables and people write
    /// them so. Errors: `UnsupportedType` when the type cannot be a watermark, `InvalidInput` when the text is not a value of it.
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark>;
    /// Whether every value of a column of type `column` survives being stored in one of type `store`.
    fn holds(&self, store: &TypeName, column: &TypeName) -> bool;
}

/// How far the source has grown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Growth {
    /// The greatest watermark, not above the server's clock for time columns; `None` for an empty table or only NULLs.
    /// For a rowversion the lowest one still in use, `Greater` only if the table has rows below it.
    pub maximum: Option<Maximum>,
    /// Rows stamped later than the server's clock; 0 for columns that are no time.
    pub future_rows: u64,
    /// Rows whose watermark is NULL.
    pub null_rows: u64,
    /// Whether a transaction that is still open holds the bound back; always false where the server does not know.
    pub held_back: bool,
}

/// The greatest watermark and how it compares, on the server, with the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maximum {
    /// The value.
    pub watermark: Watermark,
    /// Greater: the table has grown. Less: the source was restored, reseeded or replaced.
    pub ordering: std::cmp::Ordering,
}

/// The watermark column of a table, as the lookup asks for it.
#[derive(Debug, Clone, Copy)]
pub struct WatermarkColumn<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The column's name, as the server spells it.
    pub name: &'a Identifier,
    /// Its type.
    pub sql_type: &'a TypeName,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The clock that bounds it.
    pub clock: Clock,
    /// Which rows are copied; only these are counted.
    pub filter: Option<&'a Predicate>,
}

/// Probing a table before its window is planned.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ProbeSource: KnowTypes {
    /// What the catalog says of the table. `None` when it says nothing, as of a synonym.
    async fn catalog(&self, table: &ObjectName) -> Answer<Option<Catalog>>;
    /// The columns of the table in its order, or only those named, with the forms in which their values would be held. What the
    /// catalog has said of them already, is not asked again. Fails as refused when there is no such table or column.
    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        catalog: Option<&Catalog>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>>;
    /// Whether the values of a column can be hashed, for which the deployment names a key.
    fn has_mask_key(&self) -> bool;
    /// How far the table has grown since `old`.
    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth>;
}

/// What the catalog says of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Every column, in the table's order.
    pub columns: Vec<CatalogColumn>,
    /// Whether a security policy is in force that may hide rows from this login. False as well where the login may not know.
    pub is_filtered: bool,
}

/// A column as the catalog has it, before anything is selected from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogColumn {
    /// The name as it was declared.
    pub name: String,
    /// Whether `SELECT *` has it.
    pub in_star: bool,
    /// Whether the server writes its values, one greater with each change in the database (`rowversion`).
    pub is_row_version: bool,
    /// What this login reads from it.
    pub access: Access,
}

/// What a login reads from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its values.
    Values,
    /// A mask in place of its values.
    Mask,
    /// The ciphertext of its values, which were encrypted by a client.
    Ciphertext,
    /// Nothing: the login lacks the right.
    Nothing,
}

/// A column as the server describes it, of a type that can be copied or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// The name as the server spells it.
    pub name: String,
    /// The type, as the server declares it.
    pub sql_type: TypeName,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// How its values are held, or why they cannot be copied, as the end of a sentence about the column.
    pub form: std::result::Result<Form, String>,
    /// The form that typed files have for the type, where `form` is another, which more readers open.
    pub native: Option<Form>,
    /// What it counts, if it can be a watermark.
    pub watermark: Option<WatermarkKind>,
    /// Whether its values can cut slices, as a key's can.
    pub cuts: bool,
}

/// How large a table is, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its rows.
    pub rows: u64,
    /// The bytes it takes on the server.
    pub bytes: u64,
}

/// A column with which an index begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadingColumn {
    /// Its name as the server spells it.
    pub name: String,
    /// Whether the index is the clustered one or the primary key, which every row is in.
    pub is_key: bool,
}

/// The values of a column as the server's statistics have them, roughly, perhaps of long ago, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The rows the statistics were made of.
    pub rows: u64,
    /// The steps, in the order of the column's values.
    pub steps: Vec<Step>,
}

/// A step of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The value it ends with.
    pub up_to: Watermark,
    /// The rows from the step before up to that value.
    pub rows: u64,
}

/// A column that cuts slices, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutColumn {
    /// Its name as the server spells it.
    pub name: Identifier,
    /// Its type.
    pub sql_type: TypeName,
}

/// Cutting a large window into slices.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CutSource: CountRows {
    /// How large the table is. `None` when the server keeps no count, as of a view.
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>>;
    /// The columns with which an index of the table begins, keys first.
    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>>;
    /// What the server knows of the values of `column`, below a value if one is given. Empty when it knows nothing, or does not
    /// tell.
    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram>;
    /// The watermark of the `number`th row of the interval, from 1, in the watermark's order. `None` when it has fewer.
    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>>;
    /// The key of the `number`th of `rows` in the range, from 1, in the key's order. `None` when there are fewer.
    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>>;
}

/// Rows that a key cuts.
#[derive(Debug, Clone, Copy)]
pub enum RowsToCut<'a> {
    /// All rows of a table, whatever is copied of them.
    Table(&'a ObjectName),
    /// These.
    Rows(Rows<'a>),
}

/// Counting rows: when a window is cut, and again when it commits.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CountRows {
    /// How many of these rows there are.
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64>;
}

//! Asking the source about a table: everything but its rows.

use crate::error::{Answer, Result};
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::table::Clock;
use crate::model::types::{Form, TypeName, WantedForms};
use crate::model::watermark::{Watermark, WatermarkKind};

/// This says what only the adapter of the source knows of its types.
pub trait KnowTypes {
    /// Returns the watermark of a column of this type that a text stands for, in its canonical form.
    ///
    /// Fractions of a second may have fewer digits than the type, or more if those are zeros: control tables and people write
    /// them so. Errors: `UnsupportedType` when the type cannot be a watermark, `InvalidInput` when the text is not a value of it.
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark>;
    /// Returns whether every value of a column of type `column` survives being stored in one of type `store`.
    fn holds(&self, store: &TypeName, column: &TypeName) -> bool;
}

/// This says how far the source has grown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Growth {
    /// This is the greatest watermark, not above the server's clock for time columns; `None` for an empty table or only
    /// NULLs. For a rowversion the lowest one still in use, `Greater` only if the table has rows below it.
    pub maximum: Option<Maximum>,
    /// This counts the rows stamped later than the server's clock; 0 for columns that are no time.
    pub future_rows: u64,
    /// This counts the rows whose watermark is NULL.
    pub null_rows: u64,
    /// This says whether a transaction that is still open holds the bound back; always false where the server does not know.
    pub held_back: bool,
}

/// This is the greatest watermark and how it compares, on the server, with the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maximum {
    /// This is the value.
    pub watermark: Watermark,
    /// It is greater: the table has grown. Less: the source was restored, reseeded or replaced.
    pub ordering: std::cmp::Ordering,
}

/// This is the watermark column of a table, as the lookup asks for it.
#[derive(Debug, Clone, Copy)]
pub struct WatermarkColumn<'a> {
    /// This is the table.
    pub table: &'a ObjectName,
    /// This is the column's name, as the server spells it.
    pub name: &'a Identifier,
    /// This is its type.
    pub sql_type: &'a TypeName,
    /// This says whether it may be NULL.
    pub nullable: bool,
    /// This is the clock that bounds it.
    pub clock: Clock,
    /// This says which rows are copied; only these are counted.
    pub filter: Option<&'a Predicate>,
}

/// This is for probing a table before its window is planned.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ProbeSource: KnowTypes {
    /// What the catalog says of each of the tables, in their order. `None` when it says nothing, as of a synonym.
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>>;
    /// The columns of the table in its order, or only those named, with the forms in which their values would be held. What the
    /// catalog has said of them already, is not asked again. Fails as refused when there is no such table or column.
    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        catalog: Option<&Catalog>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>>;
    /// Returns whether the values of a column can be hashed, for which the deployment names a key.
    fn has_mask_key(&self) -> bool;
    /// Returns how far the table has grown since `old`.
    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth>;
}

/// This says what the catalog says of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// This is every column, in the table's order.
    pub columns: Vec<CatalogColumn>,
    /// This says whether a security policy is in force that may hide rows from this login. False as well where the
    /// login may not know.
    pub is_filtered: bool,
}

/// This is a column as the catalog has it, before anything is selected from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogColumn {
    /// This is the name as it was declared.
    pub name: String,
    /// This says whether `SELECT *` has it.
    pub in_star: bool,
    /// This says whether the server writes its values, one greater with each change in the database (`rowversion`).
    pub is_row_version: bool,
    /// This says what this login reads from it.
    pub access: Access,
    /// Its type and whether it may be NULL, where the type can be a watermark and the catalog says all of it.
    pub counting: Option<Counting>,
}

/// What is known of a column whose values can be watermarks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// Its type.
    pub sql_type: TypeName,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// This says what a login reads from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// These are its values.
    Values,
    /// This is a mask in place of its values.
    Mask,
    /// This is the ciphertext of its values, which were encrypted by a client.
    Ciphertext,
    /// There is nothing: the login lacks the right.
    Nothing,
}

/// This is a column as the server describes it, of a type that can be copied or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// This is the name as the server spells it.
    pub name: String,
    /// This is the type, as the server declares it.
    pub sql_type: TypeName,
    /// This says whether NULL is allowed.
    pub nullable: bool,
    /// This says how its values are held, or why they cannot be copied, as the end of a sentence about the column.
    pub form: std::result::Result<Form, String>,
    /// This is the form that typed files have for the type, where `form` is another, which more readers open.
    pub native: Option<Form>,
    /// This says what it counts, if it can be a watermark.
    pub watermark: Option<WatermarkKind>,
    /// This says whether its values can cut slices, as a key's can.
    pub cuts: bool,
}

/// This says how large a table is, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// These are its rows.
    pub rows: u64,
    /// The bytes it takes on the server.
    pub bytes: u64,
}

/// This is a column with which an index begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadingColumn {
    /// This is its name as the server spells it.
    pub name: String,
    /// This says whether the index is the clustered one or the primary key, which every row is in.
    pub is_key: bool,
}

/// These are the values of a column as the server's statistics have them, roughly, perhaps of long ago, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The rows the statistics were made of.
    pub rows: u64,
    /// These are the steps, in the order of the column's values.
    pub steps: Vec<Step>,
}

/// This is a step of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The value it ends with.
    pub up_to: Watermark,
    /// These are the rows from the step before up to that value.
    pub rows: u64,
}

/// This is a column that cuts slices, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutColumn {
    /// This is its name as the server spells it.
    pub name: Identifier,
    /// This is its type.
    pub sql_type: TypeName,
}

/// This is for cutting a large window into slices.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CutSource: CountRows {
    /// Returns how large the table is. `None` when the server keeps no count, as of a view.
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>>;
    /// Returns the columns with which an index of the table begins, keys first.
    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>>;
    /// Returns what the server knows of the values of `column`, below a value if one is given. Empty when it knows
    /// nothing, or does not tell.
    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram>;
    /// Returns the watermark of the `number`th row of the interval, from 1, in the watermark's order. `None` when it
    /// has fewer.
    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>>;
    /// Returns the key of the `number`th of `rows` in the range, from 1, in the key's order. `None` when there are fewer.
    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>>;
}

/// These are rows that a key cuts.
#[derive(Debug, Clone, Copy)]
pub enum RowsToCut<'a> {
    /// All rows of a table, whatever is copied of them.
    Table(&'a ObjectName),
    /// They are these.
    Rows(Rows<'a>),
}

/// This is for counting rows: when a window is cut, and again when it commits.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CountRows {
    /// Returns how many of these rows there are.
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64>;
}

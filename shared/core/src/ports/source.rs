//! Asking the source about a table: everything but its rows.

use std::cmp::Ordering;

use crate::error::{Answer, Error, ErrorCode, Result};
use crate::model::audit::AuditTypes;
use crate::model::names::{Identifier, ObjectName};
use crate::model::predicate::Predicate;
use crate::model::rows::{Interval, Rows};
use crate::model::slice::KeyBounds;
use crate::model::table::Clock;
use crate::model::types::{Form, TypeName, WantedForms};
use crate::model::watermark::{Watermark, WatermarkKind};

/// What only the adapter of the source knows of its types.
pub trait KnowTypes {
    /// Returns the watermark of a column of this type that a text stands for, in its canonical form.
    ///
    /// A fraction of a second may have fewer digits than the type, or more if those are zeros, because control tables
    /// and people write it so. Errors: `UnsupportedType` when the type cannot be a watermark, `InvalidInput` when the
    /// text is not a value of it.
    fn watermark(&self, sql_type: &TypeName, text: &str) -> Result<Watermark>;
    /// Returns the types that can be a watermark, as the middle of a sentence: `date, integer or decimal`.
    fn watermark_types(&self) -> &'static str;
    /// Returns whether every value of a column of type `column` survives being stored in one of type `store`.
    fn holds(&self, store: &TypeName, column: &TypeName) -> bool;
    /// Returns the types of the columns of an audit.
    fn audit_types(&self) -> AuditTypes;
}

/// How far the watermark of a table has grown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Growth {
    /// The greatest watermark, which for time columns is not above the server's clock; `None` for a table that is empty
    /// or has only NULLs. For a rowversion it is the lowest one still in use, and counts as `Greater` only if the table
    /// has rows below it.
    pub maximum: Option<Maximum>,
    /// The number of rows whose watermark is later than the server's clock; 0 for columns that hold no time.
    pub future_rows: u64,
    /// The number of rows whose watermark is NULL.
    pub null_rows: u64,
    /// Whether a transaction that is still open holds the bound back; always false where the server does not know.
    pub held_back: bool,
    /// Whether the row versions may be those of another database, because the login does not see everything that the view
    /// reads; always false for other columns.
    pub sources_unseen: bool,
}

/// The greatest watermark and how it compares, on the server, with the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maximum {
    /// The greatest watermark.
    pub watermark: Watermark,
    /// How it compares with the old one. `Greater` means that the table has grown, `Less` that the source was restored,
    /// reseeded or replaced.
    pub ordering: Ordering,
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
    /// The condition that the copied rows meet. Only these rows are counted.
    pub filter: Option<&'a Predicate>,
}

/// Asks about a table before its window is planned.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ProbeSource: KnowTypes {
    /// Returns what the catalog knows of each of the tables, in their order. It is `None` where the catalog knows
    /// nothing, as of a synonym that stands for a table of another database. What a synonym stands for is found only
    /// when it is asked for alone.
    async fn catalogs(&self, tables: &[&ObjectName]) -> Answer<Vec<Option<Catalog>>>;
    /// Returns the columns of the table in its order, or only those named, with the forms in which their values would
    /// be held. What `catalog` holds already is not asked again. Fails as refused when there is no such table or
    /// column.
    async fn columns(
        &self,
        table: &ObjectName,
        only: Option<&[&Identifier]>,
        catalog: Option<&Catalog>,
        wanted: WantedForms,
    ) -> Answer<Vec<DeclaredColumn>>;
    /// Returns whether the values of a column can be hashed, which needs a key that the deployment names.
    fn has_mask_key(&self) -> bool;
    /// Returns how the first of two watermarks of one type compares with the second, which only the server knows.
    async fn compare(&self, one: &Watermark, other: &Watermark) -> Answer<Ordering>;
    /// Returns how far the table has grown since `old`.
    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Answer<Growth>;
    /// Checks that a condition can be put to the table, without reading a row. Fails as refused when it is none of the
    /// server's language, or names no column of the table.
    async fn accepts(&self, table: &ObjectName, filter: &Predicate) -> Answer<()>;
}

/// What the catalog knows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// The table's name as it was declared, where the catalog tells it.
    pub name: Option<ObjectName>,
    /// The number that the server gave the table when it was created; for a synonym, that of what it stands for. A table
    /// of the same name that is made anew has another.
    pub object: Option<i32>,
    /// Every column, in the table's order.
    pub columns: Vec<CatalogColumn>,
    /// Whether a security policy is in force that may hide rows from this login. It is also false where the login may
    /// not know.
    pub is_filtered: bool,
    /// Whether the login may not know of every security policy.
    pub is_policy_unseen: bool,
    /// Whether it is a view, or a table of another database, that may show this login masks in place of values without saying
    /// of which columns.
    pub veil: Veil,
}

/// Whether a view or an external table may show masks in columns of which the catalog does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Veil {
    /// It shows none.
    #[default]
    None,
    /// The login does not see whether there are masked columns at all.
    Possible,
    /// There are masked columns in the database, and the login does not see that the view reads none of them.
    Certain,
}

impl Catalog {
    /// Refuses another spelling of a table than the declared one, because each spelling would have a ledger and files of
    /// its own.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, which says how the table is spelled.
    pub fn check_spelling(&self, table: &ObjectName) -> Result<()> {
        match &self.name {
            Some(name) if name != table => Err(Error::about(ErrorCode::InvalidInput, table, |table| {
                format!(
                    "{table} is called {name} in the database: write it so, because each spelling would be copied as a table of \
                         its own"
                )
            })),
            _ => Ok(()),
        }
    }
}

/// A column as the catalog has it, before anything is selected from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogColumn {
    /// The name as it was declared.
    pub name: String,
    /// Whether `SELECT *` includes it.
    pub in_star: bool,
    /// Whether it is a `rowversion`: the server writes its values, and each change in the database gets a greater one.
    pub is_row_version: bool,
    /// Whether it is the start of a temporal table's period: the server writes into it the time at which the transaction
    /// began.
    pub is_period_start: bool,
    /// What this login reads from it.
    pub access: Access,
    /// Its type and whether it may be NULL, when the type can be a watermark and the catalog has both.
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

/// What a login reads from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The values.
    Values,
    /// A mask in place of the values.
    Mask,
    /// The ciphertext of the values, which a client encrypted.
    Ciphertext,
    /// Nothing: the login lacks the right.
    Nothing,
}

/// A column as the server describes it, whether or not its type can be copied.
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
    /// The form that typed files have for the type, when `form` is another one, which more readers open.
    pub native: Option<Form>,
    /// What its values are, if it can be a watermark.
    pub watermark: Option<WatermarkKind>,
    /// Whether its values can cut slices, as those of a key can.
    pub cuts: bool,
}

/// The approximate size of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The number of its rows.
    pub rows: u64,
    /// The bytes that it takes on the server.
    pub bytes: u64,
}

/// A column with which an index begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadingColumn {
    /// Its name, as the server spells it.
    pub name: String,
    /// Whether the index is the clustered one or the primary key, which hold every row.
    pub is_key: bool,
    /// Whether every index that begins with it is divided among partitions by another column, so that no index has the
    /// rows in its order.
    pub is_split: bool,
}

/// The values of a column as the server's statistics have them. They are approximate, may be old, and may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The number of rows that the statistics were made of.
    pub rows: u64,
    /// The steps, in the order of the column's values.
    pub steps: Vec<Step>,
}

/// A step of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The value that it ends with.
    pub up_to: Watermark,
    /// The number of rows above the previous step's value, up to this one's.
    pub rows: u64,
}

/// A column that cuts slices, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutColumn {
    /// Its name, as the server spells it.
    pub name: Identifier,
    /// Its type.
    pub sql_type: TypeName,
}

/// Asks what is needed to cut a large window into slices.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CutSource: CountRows {
    /// Returns how large the table is, or `None` when the server keeps no count, as of a view.
    async fn extent(&self, table: &ObjectName) -> Answer<Option<Extent>>;
    /// Returns the columns with which indexes of the table begin, keys first.
    async fn leading_columns(&self, table: &ObjectName) -> Answer<Vec<LeadingColumn>>;
    /// Returns what the server knows of the values of `column`, below a value if one is given. It is empty when the
    /// server knows nothing, or does not tell.
    async fn histogram(&self, table: &ObjectName, column: &CutColumn, below: Option<&Watermark>) -> Answer<Histogram>;
    /// Returns the watermark of row `number` of the interval, counted from 1 in the watermark's order, or `None` when
    /// there are fewer rows.
    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Answer<Option<Watermark>>;
    /// Returns the watermarks of `count` rows of the interval, at most a hundred, in the watermark's order. The rows are
    /// chosen at random, by reading each row once and sorting none but these.
    async fn sample_watermarks(&self, interval: &Interval<'_>, count: u64) -> Answer<Vec<Watermark>>;
    /// Returns the key of row `number` among `rows` in the range, counted from 1 in the key's order, or `None` when
    /// there are fewer rows.
    async fn nth_key(
        &self,
        rows: &RowsToCut<'_>,
        range: &KeyBounds,
        sql_type: &TypeName,
        number: u64,
    ) -> Answer<Option<Watermark>>;
}

/// The rows that a key cuts into slices.
#[derive(Debug, Clone, Copy)]
pub enum RowsToCut<'a> {
    /// All rows of a table, whatever is copied of them.
    Table(&'a ObjectName),
    /// Only these rows.
    Rows(Rows<'a>),
}

/// Counts rows: when a window is cut, and again when it commits.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CountRows {
    /// Returns how many of these rows there are.
    async fn count(&self, rows: &Rows<'_>) -> Answer<u64>;
}

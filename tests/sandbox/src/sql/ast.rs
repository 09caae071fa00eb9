//! The parsed form of T-SQL, before names are resolved.

use crate::locks::Mode;
use crate::value::Ty;

/// A name of one to four parts, as written. The name of a table variable is one part that begins with
/// [`TABLE_VARIABLE`].
pub type Name = Vec<String>;

/// The first character in the name of a table variable. It tells `@t` from `[@t]`, which is an ordinary name.
pub const TABLE_VARIABLE: char = '\u{1}';

/// An expression or a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `NULL`
    Null,
    /// `DEFAULT`, in `VALUES` and `SET` only
    Default,
    /// An integer literal
    Int(String),
    /// A decimal literal
    Dec(String),
    /// A float literal
    Float(String),
    /// A money literal
    Money(String),
    /// A string literal; true for `N'…'`
    Str(String, bool),
    /// A binary literal
    Bin(Vec<u8>),
    /// `@name`
    Var(String),
    /// `@@name`
    Global(String),
    /// A column
    Col(Name),
    /// `-`, `+`, `~`
    Unary(&'static str, Box<Expr>),
    /// Arithmetic, concatenation, bit operators
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `=`, `<`, …
    Compare(&'static str, Box<Expr>, Box<Expr>),
    /// `AND`
    And(Box<Expr>, Box<Expr>),
    /// `OR`
    Or(Box<Expr>, Box<Expr>),
    /// `NOT`
    Not(Box<Expr>),
    /// `IS NULL`; true for `IS NOT NULL`
    IsNull(Box<Expr>, bool),
    /// `IN (…)`
    In(Box<Expr>, Vec<Expr>, bool),
    /// `IN (SELECT …)`
    InQuery(Box<Expr>, Box<Query>, bool),
    /// `BETWEEN`
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    /// `LIKE` with its escape
    Like(Box<Expr>, Box<Expr>, Option<Box<Expr>>, bool),
    /// `EXISTS`
    Exists(Box<Query>),
    /// A scalar subquery
    Subquery(Box<Query>),
    /// `CASE`
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `CAST`, `CONVERT` with a style, `TRY_…` when true
    Cast(Box<Expr>, Ty, Option<Box<Expr>>),
    /// A function call
    Call(Call),
    /// `COLLATE`
    Collate(Box<Expr>, String),
}

/// The function that stands for `AT TIME ZONE`. No statement can write its name.
pub const AT_TIME_ZONE: &str = "AT TIME ZONE";

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The name, upper case for built-in functions.
    pub name: Name,
    /// The arguments. For `*` there is none, and [`Call::star`] is set.
    pub args: Vec<Expr>,
    /// `COUNT(*)`
    pub star: bool,
    /// `COUNT(DISTINCT x)`
    pub distinct: bool,
    /// `OVER (…)`
    pub over: Option<Over>,
}

/// The window of a window function.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// `PARTITION BY`
    pub partition: Vec<Expr>,
    /// `ORDER BY`
    pub order: Vec<Order>,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The key
    pub expr: Expr,
    /// `DESC`
    pub desc: bool,
}

/// `name (columns) AS (query)` of a `WITH`
#[derive(Clone, Debug, PartialEq)]
pub struct NamedQuery {
    /// The name
    pub name: String,
    /// The names of its columns, where they have others than in the query
    pub columns: Vec<String>,
    /// The query
    pub query: Query,
}

/// A column of a bulk load.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkColumn {
    /// The name
    pub name: String,
    /// The type
    pub ty: Ty,
}

/// A query with its common table expressions and order.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Its `WITH`
    pub ctes: Vec<NamedQuery>,
    /// The body
    pub body: Body,
    /// `ORDER BY`
    pub order: Vec<Order>,
    /// `OFFSET … ROWS FETCH NEXT … ROWS ONLY`
    pub offset: Option<(Expr, Option<Expr>)>,
}

/// A select or a set operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// One select
    Select(Box<Select>),
    /// A query in parentheses
    Nested(Box<Query>),
    /// `UNION`, `UNION ALL`, `EXCEPT`, `INTERSECT`
    Set(&'static str, Box<Body>, Box<Body>),
}

/// One select.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: bool,
    /// `TOP`
    pub top: Option<Expr>,
    /// The select list
    pub items: Vec<Item>,
    /// `INTO`
    pub into: Option<Name>,
    /// `FROM`, comma separated
    pub from: Vec<Table>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
}

/// One entry of a select list.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `*`, `t.*`
    Star(Name),
    /// All columns of all sources, also the hidden ones. No statement can write it.
    Every,
    /// An expression and its name
    Expr(Expr, Option<String>),
    /// `@v = expr`, with the operator of `+=` and its like
    Assign(String, Option<&'static str>, Expr),
}

/// A source of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Table {
    /// A table or view
    Named {
        /// Its name
        name: Name,
        /// Its alias
        alias: Option<String>,
    },
    /// A query in parentheses
    Derived {
        /// The query
        query: Box<Query>,
        /// Its alias
        alias: String,
        /// Its column names
        columns: Vec<String>,
    },
    /// `(VALUES …) AS t(a, b)`
    Values {
        /// The rows
        rows: Vec<Vec<Expr>>,
        /// Its alias
        alias: String,
        /// Its column names
        columns: Vec<String>,
    },
    /// A table function
    Function {
        /// Its name
        name: Name,
        /// Its arguments
        args: Vec<Expr>,
        /// Its alias
        alias: Option<String>,
        /// Its column names
        columns: Vec<String>,
    },
    /// `CHANGETABLE`
    Changes(Box<ChangeTable>),
    /// A join
    Join {
        /// `INNER`, `LEFT`, `RIGHT`, `FULL`, `CROSS`
        kind: &'static str,
        /// Left side
        left: Box<Table>,
        /// Right side
        right: Box<Table>,
        /// `ON`
        on: Option<Expr>,
    },
}

/// One column of `CREATE TABLE` and `ALTER TABLE ADD`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnDef {
    /// Its name
    pub name: String,
    /// Its type; none for a computed column
    pub ty: Option<Ty>,
    /// The type's name as written, for `numeric` and `sysname`
    pub type_name: String,
    /// `COLLATE`
    pub collation: Option<String>,
    /// `NULL`, `NOT NULL`
    pub nullable: Option<bool>,
    /// `IDENTITY (seed, increment)`
    pub identity: Option<(i64, i64)>,
    /// `DEFAULT`, as written
    pub default: Option<String>,
    /// `AS expression`, as written
    pub computed: Option<String>,
    /// `GENERATED ALWAYS AS ROW`
    pub period: Option<Period>,
    /// `HIDDEN`
    pub hidden: bool,
    /// `MASKED WITH (FUNCTION = …)`
    pub mask: Option<String>,
    /// `SPARSE`
    pub sparse: bool,
    /// [`COLUMN_SET`], [`ENCRYPTED`] or 0
    pub special: i64,
    /// Constraints written at the column
    pub constraints: Vec<Constraint>,
}

/// The mark of a column that is the XML of all sparse columns.
pub const COLUMN_SET: i64 = 1;
/// The mark of a column that its clients encrypt.
pub const ENCRYPTED: i64 = 2;

/// An end of the time in which a row is valid. The server writes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// `START`
    Start,
    /// `END`
    End,
}

impl Period {
    /// Returns the expression that the server writes.
    pub fn value(self) -> &'static str {
        match self {
            Period::Start => "SYSUTCDATETIME()",
            Period::End => "'9999-12-31T23:59:59.9999999'",
        }
    }
}

/// The place where the rows of a table are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    /// The scheme by which they are partitioned, and the column
    pub partitioned: Option<(String, String)>,
    /// The table that takes their earlier values
    pub history: Option<Name>,
    /// Whether they are kept in memory, in none but nonclustered indexes
    pub memory_optimized: bool,
    /// Whether they are said to be elsewhere, as those of an external table are
    pub external: bool,
}

/// A definition of partitions.
#[derive(Clone, Debug, PartialEq)]
pub enum Partition {
    /// `CREATE PARTITION FUNCTION name(type) AS RANGE LEFT` or `RIGHT FOR VALUES (…)`
    Function(String, Ty, bool, Vec<Expr>),
    /// `CREATE PARTITION SCHEME name AS PARTITION function ALL TO (…)`
    Scheme(String, String),
}

/// A constraint of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name
    pub name: Option<String>,
    /// The rule itself
    pub rule: Rule,
}

/// The rule of a constraint.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `PRIMARY KEY`
    PrimaryKey(Vec<String>),
    /// `UNIQUE`
    Unique(Vec<String>),
    /// `PERIOD FOR SYSTEM_TIME`
    Period(Vec<String>),
}

/// A parameter of a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name without `@`
    pub name: String,
    /// Its type, which has no meaning for a table
    pub ty: Ty,
    /// The table type of a `READONLY` parameter
    pub table: Option<Name>,
    /// Its default
    pub default: Option<Expr>,
    /// `OUTPUT`
    pub output: bool,
}

/// What `DECLARE` declares.
#[derive(Clone, Debug, PartialEq)]
pub enum Declared {
    /// `@v type = expr`
    Scalar(String, Ty, Option<Expr>),
    /// `@t TABLE (…)`
    Table(String, Vec<ColumnDef>, Vec<Constraint>),
    /// `@t AS dbo.TableType`
    Typed(String, Name),
}

/// `MERGE`
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The table that is changed
    pub target: Name,
    /// Its alias
    pub alias: Option<String>,
    /// `USING`
    pub source: Table,
    /// `ON`
    pub on: Expr,
    /// `WHEN …`, in order
    pub clauses: Vec<MergeClause>,
}

/// The rows that a clause of `MERGE` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeRows {
    /// `WHEN MATCHED`
    Matched,
    /// `WHEN NOT MATCHED [BY TARGET]`
    NotInTarget,
    /// `WHEN NOT MATCHED BY SOURCE`
    NotInSource,
}

/// The action of a clause of `MERGE`.
#[derive(Clone, Debug, PartialEq)]
pub enum MergeAction {
    /// `UPDATE SET …`
    Update(Vec<Assignment>),
    /// `DELETE`
    Delete,
    /// `INSERT (columns) VALUES (values)`; no values for `DEFAULT VALUES`
    Insert(Vec<String>, Vec<Expr>),
}

/// One clause of `MERGE`.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeClause {
    /// The rows
    pub rows: MergeRows,
    /// `AND`
    pub condition: Option<Expr>,
    /// `THEN`
    pub action: MergeAction,
}

/// One entry of `SET` in an update: column, operator, value.
pub type Assignment = (Name, Option<&'static str>, Expr);

/// The origin of the rows of an insert.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// `VALUES`
    Values(Vec<Vec<Expr>>),
    /// A query
    Query(Box<Query>),
}

/// One argument of `EXEC`.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// `@name =`
    pub name: Option<String>,
    /// The value
    pub value: Expr,
    /// `OUTPUT`
    pub output: bool,
}

/// A statement and its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// The line at which it begins
    pub line: u32,
    /// The lock that its table hints put on what it reads, until the transaction ends
    pub locks: Option<Mode>,
    /// The statement itself
    pub kind: Kind,
}

/// An option of `ALTER DATABASE … SET`.
#[derive(Clone, Debug, PartialEq)]
pub enum DatabaseOption {
    /// `READ_COMMITTED_SNAPSHOT`
    ReadCommittedSnapshot(bool),
    /// `ALLOW_SNAPSHOT_ISOLATION`
    AllowSnapshotIsolation(bool),
    /// `READ_ONLY` or `READ_WRITE`
    ReadOnly(bool),
    /// `CHANGE_TRACKING`: `= ON` or `= OFF` or neither, and its options
    ChangeTracking(Option<bool>, TrackingOptions),
}

/// The options of change tracking that were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackingOptions {
    /// `AUTO_CLEANUP`
    pub auto_cleanup: Option<bool>,
    /// `CHANGE_RETENTION`
    pub retention: Option<Retention>,
}

/// The time for which changes are kept at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The number of units
    pub period: i64,
    /// The unit
    pub unit: Unit,
}

/// A unit of `CHANGE_RETENTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `MINUTES`
    Minutes,
    /// `HOURS`
    Hours,
    /// `DAYS`
    Days,
}

impl Unit {
    /// Returns its number in `sys.change_tracking_databases`.
    pub fn code(self) -> i64 {
        match self {
            Unit::Minutes => 1,
            Unit::Hours => 2,
            Unit::Days => 3,
        }
    }
}

impl Retention {
    /// Returns the period in minutes.
    pub fn minutes(self) -> i64 {
        let unit = match self.unit {
            Unit::Minutes => 1,
            Unit::Hours => 60,
            Unit::Days => 1440,
        };
        self.period.saturating_mul(unit)
    }
}

/// `CHANGETABLE`
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeTable {
    /// The tracked table
    pub table: Name,
    /// The version after which its changes are wanted
    pub since: Expr,
    /// The alias, which is required
    pub alias: Option<String>,
    /// Its column names
    pub columns: Vec<String>,
}

/// The rows that an `UPDATE` or a `DELETE` is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The table or an alias of `FROM`
    pub table: Name,
    /// `FROM`
    pub from: Vec<Table>,
    /// `WHERE`
    pub filter: Option<Expr>,
}

impl Expr {
    /// Returns whether this holds for the expression or for a part of it. Subqueries are not looked into.
    pub fn any(&self, holds: &dyn Fn(&Expr) -> bool) -> bool {
        let all = |parts: &[&Expr]| parts.iter().any(|e| e.any(holds));
        let maybe = |part: &Option<Box<Expr>>| part.as_ref().is_some_and(|e| e.any(holds));
        holds(self)
            || match self {
                Expr::Unary(_, a) | Expr::Not(a) | Expr::IsNull(a, _) | Expr::Collate(a, _) | Expr::InQuery(a, ..) => {
                    all(&[a])
                }
                Expr::Binary(_, a, b) | Expr::Compare(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) => all(&[a, b]),
                Expr::Between(a, b, c, _) => all(&[a, b, c]),
                Expr::Like(a, b, c, _) => all(&[a, b]) || maybe(c),
                Expr::In(a, list, _) => all(&[a]) || list.iter().any(|e| e.any(holds)),
                Expr::Case(operand, arms, otherwise) => {
                    maybe(operand) || maybe(otherwise) || arms.iter().any(|(a, b)| all(&[a, b]))
                }
                Expr::Cast(a, _, style) => all(&[a]) || maybe(style),
                Expr::Call(call) => call.args.iter().any(|e| e.any(holds)),
                _ => false,
            }
    }
}

/// The definition behind a name that is neither a table nor a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its type in `sys.objects`: `V`, `SN` or `IF`
    pub kind: &'static str,
    /// The query, or the name that a synonym stands for
    pub text: String,
    /// Whether it replaces one that exists
    pub alters: bool,
}

/// `GRANT`, `DENY` or `REVOKE`
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    /// Whether it grants or denies, or `None` for `REVOKE`, which takes back either
    pub granted: Option<bool>,
    /// The rights, each with the columns for which it is meant
    pub rights: Vec<(String, Vec<String>)>,
    /// The class and the name of the object of the rights, or `None` for the database
    pub on: Option<(String, Name)>,
    /// The users
    pub users: Vec<String>,
}

/// All statements.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A query
    Select(Box<Query>),
    /// `INSERT`
    Insert {
        /// The table
        table: Name,
        /// Its columns
        columns: Vec<String>,
        /// The rows
        rows: Rows,
        /// `WITH` before the statement
        ctes: Vec<NamedQuery>,
    },
    /// `UPDATE`, and its `SET`
    Update(Target, Vec<Assignment>),
    /// `DELETE`
    Delete(Target),
    /// `MERGE`
    Merge(Box<Merge>),
    /// `TRUNCATE TABLE`
    Truncate(Name),
    /// `INSERT BULK`
    InsertBulk {
        /// The table
        table: Name,
        /// The columns and their types, in order of the rows to come
        columns: Vec<BulkColumn>,
        /// `KEEP_NULLS`
        keep_nulls: bool,
    },
    /// `CREATE TABLE`
    CreateTable(Name, Vec<ColumnDef>, Vec<Constraint>, Storage),
    /// `CREATE PARTITION`
    Partition(Partition),
    /// `ALTER TABLE … ADD`
    AddColumns(Name, Vec<ColumnDef>, Vec<Constraint>),
    /// `ALTER TABLE … DROP COLUMN`
    DropColumns(Name, Vec<String>, bool),
    /// `ALTER TABLE … ALTER COLUMN … ADD MASKED` or `DROP MASKED`
    SetMask(Name, String, Option<String>),
    /// `DROP TABLE`, `DROP PROCEDURE`, `DROP TYPE`, `DROP SCHEMA`; `IF EXISTS`
    Drop(&'static str, Vec<Name>, bool),
    /// `CREATE INDEX`: name, table, columns, unique
    CreateIndex(String, Name, Vec<(String, bool)>, bool),
    /// `UPDATE STATISTICS table [index]`
    UpdateStatistics(Name, Option<String>),
    /// `CREATE SCHEMA`
    CreateSchema(String),
    /// `CREATE SECURITY POLICY`: name, its filters and their tables
    CreatePolicy(Name, Vec<(String, Name)>),
    /// `CREATE VIEW`, `ALTER VIEW`, `CREATE SYNONYM`, `CREATE FUNCTION`
    CreateModule(Name, Module),
    /// `CREATE LOGIN`: name, password
    CreateLogin(String, String),
    /// `CREATE USER`: name, login
    CreateUser(String, String),
    /// `GRANT`, `DENY` or `REVOKE`
    Permission(Permission),
    /// `CREATE DATABASE`
    CreateDatabase(String),
    /// `ALTER TABLE … ENABLE CHANGE_TRACKING`, with `TRACK_COLUMNS_UPDATED`
    EnableTracking(Name, bool),
    /// `ALTER TABLE … DISABLE CHANGE_TRACKING`
    DisableTracking(Name),
    /// `ALTER DATABASE … SET`; without a name the current one
    AlterDatabase(Option<String>, Vec<DatabaseOption>),
    /// `CREATE`, `ALTER` or `CREATE OR ALTER PROCEDURE`: name, parameters, text, create allowed, alter allowed
    CreateProcedure(Name, Vec<Param>, String, bool, bool),
    /// `CREATE TYPE … AS TABLE`: name, body as written
    CreateType(Name, String),
    /// `DECLARE`
    Declare(Vec<Declared>),
    /// `SET @v = expr`
    SetVar(String, Option<&'static str>, Expr),
    /// `SET option …`
    SetOption(String, String),
    /// `SET IDENTITY_INSERT table ON`
    IdentityInsert(Name, bool),
    /// `IF`
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    /// `WHILE`
    While(Expr, Box<Stmt>),
    /// `BEGIN … END`
    Block(Vec<Stmt>),
    /// `BEGIN TRY … BEGIN CATCH …`
    Try(Vec<Stmt>, Vec<Stmt>),
    /// `BEGIN TRAN`
    Begin,
    /// `COMMIT`
    Commit,
    /// `ROLLBACK`, to a savepoint if named
    Rollback(Option<String>),
    /// `SAVE TRAN`
    Save(String),
    /// `PRINT`
    Print(Expr),
    /// `RAISERROR`: message, severity, state
    RaiseError(Expr, Expr, Expr),
    /// `THROW`
    Throw(Option<(Expr, Expr, Expr)>),
    /// `RETURN`
    Return(Option<Expr>),
    /// `EXEC procedure`: return value, name, arguments
    Exec(Option<String>, Name, Vec<Argument>),
    /// `EXEC (text)`
    ExecText(Expr),
    /// `USE`
    Use(String),
}

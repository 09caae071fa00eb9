//! The catalog views, as queries over the stand-in's catalog.

use crate::error::{SqlError, SqlResult};
use crate::sql::catalog::literal;
use crate::sql::exec::Session;
use crate::sql::storage;
use crate::value::{Clr, Ty, text};

/// A catalog view: its columns with type and nullability, and the query that gives them as `c0…`.
#[derive(Clone, Debug)]
pub struct View {
    /// Name, type, nullable
    pub columns: Vec<(&'static str, Ty, bool)>,
    /// The query
    pub sql: String,
}

const NAME: Ty = Ty::NVarChar(128);

/// Every type with its `system_type_id`.
const TYPES: [(&str, Ty); 33] = [
    ("image", Ty::Image),
    ("text", Ty::Text),
    ("uniqueidentifier", Ty::Guid),
    ("date", Ty::Date),
    ("time", Ty::Time(7)),
    ("datetime2", Ty::DateTime2(7)),
    ("datetimeoffset", Ty::DateTimeOffset(7)),
    ("tinyint", Ty::TinyInt),
    ("smallint", Ty::SmallInt),
    ("int", Ty::Int),
    ("smalldatetime", Ty::SmallDateTime),
    ("real", Ty::Real),
    ("money", Ty::Money),
    ("datetime", Ty::DateTime),
    ("float", Ty::Float),
    ("ntext", Ty::NText),
    ("bit", Ty::Bit),
    ("decimal", Ty::Decimal(38, 38)),
    ("numeric", Ty::Decimal(38, 38)),
    ("smallmoney", Ty::SmallMoney),
    ("bigint", Ty::BigInt),
    ("varbinary", Ty::VarBinary(8000)),
    ("varchar", Ty::VarChar(8000)),
    ("binary", Ty::Binary(8000)),
    ("char", Ty::Char(8000)),
    ("timestamp", Ty::RowVersion),
    ("nvarchar", Ty::NVarChar(4000)),
    ("nchar", Ty::NChar(4000)),
    ("xml", Ty::Xml),
    ("sysname", Ty::NVarChar(128)),
    ("hierarchyid", Ty::Clr(Clr::HierarchyId)),
    ("geometry", Ty::Clr(Clr::Geometry)),
    ("geography", Ty::Clr(Clr::Geography)),
];

fn type_number(name: &str, ty: Ty) -> (i64, i64) {
    match name {
        "numeric" => (108, 108),
        "sysname" => (231, 256),
        _ => (ty.system_type_id(), ty.user_type_id()),
    }
}

/// The name of a `user_type_id`.
pub fn type_name(id: Option<i64>) -> Option<&'static str> {
    let id = id?;
    TYPES
        .iter()
        .find(|(name, ty)| type_number(name, *ty).1 == id)
        .map(|(name, _)| *name)
}

fn types_sql() -> String {
    let rows: Vec<String> = TYPES
        .iter()
        .map(|(name, ty)| {
            let (system, user) = type_number(name, *ty);
            let length = if *name == "sysname" { 256 } else { ty.max_length() };
            format!(
                "SELECT {} AS c0, {system} AS c1, {user} AS c2, 4 AS c3, {length} AS c4, {} AS c5, {} AS c6, {} AS c7, 0 AS c8, 0 AS c9",
                literal(name),
                ty.precision(),
                ty.scale(),
                i64::from(*name != "sysname")
            )
        })
        .collect();
    rows.join(" UNION ALL ")
}

/// Finds a catalog view by its name: `sys.tables`, `db.sys.tables`, `INFORMATION_SCHEMA.COLUMNS`.
///
/// # Errors
/// 208 for a name in these schemas that the stand-in does not have, 911 for an unknown database.
pub fn find(session: &Session, name: &[String]) -> SqlResult<Option<View>> {
    let (db, schema, view) = match name {
        [schema, view] => (session.db.clone(), schema, view),
        [db, schema, view] if !db.is_empty() => (db.clone(), schema, view),
        _ => return Ok(None),
    };
    let system = text::same(schema, "sys");
    if !system && !text::same(schema, "INFORMATION_SCHEMA") {
        return Ok(None);
    }
    let Some(db) = crate::sql::catalog::database(session.conn(), &db)? else {
        return Err(SqlError::no_object(&name.join(".")));
    };
    if system && let Some(view) = storage::find(session, &view.to_ascii_lowercase(), &db)? {
        return Ok(Some(view));
    }
    let db = literal(&db);
    let found = if system {
        system_view(&view.to_ascii_lowercase(), &db)
    } else {
        information(&view.to_ascii_lowercase(), &db)
    };
    found.map(Some).ok_or_else(|| SqlError::no_object(&name.join(".")))
}

/// SQL for a fact of the type in `ty`, through the stand-in's function `t_type`.
fn fact(name: &str) -> String {
    format!("t_type(c.ty, '{name}', c.type_name)")
}

fn table_types(db: &str) -> String {
    format!(
        "FROM main._object o JOIN main._schema s ON s.db = o.db AND s.name = o.schema WHERE o.type = 'TT' AND o.db = {db}"
    )
}

fn system_view(view: &str, db: &str) -> Option<View> {
    let object_columns = vec![
        ("name", NAME, false),
        ("object_id", Ty::Int, false),
        ("schema_id", Ty::Int, false),
        ("type", Ty::Char(2), false),
        ("type_desc", Ty::NVarChar(60), true),
        ("create_date", Ty::DateTime, false),
        ("modify_date", Ty::DateTime, false),
        ("is_ms_shipped", Ty::Bit, false),
    ];
    let objects = |filter: &str| {
        format!(
            "SELECT o.name AS c0, o.id AS c1, s.id % 65536 AS c2, CASE o.type WHEN 'U' THEN 'U ' ELSE 'P ' END AS c3,
             CASE o.type WHEN 'U' THEN 'USER_TABLE' ELSE 'SQL_STORED_PROCEDURE' END AS c4, o.created AS c5,
             o.modified AS c6, 0 AS c7 FROM main._object o JOIN main._schema s ON s.db = o.db AND s.name = o.schema
             WHERE o.db = {db} AND o.type <> 'TT' {filter}"
        )
    };
    let in_db = format!("object_id IN (SELECT id FROM main._object WHERE db = {db})");
    Some(match view {
        "objects" | "all_objects" => View { columns: object_columns, sql: objects("") },
        "tables" => View { columns: object_columns, sql: objects("AND o.type = 'U'") },
        "procedures" => View { columns: object_columns, sql: objects("AND o.type = 'P'") },
        "views" => View { columns: object_columns, sql: objects("AND o.type = 'V'") },
        "schemas" => View {
            columns: vec![("name", NAME, false), ("schema_id", Ty::Int, false), ("principal_id", Ty::Int, true)],
            sql: format!("SELECT name AS c0, id % 65536 AS c1, 1 AS c2 FROM main._schema WHERE db = {db}"),
        },
        "databases" => View {
            columns: vec![
                ("name", NAME, false),
                ("database_id", Ty::Int, false),
                ("create_date", Ty::DateTime, false),
                ("compatibility_level", Ty::TinyInt, false),
                ("collation_name", NAME, true),
                ("state", Ty::TinyInt, true),
                ("state_desc", Ty::NVarChar(60), true),
                ("snapshot_isolation_state", Ty::TinyInt, true),
                ("snapshot_isolation_state_desc", Ty::NVarChar(60), true),
                ("is_read_committed_snapshot_on", Ty::Bit, true),
                ("is_read_only", Ty::Bit, true),
            ],
            sql: "SELECT d.name AS c0, d.id AS c1, d.created AS c2, 160 AS c3, 'SQL_Latin1_General_CP1_CI_AS' AS c4, 0 AS c5,
                  'ONLINE' AS c6, ifnull(v.snapshot, 1) AS c7, CASE WHEN ifnull(v.snapshot, 1) THEN 'ON' ELSE 'OFF' END AS c8,
                  ifnull(v.read_committed, 1) AS c9, 0 AS c10 FROM main._database d LEFT JOIN main._versioning v ON v.db = d.name"
                .to_owned(),
        },
        "types" => View {
            columns: vec![
                ("name", NAME, false),
                ("system_type_id", Ty::TinyInt, false),
                ("user_type_id", Ty::Int, false),
                ("schema_id", Ty::Int, false),
                ("max_length", Ty::SmallInt, false),
                ("precision", Ty::TinyInt, false),
                ("scale", Ty::TinyInt, false),
                ("is_nullable", Ty::Bit, true),
                ("is_user_defined", Ty::Bit, false),
                ("is_table_type", Ty::Bit, false),
            ],
            sql: format!(
                "{} UNION ALL SELECT substr(o.name, 6), 243, o.id, s.id % 65536, -1, 0, 0, 0, 1, 1 {}",
                types_sql(),
                table_types(db)
            ),
        },
        "table_types" => View {
            columns: vec![
                ("name", NAME, false),
                ("system_type_id", Ty::TinyInt, false),
                ("user_type_id", Ty::Int, false),
                ("schema_id", Ty::Int, false),
                ("is_user_defined", Ty::Bit, false),
                ("is_table_type", Ty::Bit, false),
                ("type_table_object_id", Ty::Int, false),
            ],
            sql: format!(
                "SELECT substr(o.name, 6) AS c0, 243 AS c1, o.id AS c2, s.id % 65536 AS c3, 1 AS c4, 1 AS c5, o.id AS c6 {}",
                table_types(db)
            ),
        },
        "columns" | "all_columns" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("name", NAME, true),
                ("column_id", Ty::Int, false),
                ("system_type_id", Ty::TinyInt, false),
                ("user_type_id", Ty::Int, false),
                ("max_length", Ty::SmallInt, false),
                ("precision", Ty::TinyInt, false),
                ("scale", Ty::TinyInt, false),
                ("collation_name", NAME, true),
                ("is_nullable", Ty::Bit, true),
                ("is_identity", Ty::Bit, false),
                ("is_computed", Ty::Bit, false),
                ("default_object_id", Ty::Int, false),
                ("generated_always_type", Ty::TinyInt, true),
                ("is_hidden", Ty::Bit, false),
                ("is_masked", Ty::Bit, true),
                ("is_column_set", Ty::Bit, true),
                ("encryption_type", Ty::Int, true),
            ],
            sql: format!(
                "SELECT c.object_id AS c0, c.name AS c1, c.id AS c2, {} AS c3, {} AS c4, {} AS c5, {} AS c6, {} AS c7,
                 {} AS c8, c.nullable AS c9, c.identity AS c10, c.computed IS NOT NULL AS c11,
                 CASE WHEN c.dflt IS NULL THEN 0 ELSE c.object_id + c.id END AS c12, c.period AS c13,
                 0 AS c14, 0 AS c15, 0 AS c16, NULL AS c17
                 FROM main._column c WHERE c.{in_db}",
                fact("system"),
                fact("user"),
                fact("length"),
                fact("precision"),
                fact("scale"),
                "c.collation"
            ),
        },
        "identity_columns" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("name", NAME, true),
                ("column_id", Ty::Int, false),
                ("seed_value", Ty::BigInt, true),
                ("increment_value", Ty::BigInt, true),
            ],
            sql: format!(
                "SELECT c.object_id AS c0, c.name AS c1, c.id AS c2, c.seed AS c3, c.increment AS c4
                 FROM main._column c WHERE c.identity = 1 AND c.{in_db}"
            ),
        },
        "computed_columns" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("name", NAME, true),
                ("column_id", Ty::Int, false),
                ("definition", Ty::NVarChar(crate::value::MAX), true),
                ("is_persisted", Ty::Bit, false),
            ],
            sql: format!(
                "SELECT c.object_id AS c0, c.name AS c1, c.id AS c2, '(' || c.computed || ')' AS c3, 0 AS c4
                 FROM main._column c WHERE c.computed IS NOT NULL AND c.{in_db}"
            ),
        },
        "default_constraints" => View {
            columns: vec![
                ("name", NAME, false),
                ("parent_object_id", Ty::Int, false),
                ("parent_column_id", Ty::Int, false),
                ("definition", Ty::NVarChar(crate::value::MAX), true),
            ],
            sql: format!(
                "SELECT c.dflt_name AS c0, c.object_id AS c1, c.id AS c2, '(' || c.dflt || ')' AS c3
                 FROM main._column c WHERE c.dflt IS NOT NULL AND c.{in_db}"
            ),
        },
        "parameters" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("name", NAME, true),
                ("parameter_id", Ty::Int, false),
                ("system_type_id", Ty::TinyInt, false),
                ("user_type_id", Ty::Int, false),
                ("max_length", Ty::SmallInt, false),
                ("precision", Ty::TinyInt, false),
                ("scale", Ty::TinyInt, false),
                ("is_output", Ty::Bit, false),
                ("has_default_value", Ty::Bit, false),
                ("is_readonly", Ty::Bit, false),
            ],
            sql: format!(
                "SELECT c.object_id AS c0, '@' || c.name AS c1, c.id AS c2,
                 CASE WHEN c.table_type IS NULL THEN {} ELSE 243 END AS c3, coalesce(c.table_type, {}) AS c4,
                 CASE WHEN c.table_type IS NULL THEN {} ELSE -1 END AS c5, {} AS c6, {} AS c7,
                 c.output AS c8, 0 AS c9, c.table_type IS NOT NULL AS c10 FROM (SELECT *, '' AS type_name FROM main._parameter) c WHERE c.{in_db}",
                fact("system"),
                fact("user"),
                fact("length"),
                fact("precision"),
                fact("scale")
            ),
        },
        "indexes" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("name", NAME, true),
                ("index_id", Ty::Int, false),
                ("type", Ty::TinyInt, false),
                ("type_desc", Ty::NVarChar(60), true),
                ("is_unique", Ty::Bit, true),
                ("is_primary_key", Ty::Bit, true),
                ("is_unique_constraint", Ty::Bit, true),
                ("is_disabled", Ty::Bit, true),
                ("has_filter", Ty::Bit, false),
            ],
            sql: format!(
                "SELECT object_id AS c0, name AS c1, id AS c2, CASE WHEN prim THEN 1 ELSE 2 END AS c3,
                 CASE WHEN prim THEN 'CLUSTERED' ELSE 'NONCLUSTERED' END AS c4, uniq AS c5, prim AS c6,
                 cons AND NOT prim AS c7, 0 AS c8, 0 AS c9 FROM main._index WHERE {in_db}"
            ),
        },
        // Those of the indexes; the stand-in makes no others.
        "stats" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("name", NAME, true),
                ("stats_id", Ty::Int, false),
                ("auto_created", Ty::Bit, true),
                ("user_created", Ty::Bit, true),
                ("no_recompute", Ty::Bit, true),
                ("has_filter", Ty::Bit, true),
                ("filter_definition", Ty::NVarChar(crate::value::MAX), true),
                ("is_temporary", Ty::Bit, true),
                ("is_incremental", Ty::Bit, true),
            ],
            sql: format!(
                "SELECT object_id AS c0, name AS c1, id AS c2, 0 AS c3, 0 AS c4, 0 AS c5, 0 AS c6, NULL AS c7, 0 AS c8, 0 AS c9
                 FROM main._index WHERE {in_db}"
            ),
        },
        "stats_columns" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("stats_id", Ty::Int, false),
                ("stats_column_id", Ty::Int, true),
                ("column_id", Ty::Int, false),
            ],
            sql: format!(
                "WITH RECURSIVE k(object_id, id, rest, name, n) AS (
                   SELECT object_id, id, columns || char(10), NULL, 0 FROM main._index WHERE {in_db}
                   UNION ALL SELECT object_id, id, substr(rest, instr(rest, char(10)) + 1),
                     substr(rest, 1, instr(rest, char(10)) - 1), n + 1 FROM k WHERE rest <> '')
                 SELECT k.object_id AS c0, k.id AS c1, k.n AS c2, c.id AS c3
                 FROM k JOIN main._column c ON c.object_id = k.object_id AND c.name = k.name WHERE k.n > 0"
            ),
        },
        "index_columns" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("index_id", Ty::Int, false),
                ("index_column_id", Ty::Int, false),
                ("column_id", Ty::Int, false),
                ("key_ordinal", Ty::TinyInt, false),
                ("is_descending_key", Ty::Bit, true),
                ("is_included_column", Ty::Bit, true),
            ],
            sql: format!(
                "WITH RECURSIVE k(object_id, id, rest, name, n) AS (
                   SELECT object_id, id, columns || char(10), NULL, 0 FROM main._index WHERE {in_db}
                   UNION ALL SELECT object_id, id, substr(rest, instr(rest, char(10)) + 1),
                     substr(rest, 1, instr(rest, char(10)) - 1), n + 1 FROM k WHERE rest <> '')
                 SELECT k.object_id AS c0, k.id AS c1, k.n AS c2, c.id AS c3, k.n AS c4, 0 AS c5, 0 AS c6
                 FROM k JOIN main._column c ON c.object_id = k.object_id AND c.name = k.name WHERE k.n > 0"
            ),
        },
        "key_constraints" => View {
            columns: vec![
                ("name", NAME, false),
                ("parent_object_id", Ty::Int, false),
                ("type", Ty::Char(2), true),
                ("unique_index_id", Ty::Int, true),
            ],
            sql: format!(
                "SELECT name AS c0, object_id AS c1, CASE WHEN prim THEN 'PK' ELSE 'UQ' END AS c2, id AS c3
                 FROM main._index WHERE cons = 1 AND {in_db}"
            ),
        },
        "sql_modules" => View {
            columns: vec![("object_id", Ty::Int, false), ("definition", Ty::NVarChar(crate::value::MAX), true)],
            sql: format!("SELECT id AS c0, definition AS c1 FROM main._object WHERE type = 'P' AND db = {db}"),
        },
        "change_tracking_tables" => View {
            columns: vec![
                ("object_id", Ty::Int, false),
                ("is_track_columns_updated_on", Ty::Bit, false),
                ("min_valid_version", Ty::BigInt, true),
                ("begin_version", Ty::BigInt, true),
                ("cleanup_version", Ty::BigInt, true),
            ],
            sql: format!(
                "SELECT t.table_id AS c0, t.columns AS c1, v.min_valid AS c2, v.begin_version AS c3, v.cleanup AS c4
                 FROM main._ct_table t JOIN main._object o ON o.id = t.table_id AND o.db = {db}
                 JOIN main._ct_valid v ON v.id = (SELECT max(id) FROM main._ct_valid WHERE table_id = t.table_id)"
            ),
        },
        "change_tracking_databases" => View {
            columns: vec![
                ("database_id", Ty::Int, false),
                ("is_auto_cleanup_on", Ty::Bit, true),
                ("retention_period", Ty::Int, true),
                ("retention_period_units", Ty::TinyInt, true),
                ("retention_period_units_desc", Ty::NVarChar(60), true),
                ("max_cleanup_version", Ty::BigInt, true),
            ],
            sql: "SELECT d.id AS c0, c.auto_cleanup AS c1, c.period AS c2, c.unit AS c3,
                  CASE c.unit WHEN 1 THEN 'MINUTES' WHEN 2 THEN 'HOURS' ELSE 'DAYS' END AS c4, NULL AS c5
                  FROM main._ct_database c JOIN main._database d ON d.name = c.db WHERE c.enabled = 1"
                .to_owned(),
        },
        _ => return None,
    })
}

fn information(view: &str, db: &str) -> Option<View> {
    Some(match view {
        "tables" => View {
            columns: vec![
                ("TABLE_CATALOG", NAME, true),
                ("TABLE_SCHEMA", NAME, true),
                ("TABLE_NAME", NAME, false),
                ("TABLE_TYPE", Ty::VarChar(10), true),
            ],
            sql: format!(
                "SELECT db AS c0, schema AS c1, name AS c2, 'BASE TABLE' AS c3 FROM main._object WHERE type = 'U' AND db = {db}"
            ),
        },
        "schemata" => View {
            columns: vec![("CATALOG_NAME", NAME, true), ("SCHEMA_NAME", NAME, false)],
            sql: format!("SELECT db AS c0, name AS c1 FROM main._schema WHERE db = {db}"),
        },
        "routines" => View {
            columns: vec![
                ("ROUTINE_CATALOG", NAME, true),
                ("ROUTINE_SCHEMA", NAME, true),
                ("ROUTINE_NAME", NAME, false),
                ("ROUTINE_TYPE", Ty::NVarChar(20), true),
            ],
            sql: format!(
                "SELECT db AS c0, schema AS c1, name AS c2, 'PROCEDURE' AS c3 FROM main._object WHERE type = 'P' AND db = {db}"
            ),
        },
        "columns" => View {
            columns: vec![
                ("TABLE_CATALOG", NAME, true),
                ("TABLE_SCHEMA", NAME, true),
                ("TABLE_NAME", NAME, false),
                ("COLUMN_NAME", NAME, true),
                ("ORDINAL_POSITION", Ty::Int, true),
                ("COLUMN_DEFAULT", Ty::NVarChar(4000), true),
                ("IS_NULLABLE", Ty::VarChar(3), true),
                ("DATA_TYPE", NAME, true),
                ("CHARACTER_MAXIMUM_LENGTH", Ty::Int, true),
                ("CHARACTER_OCTET_LENGTH", Ty::Int, true),
                ("NUMERIC_PRECISION", Ty::TinyInt, true),
                ("NUMERIC_SCALE", Ty::Int, true),
                ("DATETIME_PRECISION", Ty::SmallInt, true),
                ("CHARACTER_SET_NAME", NAME, true),
                ("COLLATION_NAME", NAME, true),
            ],
            sql: format!(
                "SELECT o.db AS c0, o.schema AS c1, o.name AS c2, c.name AS c3, c.id AS c4,
                 CASE WHEN c.dflt IS NOT NULL THEN '(' || c.dflt || ')' END AS c5,
                 CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS c6, {} AS c7, {} AS c8, {} AS c9, {} AS c10, {} AS c11,
                 {} AS c12, {} AS c13, {} AS c14
                 FROM main._column c JOIN main._object o ON o.id = c.object_id WHERE o.type = 'U' AND o.db = {db}",
                fact("name"),
                fact("characters"),
                fact("octets"),
                fact("numeric_precision"),
                fact("numeric_scale"),
                fact("datetime_precision"),
                fact("charset"),
                "c.collation"
            ),
        },
        _ => return None,
    })
}

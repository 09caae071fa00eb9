//! The catalog views: their columns and the SQLite queries behind them.

use super::catalog::{self, literal};
use super::exec::Session;
use super::{parser, storage};
use crate::clock::ZONES;
use crate::error::{SqlError, SqlResult};
use crate::locks::locked;
use crate::value::{Ty, text, ty};

/// A catalog view.
#[derive(Clone, Debug)]
pub struct View {
    /// Its columns: the name, the type, and whether they can be NULL.
    pub columns: Vec<(String, Ty, bool)>,
    /// The query, whose columns are named `c0`, `c1` and so on.
    pub sql: String,
}

/// Returns a view of the schema `sys`, or `None` for a name in another schema. Fails with 208 for an unknown one.
pub fn find(session: &Session, name: &[String]) -> SqlResult<Option<View>> {
    let conn = session.conn();
    let (db, view) = match name {
        [schema, view] if text::same(schema, "sys") => (session.db.as_str(), view),
        [db, schema, view] if text::same(schema, "sys") && !db.is_empty() => (db.as_str(), view),
        _ => return Ok(None),
    };
    let unknown = || SqlError::no_object(&name.join("."));
    let db = catalog::database(conn, db)?.ok_or_else(unknown)?;
    // There are no system tables, whose columns this view would have besides.
    let view = if text::same(view, "all_columns") {
        "columns"
    } else {
        view.as_str()
    };
    let found = VIEWS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(view));
    let (_, columns, sql) = found.ok_or_else(unknown)?;
    let (columns, _) = parser::table_body(columns)?;
    let columns: Vec<(String, Ty, bool)> = columns
        .into_iter()
        .map(|c| (c.name, c.ty.unwrap_or(Ty::Int), c.nullable == Some(true)))
        .collect();
    let mut sql = sql
        .replace("{objects}", OBJECTS)
        .replace("{keys}", KEYS)
        .replace("{parts}", PARTS);
    if sql.contains("{types}") {
        sql = sql.replace("{types}", &types());
    }
    if sql.contains("{zones}") {
        sql = sql.replace("{zones}", &zones(session));
    }
    if sql.contains("{sizes}") {
        sql = sql.replace("{sizes}", &storage::sizes(conn, &db)?);
    }
    sql = sql
        .replace("{here}", IN_DATABASE)
        .replace("{visible}", &session.visible());
    sql = sql.replace("{db}", &literal(&db));
    let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let names = names.join(", ");
    Ok(Some(View {
        columns,
        sql: format!("WITH v({names}) AS ({sql}) SELECT {names} FROM v"),
    }))
}

/// Returns the types as rows of `sys.types`.
fn types() -> String {
    let rows = ty::named().map(|(name, system, user, length, ty)| {
        let nullable = i64::from(name != "sysname");
        let (precision, scale) = (ty.precision(), ty.scale());
        format!(
            "SELECT {}, {system}, {user}, 4, {length}, {precision}, {scale}, {nullable}, 0, 0",
            literal(name)
        )
    });
    rows.collect::<Vec<_>>().join(" UNION ALL ")
}

/// Returns the time zones as rows of `sys.time_zone_info`.
fn zones(session: &Session) -> String {
    let now = locked(&session.engine.clock).now();
    let rows = ZONES.iter().map(|zone| {
        let offset = zone.offset(now);
        let (name, is_summer) = (literal(zone.name), i64::from(offset != zone.standard));
        let (sign, hours, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60);
        format!("SELECT {name}, '{sign}{hours:02}:{minutes:02}', {is_summer}")
    });
    rows.collect::<Vec<_>>().join(" UNION ALL ")
}

const IN_DATABASE: &str = "object_id IN (SELECT o.id FROM main._object o WHERE o.db = {db}{visible})";

const OBJECTS: &str = "
    SELECT o.name, o.id, s.id % 65536, substr(o.type || ' ', 1, 2), CASE o.type WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW'
      WHEN 'SN' THEN 'SYNONYM' WHEN 'IF' THEN 'SQL_INLINE_TABLE_VALUED_FUNCTION' WHEN 'FN' THEN 'SQL_SCALAR_FUNCTION' WHEN 'SP' THEN 'SECURITY_POLICY' ELSE 'SQL_STORED_PROCEDURE' END, o.created, o.modified, 0
    FROM main._object o JOIN main._schema s ON s.db = o.db AND s.name = o.schema WHERE o.db = {db} AND o.type <> 'TT'{visible}";

/// The key columns of indexes: object, index, position, column.
const KEYS: &str = "
    (WITH RECURSIVE k(object_id, id, rest, name, n) AS (
       SELECT object_id, id, columns || char(10), NULL, 0 FROM main._index WHERE {here}
       UNION ALL SELECT object_id, id, substr(rest, instr(rest, char(10)) + 1), substr(rest, 1, instr(rest, char(10)) - 1), n + 1
       FROM k WHERE rest <> '')
     SELECT k.object_id, k.id, k.n, c.id AS column_id
     FROM k JOIN main._column c ON c.object_id = k.object_id AND c.name = k.name WHERE k.n > 0)";

/// The columns by which tables are partitioned. Their indexes are aligned with them.
const PARTS: &str = "(SELECT c.object_id, c.id, c.name FROM main._storage s JOIN main._column c ON c.object_id = s.object_id AND c.name = s.part)";

const OBJECT_COLUMNS: &str = "(name sysname, object_id int, schema_id int, type char(2), type_desc nvarchar(60) NULL,
    create_date datetime, modify_date datetime, is_ms_shipped bit)";

/// The name of each view, its columns, and its query.
const VIEWS: [(&str, &str, &str); 22] = [
    (
        "external_tables",
        "(name sysname, object_id int)",
        "SELECT o.name, o.id FROM main._object o JOIN main._storage k ON k.object_id = o.id
         WHERE k.external AND o.db = {db}{visible}",
    ),
    ("objects", OBJECT_COLUMNS, "{objects}"),
    (
        "tables",
        "(name sysname, object_id int, schema_id int, type char(2), type_desc nvarchar(60) NULL, create_date datetime,
          modify_date datetime, is_ms_shipped bit, temporal_type tinyint NULL, history_table_id int NULL)",
        "SELECT v.*, CASE WHEN k.history THEN 2 ELSE EXISTS(SELECT 1 FROM main._storage h WHERE h.history = v.id) END, k.history
         FROM ({objects} AND o.type = 'U') v LEFT JOIN main._storage k ON k.object_id = v.id",
    ),
    (
        "schemas",
        "(name sysname, schema_id int, principal_id int NULL)",
        "SELECT name, id % 65536, 1 FROM main._schema WHERE db = {db}",
    ),
    (
        "databases",
        "(name sysname, database_id int, create_date datetime, compatibility_level tinyint, collation_name sysname NULL,
          state tinyint NULL, state_desc nvarchar(60) NULL, snapshot_isolation_state tinyint NULL,
          snapshot_isolation_state_desc nvarchar(60) NULL, is_read_committed_snapshot_on bit NULL, is_read_only bit NULL, is_in_standby bit NULL,
          source_database_id int NULL)",
        // As in Azure, the numbers of databases need not be those of DB_ID().
        "SELECT d.name, d.id + CASE WHEN d.id > 4 THEN 100 ELSE 0 END, d.created, 160, 'SQL_Latin1_General_CP1_CI_AS', 0, 'ONLINE', ifnull(v.snapshot, 1),
           CASE WHEN ifnull(v.snapshot, 1) THEN 'ON' ELSE 'OFF' END, ifnull(v.read_committed, 1), d.read_only <> 0, 0,
           CASE WHEN d.read_only = 2 THEN 1 END
         FROM main._database d LEFT JOIN main._versioning v ON v.db = d.name",
    ),
    (
        "default_constraints",
        "(name sysname, parent_object_id int, parent_column_id int, definition nvarchar(max) NULL)",
        "SELECT dflt_name, object_id, id, '(' || dflt || ')' FROM main._column WHERE dflt IS NOT NULL AND {here}",
    ),
    (
        "types",
        "(name sysname, system_type_id tinyint, user_type_id int, schema_id int, max_length smallint, [precision] tinyint,
          scale tinyint, is_nullable bit NULL, is_user_defined bit, is_table_type bit)",
        "{types} UNION ALL SELECT substr(o.name, 6), 243, o.id, s.id % 65536, -1, 0, 0, 0, 1, 1
         FROM main._object o JOIN main._schema s ON s.db = o.db AND s.name = o.schema WHERE o.type = 'TT' AND o.db = {db}",
    ),
    (
        "table_types",
        "(name sysname, system_type_id tinyint, user_type_id int, schema_id int, is_user_defined bit, is_table_type bit,
          type_table_object_id int)",
        "SELECT substr(o.name, 6), 243, o.id, s.id % 65536, 1, 1, o.id
         FROM main._object o JOIN main._schema s ON s.db = o.db AND s.name = o.schema WHERE o.type = 'TT' AND o.db = {db}",
    ),
    (
        "columns",
        "(object_id int, name sysname NULL, column_id int, system_type_id tinyint, user_type_id int, max_length smallint,
          [precision] tinyint, scale tinyint, collation_name sysname NULL, is_nullable bit NULL, is_identity bit, is_computed bit,
          default_object_id int, generated_always_type tinyint NULL, is_hidden bit, is_masked bit NULL, is_column_set bit NULL,
          encryption_type int NULL)",
        "SELECT object_id, name, id, t_type(ty, 'system', type_name), t_type(ty, 'user', type_name),
           t_type(ty, 'length', type_name), t_type(ty, 'precision', type_name), t_type(ty, 'scale', type_name), collation, nullable,
           identity, computed IS NOT NULL AND special = 0, CASE WHEN dflt IS NULL THEN 0 ELSE object_id + id END, period, hidden,
           mask IS NOT NULL, special = 1, CASE special WHEN 2 THEN 1 END
         FROM main._column WHERE {here}",
    ),
    (
        "security_policies",
        "(name sysname, object_id int, schema_id int, is_enabled bit)",
        "SELECT o.name, o.id, 1, 1 FROM main._object o WHERE o.type = 'SP' AND o.db = {db}{visible}",
    ),
    (
        "security_predicates",
        "(object_id int, target_object_id int, predicate_definition nvarchar(max), predicate_type int)",
        "SELECT object_id, target, '(' || definition || ')', 0 FROM main._predicate WHERE {here}",
    ),
    (
        "time_zone_info",
        "(name sysname, current_utc_offset nvarchar(12), is_currently_dst bit)",
        "{zones}",
    ),
    (
        "synonyms",
        "(name sysname, object_id int, schema_id int, base_object_name nvarchar(1035) NULL)",
        "SELECT o.name, o.id, 0, o.definition FROM main._object o WHERE o.type = 'SN' AND o.db = {db}{visible}",
    ),
    (
        "parameters",
        "(object_id int, name sysname NULL, parameter_id int, system_type_id tinyint, user_type_id int, max_length smallint,
          [precision] tinyint, scale tinyint, is_output bit, has_default_value bit, is_readonly bit)",
        "SELECT object_id, '@' || name, id, CASE WHEN table_type IS NULL THEN t_type(ty, 'system', '') ELSE 243 END,
           coalesce(table_type, t_type(ty, 'user', '')), CASE WHEN table_type IS NULL THEN t_type(ty, 'length', '') ELSE -1 END,
           t_type(ty, 'precision', ''), t_type(ty, 'scale', ''), output, 0, table_type IS NOT NULL
         FROM main._parameter WHERE {here}",
    ),
    (
        "indexes",
        "(object_id int, name sysname NULL, index_id int, type tinyint, type_desc nvarchar(60) NULL, is_unique bit NULL,
          is_primary_key bit NULL, is_unique_constraint bit NULL, is_disabled bit NULL, has_filter bit)",
        "SELECT object_id, name, id, CASE WHEN prim THEN 1 ELSE 2 END, CASE WHEN prim THEN 'CLUSTERED' ELSE 'NONCLUSTERED' END,
           uniq, prim, cons AND NOT prim, 0, 0 FROM main._index WHERE {here}",
    ),
    (
        "index_columns",
        "(object_id int, index_id int, index_column_id int, column_id int, key_ordinal tinyint, is_descending_key bit NULL,
          is_included_column bit NULL, partition_ordinal tinyint)",
        "SELECT k.object_id, k.id, n, column_id, n, 0, 0, EXISTS(SELECT 1 FROM {parts} p WHERE p.object_id = k.object_id AND p.id = column_id)
         FROM {keys} k UNION ALL SELECT i.object_id, i.id, 100, p.id, 0, 0, 1, 1 FROM main._index i JOIN {parts} p ON p.object_id = i.object_id
         WHERE instr(char(10) || i.columns || char(10), char(10) || p.name || char(10)) = 0 AND i.{here}",
    ),
    (
        "stats",
        "(object_id int, name sysname NULL, stats_id int, auto_created bit NULL, user_created bit NULL, no_recompute bit NULL,
          has_filter bit NULL, filter_definition nvarchar(max) NULL, is_temporary bit NULL, is_incremental bit NULL)",
        "SELECT object_id, name, id, 0, 0, 0, 0, NULL, 0, 0 FROM main._index WHERE {here}",
    ),
    (
        "stats_columns",
        "(object_id int, stats_id int, stats_column_id int NULL, column_id int)",
        "SELECT object_id, id, n, column_id FROM {keys}",
    ),
    (
        "partitions",
        "(partition_id bigint, object_id int, index_id int, partition_number int, hobt_id bigint, rows bigint NULL)",
        "SELECT container, id, index_id, number, container, rows FROM {sizes}",
    ),
    (
        "allocation_units",
        "(allocation_unit_id bigint, type tinyint, type_desc nvarchar(60) NULL, container_id bigint, total_pages bigint,
          used_pages bigint, data_pages bigint)",
        "SELECT container, 1, 'IN_ROW_DATA', container, pages + 2, pages + 1, pages FROM {sizes}",
    ),
    (
        "change_tracking_tables",
        "(object_id int, is_track_columns_updated_on bit, min_valid_version bigint NULL, begin_version bigint NULL,
          cleanup_version bigint NULL)",
        "SELECT t.table_id, t.columns, v.min_valid, v.begin_version, v.cleanup
         FROM main._ct_table t JOIN main._object o ON o.id = t.table_id AND o.db = {db}{visible}
         JOIN main._ct_valid v ON v.id = (SELECT max(id) FROM main._ct_valid WHERE table_id = t.table_id)",
    ),
    (
        "change_tracking_databases",
        "(database_id int, is_auto_cleanup_on bit NULL, retention_period int NULL, retention_period_units tinyint NULL,
          retention_period_units_desc nvarchar(60) NULL, max_cleanup_version bigint NULL)",
        "SELECT d.id, c.auto_cleanup, c.period, c.unit, CASE c.unit WHEN 1 THEN 'MINUTES' WHEN 2 THEN 'HOURS' ELSE 'DAYS' END, NULL
         FROM main._ct_database c JOIN main._database d ON d.name = c.db WHERE c.enabled = 1",
    ),
];

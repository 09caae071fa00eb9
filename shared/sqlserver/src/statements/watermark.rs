//! The statements of watermark tracking: how far a column has grown, and the rows of an interval of it.

use tidemark::error::Result;
use tidemark::model::predicate::Predicate;
use tidemark::model::rows::Interval;
use tidemark::model::table::Clock;
use tidemark::model::types::Column;
use tidemark::model::watermark::{Watermark, WatermarkKind};
use tidemark::ports::source::WatermarkColumn;

use super::conversions::cast;
use super::query::{Query, Values, and, key_conditions, selected};
use super::statement::{IS_REPLICA, Quoted, Statement};
use crate::types::{ServerClock, SqlType};

/// The distance that a window keeps from the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BehindClock {
    /// The window ends at the clock.
    No,
    /// The window ends one hour before the wall clock, because that is about to show an hour for a second time, or has just
    /// begun to.
    OneHour,
}

/// Asks for one row with these values:
///
/// - `new_watermark`: the greatest watermark of the whole table, whichever rows are copied, so that the window also
///   passes rows that are not, and a row that is no longer copied causes no regression. In a time column it is not
///   above the server's clock.
/// - `ordering`: 1, 0 or -1, as `new_watermark` is greater than, equal to or less than `old`.
/// - `future_rows` and `null_rows`: of the rows that are copied, those later than the server's clock, and those without
///   a watermark.
/// - `held_back`: 0.
///
/// With an old watermark, the rows from it on are asked first, and all rows only when there is none: the maximum of an
/// index that is divided among partitions by another column is found by reading all of it
/// (<https://support.microsoft.com/en-us/help/2965553>), while the rows from a value on are sought in each partition.
///
/// While the window stays behind the clock, its maximum may be below `old`, which was read before; that counts
/// as equal.
pub(crate) fn growth(column: &WatermarkColumn<'_>, old: Option<&Watermark>, behind: BehindClock) -> Result<Statement> {
    let sql_type = SqlType::of(column.sql_type)?;
    let (name, table) = (column.name.quoted(), column.table.quoted());
    let below_clock = below_clock(&name, sql_type, column.clock, behind);
    let below = |word: &str| {
        let below = below_clock.as_ref();
        below.map_or_else(String::new, |condition| format!(" {word} {condition}"))
    };
    let future = sql_type
        .clock(column.clock)
        .map(|clock| format!("{name} > {}", cast(now(clock), sql_type)));
    let counts = format!(
        "{} AS [future_rows], {} AS [null_rows], {NONE} AS [held_back]",
        rows_where(column, future),
        null_rows(column)
    );
    let mut values = Values::default();
    let of_all = format!("MAX({name}) AS [new_watermark] FROM {table}{}", below("WHERE"));
    let Some(old) = old else {
        let sql = format!("SELECT [m].[new_watermark], 1 AS [ordering], {counts} FROM (SELECT {of_all}) AS [m]");
        return Ok(values.statement(&sql));
    };
    let bound = values.bound_of(sql_type, old)?;
    values.declare(&format!("@New {}", sql_type.of_variable()));
    let regressed = match behind {
        BehindClock::No => -1,
        BehindClock::OneHour => 0,
    };
    let greatest = format!("SELECT @New = MAX({name}) FROM {table}");
    let sql = format!(
        "{greatest} WHERE {name} >= {bound}{} OPTION (RECOMPILE); IF @New IS NULL {greatest}{}; \
         SELECT @New AS [new_watermark], \
         CASE WHEN @New > {bound} THEN 1 WHEN @New < {bound} THEN {regressed} ELSE 0 END AS [ordering], {counts}",
        below("AND"),
        below("WHERE")
    );
    Ok(values.statement(&sql))
}

/// Writes the server's clock.
const fn now(clock: ServerClock) -> &'static str {
    match clock {
        ServerClock::Utc => "SYSUTCDATETIME()",
        ServerClock::Local => "SYSDATETIME()",
        ServerClock::WithOffset => "SYSDATETIMEOFFSET()",
    }
}

/// Writes the condition that keeps a watermark below the server's clock, or nothing when its type is not a time.
///
/// A window that stays an hour behind is kept behind the wall clock, and also below the clock that is asked for where that is
/// another one.
fn below_clock(name: &str, sql_type: SqlType, clock: Clock, behind: BehindClock) -> Option<String> {
    let below = sql_type.below_clock(clock)?;
    let operator = if below.includes_it { "<=" } else { "<" };
    let below_it = |clock: ServerClock, behind: BehindClock| {
        let mut bound = now(clock).to_owned();
        if behind == BehindClock::OneHour {
            bound = format!("DATEADD(hour, -1, {bound})");
        }
        if below.minus_secs > 0 {
            bound = format!("DATEADD(second, -{}, {bound})", below.minus_secs);
        }
        format!("{name} {operator} {}", cast(&bound, sql_type))
    };
    let is_local = below.clock == ServerClock::Local;
    if is_local || (behind == BehindClock::No && !below.also_local) {
        return Some(below_it(below.clock, behind));
    }
    let (asked_for, wall) = (
        below_it(below.clock, BehindClock::No),
        below_it(ServerClock::Local, behind),
    );
    Some(format!("{asked_for} AND {wall}"))
}

/// Asks for one row: 1, 0 or -1, as the first of two watermarks of one type is greater than, equal to or less than the
/// second.
pub(crate) fn ordering(one: &Watermark, other: &Watermark) -> Result<Statement> {
    let mut values = Values::default();
    let (one, other) = (values.bound(one)?, values.bound(other)?);
    Ok(values.statement(&format!(
        "SELECT CASE WHEN {one} > {other} THEN 1 WHEN {one} < {other} THEN -1 ELSE 0 END AS [ordering]"
    )))
}

/// The expression for no rows, where other statements count some.
const NONE: &str = "CAST(0 AS bigint)";

/// Returns the expression that counts the rows whose watermark is NULL.
fn null_rows(column: &WatermarkColumn<'_>) -> String {
    let is_null = column.nullable.then(|| format!("{} IS NULL", column.name.quoted()));
    rows_where(column, is_null)
}

/// Returns the expression that counts the rows that are copied and for which the condition holds. Without a condition
/// it is 0.
fn rows_where(column: &WatermarkColumn<'_>, condition: Option<String>) -> String {
    condition.map_or_else(
        || NONE.to_owned(),
        |condition| {
            let (table, filter) = (column.table.quoted(), and(column.filter));
            format!("(SELECT COUNT_BIG(*) FROM {table} WHERE {condition}{filter})")
        },
    )
}

/// Asks for one row: 1 when the server's wall clock may go back within three hours, as it does at the end of summer
/// time, or has done so within the last two, else 0. It may have when some time zone has the server's present difference
/// from UTC, and a smaller one in three hours than two hours ago.
///
/// The hour that comes twice is dangerous while it comes for the second time, too: rows that were stamped in it before
/// are then later than the wall clock, and only a column that is compared with that clock is kept from passing the rows that
/// are stamped below them.
///
/// Before SQL Server 2022 the server does not tell its time zone, so all zones with the same difference are considered
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-time-zone-info-transact-sql>).
pub(crate) fn clock_goes_back() -> Statement {
    Statement::new(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sys.time_zone_info AS [z] \
         WHERE DATEPART(tzoffset, SYSDATETIMEOFFSET() AT TIME ZONE [z].[name]) = DATEPART(tzoffset, SYSDATETIMEOFFSET()) \
         AND DATEPART(tzoffset, DATEADD(hour, 3, SYSDATETIMEOFFSET()) AT TIME ZONE [z].[name]) \
         < DATEPART(tzoffset, DATEADD(hour, -2, SYSDATETIMEOFFSET()) AT TIME ZONE [z].[name])) THEN 1 ELSE 0 END AS [answer]",
    )
}

/// Asks for one row like that of [`growth`], for a column of row versions. `new_watermark` is the lowest version that a
/// transaction in progress uses, or the next version. `ordering` is 1 when the table has rows from `old` to below it, 0
/// when it has none, and -1 when it is below `old`. `held_back` is 1 when the last used version is not below it. Two more
/// values say whether the version is that of the rows: `is_replica` of [`IS_REPLICA`], and `stays_here` of
/// [`super::catalog::stays_here`].
///
/// The version is read in a statement of its own, before the rows that it bounds
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/min-active-rowversion-transact-sql>).
pub(crate) fn row_version_growth(column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Statement> {
    let (name, table) = (column.name.quoted(), column.table.quoted());
    let mut values = Values::default();
    // This is read first: a version that was used after reading `@New` would look like one that is held back.
    values.declare("@Used binary(8) = @@DBTS");
    values.declare("@New binary(8) = MIN_ACTIVE_ROWVERSION()");
    let object = values.text(&table);
    let (mut regressed, mut above) = (String::new(), String::new());
    if let Some(old) = old {
        let old_bound = values.bound(old)?;
        regressed = format!("WHEN @New < {old_bound} THEN -1 ");
        above = format!("{name} >= {old_bound} AND ");
    }
    let sql = format!(
        "SELECT @New AS [new_watermark], \
         CASE {regressed}WHEN EXISTS (SELECT 1 FROM {table} WHERE {above}{name} < @New) THEN 1 ELSE 0 END AS [ordering], \
         {NONE} AS [future_rows], {} AS [null_rows], CAST(CASE WHEN @Used >= @New THEN 1 ELSE 0 END AS bigint) AS [held_back], \
         {IS_REPLICA} AS [is_replica], {} AS [stays_here]",
        null_rows(column),
        super::catalog::is_here(&object)
    );
    Ok(values.statement(&sql))
}

/// Selects the rows of an interval with these columns.
pub(super) fn rows(interval: &Interval<'_>, columns: &[Column]) -> Result<Statement> {
    let columns = columns.iter().map(|column| selected(None, column));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    select(interval, &columns.join(", ")).map(Query::finished)
}

/// Selects `what` from the rows of an interval.
pub(super) fn select(interval: &Interval<'_>, what: &str) -> Result<Query> {
    let column = interval.column.quoted();
    let (above, below) = match SqlType::of(interval.new.sql_type())?.watermark_kind() {
        Some(WatermarkKind::Exact) => (">=", if interval.closed.new_watermark { "<=" } else { "<" }),
        _ => (if interval.closed.old_watermark { ">=" } else { ">" }, "<="),
    };
    let mut values = Values::default();
    let from = match interval.old {
        Some(old) => format!("{column} {above} {} AND ", values.bound(old)?),
        None => String::new(),
    };
    let mut condition = format!("{from}{column} {below} {}", values.bound(interval.new)?);
    if interval.with_nulls {
        condition = format!("({condition} OR {column} IS NULL)");
    }
    let mut conditions = vec![condition];
    if let Some(range) = interval.key {
        conditions.extend(key_conditions(&range.column.quoted(), range, &mut values)?);
    }
    conditions.extend(interval.filter.map(Predicate::in_parentheses));
    let sql = format!(
        "SELECT {what} FROM {} WHERE {}",
        interval.table.quoted(),
        conditions.join(" AND ")
    );
    Ok(Query { sql, values })
}

#[cfg(test)]
mod tests {
    use tidemark::error::ErrorCode;
    use tidemark::model::names::{Identifier, ObjectName};
    use tidemark::model::types::{Form, TypeName};
    use tidemark::model::values::Values;

    use super::super::count;
    use super::*;

    fn watermark(sql_type: &str, text: &str) -> Watermark {
        SqlType::of(&TypeName::new(sql_type).unwrap())
            .unwrap()
            .watermark(text)
            .unwrap()
    }

    fn column(name: &str, sql_type: &str) -> Column {
        Column {
            name: name.into(),
            sql_type: TypeName::new(sql_type).unwrap(),
            form: Form::Text,
            nullable: false,
            values: Values::OfSource,
        }
    }

    struct Probe {
        table: ObjectName,
        name: Identifier,
        sql_type: TypeName,
        nullable: bool,
    }

    impl Probe {
        fn new(table: &str, name: &str, sql_type: &str, nullable: bool) -> Self {
            Self {
                table: table.parse().unwrap(),
                name: Identifier::new(name).unwrap(),
                sql_type: TypeName::new(sql_type).unwrap(),
                nullable,
            }
        }

        fn interval<'a>(&'a self, old: Option<&'a Watermark>, new: &'a Watermark) -> Interval<'a> {
            Interval {
                table: &self.table,
                column: &self.name,
                old,
                new,
                closed: tidemark::model::rows::Closed::default(),
                with_nulls: false,
                key: None,
                filter: None,
            }
        }

        fn column(&self) -> WatermarkColumn<'_> {
            WatermarkColumn {
                table: &self.table,
                name: &self.name,
                sql_type: &self.sql_type,
                nullable: self.nullable,
                clock: Clock::Utc,
                filter: None,
            }
        }
    }

    #[test]
    fn growth_is_bounded_by_the_clock_for_time_and_compared_in_the_columns_type() {
        let probe = Probe::new("[sales].[o]]x]", "m]", "datetime", true);
        let old = watermark("datetime", "2010-01-01T00:00:00");
        let statement = growth(&probe.column(), Some(&old), BehindClock::No).unwrap();
        assert_eq!(
            statement.sql,
            "DECLARE @B1 datetime = CAST(@P1 AS datetime), @New datetime; \
             SELECT @New = MAX([m]]]) FROM [sales].[o]]x] WHERE [m]]] >= @B1 AND [m]]] <= CAST(SYSUTCDATETIME() AS datetime) \
             OPTION (RECOMPILE); IF @New IS NULL SELECT @New = MAX([m]]]) FROM [sales].[o]]x] \
             WHERE [m]]] <= CAST(SYSUTCDATETIME() AS datetime); \
             SELECT @New AS [new_watermark], CASE WHEN @New > @B1 THEN 1 WHEN @New < @B1 THEN -1 ELSE 0 END AS [ordering], \
             (SELECT COUNT_BIG(*) FROM [sales].[o]]x] WHERE [m]]] > CAST(SYSUTCDATETIME() AS datetime)) AS [future_rows], \
             (SELECT COUNT_BIG(*) FROM [sales].[o]]x] WHERE [m]]] IS NULL) AS [null_rows], CAST(0 AS bigint) AS [held_back] OPTION (RECOMPILE)"
        );
        assert_eq!(statement.parameters, ["2010-01-01T00:00:00.000"]);

        let probe = Probe::new("[sales].[o]]x]", "m]", "bigint", false);
        assert_eq!(
            growth(&probe.column(), None, BehindClock::No).unwrap().sql,
            "SELECT [m].[new_watermark], 1 AS [ordering], CAST(0 AS bigint) AS [future_rows], CAST(0 AS bigint) AS [null_rows], \
             CAST(0 AS bigint) AS [held_back] FROM (SELECT MAX([m]]]) AS [new_watermark] FROM [sales].[o]]x]) AS [m]"
        );
    }

    #[test]
    fn two_bounds_are_compared_in_their_type() {
        let (one, other) = (watermark("decimal(9,2)", "-10.50"), watermark("decimal(9,2)", "-9.75"));
        let statement = ordering(&one, &other).unwrap();
        assert_eq!(
            statement.sql,
            "DECLARE @B1 decimal(9,2) = CAST(@P1 AS decimal(9,2)), @B2 decimal(9,2) = CAST(@P2 AS decimal(9,2)); \
             SELECT CASE WHEN @B1 > @B2 THEN 1 WHEN @B1 < @B2 THEN -1 ELSE 0 END AS [ordering] OPTION (RECOMPILE)"
        );
        assert_eq!(statement.parameters, ["-10.50", "-9.75"]);
    }

    #[test]
    fn a_bound_that_is_no_value_of_its_type_is_never_sent() {
        let probe = Probe::new("orders", "id", "int", false);
        for text in ["01", "2147483648", "one", "2017-09-01"] {
            let tampered = Watermark::new(TypeName::new("int").unwrap(), text).unwrap();
            let error = growth(&probe.column(), Some(&tampered), BehindClock::No).unwrap_err();
            assert_eq!(error.code(), ErrorCode::LedgerInvalid, "{error}");
        }
    }

    #[test]
    fn a_rowversion_is_bounded_by_what_is_still_in_use() {
        let probe = Probe::new("orders", "rv", "rowversion", false);
        let old = watermark("rowversion", "0x00000000000007D1");
        let new = watermark("rowversion", "0x80000000000007E4");
        let statement = row_version_growth(&probe.column(), Some(&old)).unwrap();
        assert_eq!(
            statement.sql,
            "DECLARE @Used binary(8) = @@DBTS, @New binary(8) = MIN_ACTIVE_ROWVERSION(), \
             @B3 binary(8) = CONVERT(binary(8), @P2, 1); SELECT @New AS [new_watermark], CASE WHEN @New < @B3 THEN -1 \
             WHEN EXISTS (SELECT 1 FROM [dbo].[orders] WHERE [rv] >= @B3 AND [rv] < @New) THEN 1 ELSE 0 END AS [ordering], \
             CAST(0 AS bigint) AS [future_rows], CAST(0 AS bigint) AS [null_rows], \
             CAST(CASE WHEN @Used >= @New THEN 1 ELSE 0 END AS bigint) AS [held_back], \
             CASE WHEN CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) = N'READ_ONLY' AND NOT EXISTS \
             (SELECT 1 FROM sys.databases WHERE [name] = DB_NAME() AND [is_read_only] = 1 AND [is_in_standby] = 0 \
             AND [source_database_id] IS NULL) THEN 1 ELSE 0 END AS [is_replica], \
             CASE WHEN OBJECTPROPERTY(OBJECT_ID(@P1), N'IsTable') = 1 \
             AND NOT EXISTS (SELECT 1 FROM sys.external_tables WHERE [object_id] = OBJECT_ID(@P1)) \
             OR OBJECTPROPERTY(OBJECT_ID(@P1), N'IsSchemaBound') = 1 THEN 1 ELSE 0 END AS [stays_here] OPTION (RECOMPILE)"
        );
        assert_eq!(statement.parameters, ["[dbo].[orders]", old.value()]);
        let interval = probe.interval(Some(&old), &new);
        let counted = count(&tidemark::model::rows::Rows::Interval(interval)).unwrap();
        assert_eq!(
            counted.sql,
            "DECLARE @B1 binary(8) = CONVERT(binary(8), @P1, 1), @B2 binary(8) = CONVERT(binary(8), @P2, 1); \
             SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[orders] WHERE [rv] >= @B1 AND [rv] < @B2 OPTION (RECOMPILE)"
        );
        assert_eq!(counted.parameters, [old.value(), new.value()]);
    }

    #[test]
    fn a_day_or_minute_that_still_runs_is_left_for_later() {
        for (sql_type, bound) in [
            (
                "date",
                "< CAST(SYSUTCDATETIME() AS date) AND [m] < CAST(SYSDATETIME() AS date)) AS [m]",
            ),
            (
                "smalldatetime",
                "< CAST(DATEADD(second, -30, SYSUTCDATETIME()) AS smalldatetime)) AS [m]",
            ),
            (
                "datetimeoffset(3)",
                "<= CAST(SYSDATETIMEOFFSET() AS datetimeoffset(3))) AS [m]",
            ),
        ] {
            let probe = Probe::new("orders", "m", sql_type, false);
            let statement = growth(&probe.column(), None, BehindClock::No).unwrap();
            assert_eq!(statement.sql.rsplit(" WHERE [m] ").next(), Some(bound));
        }
    }

    /// The hour before the clock goes back comes twice. Rows stamped in it are read after it is over for the second
    /// time. A window that ended within it would never read rows that are stamped below its end an hour later.
    #[test]
    fn a_window_stays_an_hour_behind_a_clock_that_is_about_to_go_back() {
        let mut probe = Probe::new("orders", "m", "datetime2(3)", false);
        let old = watermark("datetime2(3)", "2026-10-25T01:59:00.000");
        let mut column = probe.column();
        column.clock = Clock::Local;
        let behind = growth(&column, Some(&old), BehindClock::OneHour).unwrap().sql;
        assert!(
            behind.contains("WHERE [m] <= CAST(DATEADD(hour, -1, SYSDATETIME()) AS datetime2(3))"),
            "{behind}"
        );
        assert!(behind.contains("WHEN @New < @B1 THEN 0"), "{behind}");
        let free = growth(&column, Some(&old), BehindClock::No).unwrap().sql;
        assert!(
            free.contains("WHERE [m] <= CAST(SYSDATETIME() AS datetime2(3))"),
            "{free}"
        );
        assert!(free.contains("WHEN @New < @B1 THEN -1"), "{free}");
        column.clock = Clock::Utc;
        let held = growth(&column, Some(&old), BehindClock::OneHour).unwrap().sql;
        assert!(
            held.contains(
                "WHERE [m] <= CAST(SYSUTCDATETIME() AS datetime2(3)) \
                 AND [m] <= CAST(DATEADD(hour, -1, SYSDATETIME()) AS datetime2(3))"
            ),
            "{held}"
        );
        for (sql_type, repeats) in [
            ("datetime", true),
            ("smalldatetime", true),
            ("datetime2(7)", true),
            ("datetimeoffset(7)", false),
            ("date", false),
            ("bigint", false),
        ] {
            probe.sql_type = TypeName::new(sql_type).unwrap();
            let sql_type = SqlType::of(&probe.sql_type).unwrap();
            assert_eq!(sql_type.may_repeat_an_hour(), repeats, "{sql_type}");
        }
    }

    #[test]
    fn a_window_is_open_below_and_closed_above() {
        let probe = Probe::new("orders", "m", "int", false);
        let (old, new) = (watermark("int", "5"), watermark("int", "9"));
        let mut interval = probe.interval(Some(&old), &new);
        let statement = rows(&interval, &[column("m", "int"), column("cost", "money")]).unwrap();
        assert_eq!(
            statement.sql,
            "DECLARE @B1 int = CAST(@P1 AS int), @B2 int = CAST(@P2 AS int); \
             SELECT [m], CAST([cost] AS decimal(19,4)) AS [cost] FROM [dbo].[orders] \
             WHERE [m] > @B1 AND [m] <= @B2 OPTION (RECOMPILE)"
        );
        assert_eq!(statement.parameters, ["5", "9"]);
        interval.old = None;
        interval.with_nulls = true;
        assert_eq!(
            select(&interval, "COUNT_BIG(*) AS [rows]").unwrap().sql,
            "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[orders] WHERE ([m] <= @B1 OR [m] IS NULL)"
        );
    }

    #[test]
    fn a_type_that_is_none_never_reaches_a_statement() {
        let probe = Probe::new("orders", "m", "int", false);
        let hostile = Watermark::new(TypeName::new("int); DROP TABLE t; --").unwrap(), "5").unwrap();
        let interval = probe.interval(None, &hostile);
        assert!(rows(&interval, &[]).is_err());
        let new = watermark("int", "9");
        let interval = Interval { new: &new, ..interval };
        assert!(rows(&interval, &[column("m", "int] FROM secrets --")]).is_err());
    }
}

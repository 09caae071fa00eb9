//! Implements the `sql` watermark store: a control table and the procedure that updates it, as in the tutorials.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use tiberius::{ColumnData, Row};
use tidemark::error::{Answer, Error, ErrorCode, Failure};
use tidemark::model::names::{Identifier, ObjectName, is_alike, without_case};
use tidemark::model::watermark::{StoreType, StoredWatermark, Watermark, WatermarkKey};
use tidemark::ports::watermarks::{ClearWatermarks, MoveWatermarks, Moved, ReadWatermarks};
use tokio::sync::OnceCell;

use crate::answers::{unexpected_answer, unless_unreachable};
use crate::catalog::text;
use crate::session::Server;
use crate::statements::control_table::{self, ControlColumns, NAME_COLUMN, NAMES_AT_ONCE};
use crate::types::value_text;

/// The length of the longest text of a watermark: a decimal of 38 digits with its sign and point.
const LONGEST_TEXT: u16 = 40;

/// A control table. The watermark is in its first column beside `TableName`; further columns are not used.
#[derive(Debug)]
pub struct ControlTable {
    server: Server,
    table: ObjectName,
    procedure: ObjectName,
    columns: OnceCell<Columns>,
    /// The names that had other spellings among the sources that were asked for together, where the table ignores case, each
    /// with the other spelling.
    shared: Mutex<HashMap<String, String>>,
}

/// The columns that count, as the server spells them.
#[derive(Debug)]
struct Columns {
    /// The column that names the source.
    name: Identifier,
    /// The column with the watermarks.
    value: Identifier,
    store_type: StoreType,
    /// Whether a watermark may be NULL.
    nullable: bool,
}

/// The stored watermark of one of several names, and the place of that name among them.
struct Placed {
    place: usize,
    stored: StoredWatermark,
}

/// A row of the control table, and the name by which it was found.
struct NamedRow {
    name: String,
    row: Option<Row>,
}

/// The watermark that is stored for a source, and the name by which it was found.
struct NamedWatermark {
    name: String,
    stored: StoredWatermark,
}

impl ControlTable {
    /// Makes the store for the control table `table` on `server`, which `procedure` updates.
    #[must_use]
    pub fn new(server: Server, table: ObjectName, procedure: ObjectName) -> Self {
        Self {
            server,
            table,
            procedure,
            columns: OnceCell::const_new(),
            shared: Mutex::default(),
        }
    }

    async fn describe(&self) -> Answer<Columns> {
        let columns = self.server.described_columns(&self.table, None, None).await;
        let columns = columns.map_err(Failure::of_another_table)?;
        // In a case-sensitive database there may be several spellings.
        let exact = columns.iter().position(|column| column.name == NAME_COLUMN);
        let found = exact.or_else(|| columns.iter().position(|column| is_alike(&column.name, NAME_COLUMN)));
        let column = columns.iter().enumerate().find(|(place, _)| Some(*place) != found);
        let (Some(found), Some((_, column))) = (found, column) else {
            return Err(self
                .unusable("it needs a column TableName and one for the watermark")
                .into());
        };
        let name = &column.name;
        let store_type = match &column.sql_type {
            Ok(sql_type) if sql_type.text_length().is_some_and(|length| length < LONGEST_TEXT) => {
                let what = format!("its column {name} is shorter than {LONGEST_TEXT} characters");
                return Err(self.unusable(&what).into());
            }
            Ok(sql_type) if sql_type.is_text() && sql_type.assigned_as() == *sql_type => StoreType::Text,
            Ok(sql_type) => StoreType::Typed(sql_type.name()),
            Err(unknown) => {
                return Err(self
                    .unusable(&format!("its column {name} has the type {unknown}"))
                    .into());
            }
        };
        Ok(Columns {
            name: Identifier::new(columns[found].name.as_str())?,
            value: Identifier::new(name.as_str())?,
            store_type,
            nullable: column.nullable,
        })
    }

    async fn columns(&self) -> Answer<&Columns> {
        self.columns.get_or_try_init(|| self.describe()).await
    }

    const fn control<'a>(&'a self, columns: &'a Columns) -> ControlColumns<'a> {
        ControlColumns {
            table: &self.table,
            name: &columns.name,
            column: &columns.value,
            store_type: &columns.store_type,
        }
    }

    /// Finds the row of a source, and the name by which it was found. Without a row, it is the first of the source's
    /// names.
    async fn row(&self, columns: &Columns, key: &WatermarkKey) -> Answer<NamedRow> {
        let mut names = key.names();
        let mut found: Option<(String, Row)> = None;
        for name in &names {
            for row in self
                .server
                .rows(&control_table::stored_watermark(&self.control(columns), name))
                .await?
            {
                if let Some((other, _)) = &found {
                    let what = format!("it has rows for both '{other}' and '{name}': keep one");
                    return Err(self.unusable(&what).into());
                }
                found = Some((name.clone(), row));
            }
        }
        let first = names.swap_remove(0);
        Ok(match found {
            Some((name, row)) => NamedRow { name, row: Some(row) },
            None => NamedRow { name: first, row: None },
        })
    }

    /// Notes the names of different sources that differ by case alone, if the table would find one row for both.
    async fn note_shared(&self, columns: &Columns, keys: &[WatermarkKey]) -> Answer<()> {
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut alike = Vec::new();
        for key in keys {
            let name = key.names().swap_remove(0);
            match seen.entry(without_case(&name)) {
                Entry::Occupied(other) if *other.get() != name => alike.push((name, other.get().clone())),
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert(name);
                }
            }
        }
        if alike.is_empty() {
            return Ok(());
        }
        let collation = self
            .server
            .rows(&control_table::collation(&self.table, &columns.name))
            .await?;
        let collation = collation.first().and_then(|row| text(row, "collation_name"));
        if collation.is_none_or(tells_cases_apart) {
            return Ok(());
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for (one, other) in alike {
            shared.insert(other.clone(), one.clone());
            shared.insert(one, other);
        }
        Ok(())
    }

    /// Fails for a source whose row would be that of another one, too.
    fn check_shared(&self, key: &WatermarkKey) -> Answer<()> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for name in key.names() {
            if let Some(other) = shared.get(&name) {
                let what = format!(
                    "it ignores case, and would keep one watermark for both '{name}' and '{other}': give one of the two a \
                     watermark_name, or use a control table whose column of names has a collation that is case-sensitive"
                );
                return Err(self.unusable(&what).into());
            }
        }
        Ok(())
    }

    async fn read(&self, key: &WatermarkKey) -> Answer<NamedWatermark> {
        self.check_shared(key)?;
        let columns = self.columns().await?;
        let NamedRow { name, row } = self.row(columns, key).await?;
        let stored = self.stored_in(columns, row.as_ref(), 0)?;
        Ok(NamedWatermark { name, stored })
    }

    /// Finds the rows with these names.
    async fn stored_together(&self, columns: &Columns, names: &[String]) -> Answer<Vec<Placed>> {
        let rows = self
            .server
            .rows(&control_table::stored_watermarks(&self.control(columns), names))
            .await?;
        let stored = rows.iter().map(|row| {
            let place = row.try_get::<i32, _>(0).ok().flatten();
            let place = place.and_then(|place| usize::try_from(place).ok());
            Ok(Placed {
                place: place.ok_or_else(unexpected_answer)?,
                stored: self.stored_in(columns, Some(row), 1)?,
            })
        });
        stored.collect()
    }

    /// Reads the watermark in this column of a row.
    fn stored_in(&self, columns: &Columns, row: Option<&Row>, at: usize) -> Answer<StoredWatermark> {
        let data = row.and_then(|row| row.cells().nth(at)).map(|(_, data)| data);
        let value = data.map_or(Ok(None), |data: &ColumnData<'_>| {
            value_text(data).map_err(|what| self.unusable(&format!("its watermark is {what}")))
        })?;
        let store_type = columns.store_type.clone();
        Ok(StoredWatermark {
            store_type,
            value,
            reset: None,
        })
    }

    /// Returns whether the procedure compares the expected value itself. A server without `sys.parameters` counts as
    /// no.
    async fn procedure_compares(&self) -> Answer<bool> {
        match self
            .server
            .counted(&control_table::expected_parameter(&self.procedure))
            .await
        {
            Ok(parameters) => Ok(parameters > 0),
            Err(failure) if failure.is_transient() => Err(failure),
            Err(_) => Ok(false),
        }
    }

    fn unusable(&self, what: &str) -> Error {
        Error::new(
            ErrorCode::InvalidConfig,
            format!("the control table {} (WATERMARK_TABLE) is unusable: {what}", self.table),
        )
    }
}

/// Returns whether a collation finds no name in another case, by its own name
/// (<https://learn.microsoft.com/en-us/sql/t-sql/statements/windows-collation-name-transact-sql>).
fn tells_cases_apart(collation: &str) -> bool {
    collation.split('_').any(|part| matches!(part, "CS" | "BIN" | "BIN2"))
}

impl ReadWatermarks for ControlTable {
    async fn stored(&self, key: &WatermarkKey) -> Answer<StoredWatermark> {
        Ok(self.read(key).await?.stored)
    }

    /// Answers `None` for a source without a row, with several, or whose question failed. It must then be asked for
    /// alone.
    async fn all_stored(&self, keys: &[WatermarkKey]) -> Answer<Vec<Option<StoredWatermark>>> {
        let columns = self.columns().await?;
        self.note_shared(columns, keys).await?;
        let (mut names, mut keys_of_names) = (Vec::new(), Vec::new());
        for (place, key) in keys.iter().enumerate() {
            let of_key = key.names();
            keys_of_names.extend(std::iter::repeat_n(place, of_key.len()));
            names.extend(of_key);
        }
        let mut rows_of_keys: Vec<Vec<StoredWatermark>> = vec![Vec::new(); keys.len()];
        let mut unanswered: Vec<usize> = Vec::new();
        for (names, keys) in names.chunks(NAMES_AT_ONCE).zip(keys_of_names.chunks(NAMES_AT_ONCE)) {
            let asked = self.stored_together(columns, names).await;
            let Some(rows) = unless_unreachable(asked)? else {
                unanswered.extend(keys);
                continue;
            };
            for Placed { place, stored } in rows {
                rows_of_keys[*keys.get(place).ok_or_else(unexpected_answer)?].push(stored);
            }
        }
        // A question that succeeded may have found only one of two rows of these sources.
        for place in unanswered {
            rows_of_keys[place].clear();
        }
        let only = rows_of_keys
            .into_iter()
            .zip(keys)
            .map(|(mut rows, key)| match rows.len() {
                1 if self.check_shared(key).is_ok() => rows.pop(),
                _ => None,
            });
        Ok(only.collect())
    }
}

impl MoveWatermarks for ControlTable {
    /// Moves the watermark. The procedure of this project compares the expected value itself. For procedures that do
    /// not, like the tutorials', the comparison and the call are one transaction that locks the row.
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Answer<Moved> {
        let NamedWatermark { name, stored } = self.read(key).await?;
        if stored != *expected {
            return Ok(Moved::Changed);
        }
        let procedure = &self.procedure;
        let expected_value = expected.value.as_deref();
        let statement = if self.procedure_compares().await? {
            control_table::move_watermark(procedure, new, &name, expected_value)
        } else {
            let control = self.control(self.columns().await?);
            control_table::move_watermark_if(&control, procedure, new, &name, expected_value)?
        };
        let moved = self.server.rows(&statement).await;
        let written = self.read(key).await?.stored;
        if let Err(failure) = moved {
            // The procedure refuses when the value is no longer the expected one, but there may be another reason.
            return if written == *expected {
                let failure = self.server.withheld(failure);
                Err(failure.context(format_args!("calling {}", self.procedure)))
            } else {
                Ok(Moved::Changed)
            };
        }
        match &written.value {
            Some(value) if new.is(value) => {
                Ok(Moved::Moved)
            }
            None => Err(self.unusable(&format!(
                "the procedure {} moved nothing: insert a row for '{name}' whose watermark is NULL, or use a procedure that \
                 inserts",
                self.procedure
            ))
            .into()),
            value if *value == expected.value => Err(self.unusable(&format!(
                "the procedure {} did not move the watermark of '{name}': check its parameters, (value, table name)",
                self.procedure
            ))
            .into()),
            Some(_) => Ok(Moved::Changed),
        }
    }
}

impl ClearWatermarks for ControlTable {
    async fn clear(&self, key: &WatermarkKey, _reset: &str) -> Answer<()> {
        let NamedWatermark { name, stored } = self.read(key).await?;
        if stored.value.is_none() {
            return Ok(());
        }
        let columns = self.columns().await?;
        let statement = control_table::clear_watermark(&self.control(columns), columns.nullable, &name);
        let cleared = self.server.rows(&statement).await;
        // The answer may be lost, or a trigger may have failed the statement, so only the value that is stored now
        // counts.
        match (self.read(key).await?.stored.value, cleared) {
            (None, _) => Ok(()),
            (Some(_), Err(failure)) => Err(self
                .server
                .withheld(failure)
                .context(format_args!("changing {}", self.table))),
            (Some(_), Ok(_)) => Err(self
                .unusable(&format!("the watermark of '{name}' cannot be taken away"))
                .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_sandbox::{Options, Sandbox};

    use super::*;
    use crate::login::Login;

    /// The rows of one would be left out from the watermark of the other on.
    #[tokio::test(flavor = "multi_thread")]
    async fn two_sources_that_differ_by_case_have_a_row_each_or_are_refused() {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        for (name, collation, is_refused) in [
            ("ci", "Latin1_General_CI_AS", true),
            ("cs", "Latin1_General_CS_AS", false),
            ("bin", "Latin1_General_BIN2", false),
        ] {
            let script = format!(
                "CREATE TABLE dbo.{name} (TableName varchar(255) COLLATE {collation} NOT NULL, v varchar(50) NULL); \
                 INSERT INTO dbo.{name} VALUES ('dbo.T', '7'), ('dbo.other', '8')"
            );
            sandbox.execute(&script).unwrap();
            let key = |table: &str| WatermarkKey {
                table: table.parse().unwrap(),
                name: None,
            };
            let keys = ["dbo.T", "dbo.t", "dbo.other"].map(key);
            let server = Server::new(Login::of_stand_in(&sandbox));
            let store = ControlTable::new(server, format!("dbo.{name}").parse().unwrap(), "dbo.p".parse().unwrap());
            let together = store.all_stored(&keys).await.unwrap();
            let found: Vec<_> = together.iter().map(|stored| stored.is_some()).collect();
            assert_eq!(found, [!is_refused, false, true], "{name}");
            for key in &keys[..2] {
                let stored = store.stored(key).await;
                assert_eq!(stored.is_err(), is_refused, "{name} {}", key.table);
                if let Err(failure) = stored {
                    let error = failure.of(tidemark::error::Role::WatermarkStore);
                    assert_eq!(error.code(), ErrorCode::InvalidConfig, "{error}");
                    assert!(error.to_string().contains("watermark_name"), "{error}");
                }
            }
            assert_eq!(store.stored(&keys[2]).await.unwrap().value.as_deref(), Some("8"));
        }
    }

    /// A database may be case-sensitive, and the driver fails at `varchar` in code pages 437 and 850.
    #[tokio::test(flavor = "multi_thread")]
    async fn only_the_watermark_is_asked_for_as_unicode_and_by_the_names_that_the_server_has() {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        let script = "CREATE TABLE dbo.w (TABLENAME varchar(255) NOT NULL, vAlue varchar(50) NULL, note varchar(9) NULL); \
                      INSERT INTO dbo.w VALUES ('dbo.a', '7', 'x')";
        sandbox.execute(script).unwrap();
        let server = Server::new(Login::of_stand_in(&sandbox));
        let store = ControlTable::new(server, "dbo.w".parse().unwrap(), "dbo.p".parse().unwrap());
        let key = WatermarkKey {
            table: "dbo.a".parse().unwrap(),
            name: None,
        };
        assert_eq!(store.stored(&key).await.unwrap().value.as_deref(), Some("7"));
        let together = store.all_stored(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(together[0].as_ref().unwrap().value.as_deref(), Some("7"));
        store.clear(&key, "").await.unwrap();
        assert_eq!(store.stored(&key).await.unwrap().value, None);
        for statement in sandbox
            .statements()
            .iter()
            .filter(|it| it.contains("[w]") && it.contains("@P1"))
        {
            let is_spelled = statement.contains("[TABLENAME] = ") && !statement.contains("[TableName]");
            assert!(is_spelled && !statement.contains('*'), "{statement}");
            let is_unicode = statement.contains("[vAlue] AS nvarchar(max)") || statement.contains("UPDATE");
            assert!(is_unicode, "{statement}");
        }
    }
}

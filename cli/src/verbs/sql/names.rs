//! The names that tables and their views have in an engine. No two of them are the same, because a statement replaces
//! what has its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidemark::ledger::keys::{table_hash, table_segment};
use tidemark::model::names::ObjectName;

use super::engine::Engine;

/// Returns the name of every table of a sink. Tables whose names, or whose views' names, would be the same have digits
/// of a checksum of their whole names as well.
pub(super) fn of(engine: Engine, tables: &[ObjectName]) -> BTreeMap<ObjectName, String> {
    let mut hashed: BTreeSet<ObjectName> = BTreeSet::new();
    loop {
        let named: BTreeMap<&ObjectName, String> = tables
            .iter()
            .map(|table| (table, name_of(engine, table, hashed.contains(table))))
            .collect();
        // Some engines do not tell upper from lower case.
        let mut owners: HashMap<String, Vec<&ObjectName>> = HashMap::new();
        for (table, name) in &named {
            for claimed in [name.to_lowercase(), of_view(name).to_lowercase()] {
                owners.entry(claimed).or_default().push(table);
            }
        }
        let alike = owners.into_values().filter(|owners| owners.len() > 1).flatten();
        let more: BTreeSet<ObjectName> = alike.filter(|table| !hashed.contains(*table)).cloned().collect();
        if more.is_empty() {
            return named.into_iter().map(|(table, name)| (table.clone(), name)).collect();
        }
        hashed.extend(more);
    }
}

/// Returns the name of the view of a table's present rows.
pub(super) fn of_view(name: &str) -> String {
    format!("{name}_current")
}

/// Returns the name of a table: its schema and its name, in characters that the engine takes.
fn name_of(engine: Engine, table: &ObjectName, has_hash: bool) -> String {
    let name = format!("{}_{}", table.schema().as_str(), table.name().as_str());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = match engine {
        Engine::Athena | Engine::Spark if !name.chars().all(is_plain) => table_segment(table).replace(['.', '-'], "_"),
        _ => name,
    };
    if has_hash {
        format!("{name}_{}", table_hash(table))
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tables_or_views_have_one_name() {
        let tables: Vec<ObjectName> = [
            "a.b_c",
            "a_b.c",
            "dbo.ct",
            "dbo.ct_current",
            "dbo.[a-b]",
            "dbo.a_b",
            "dbo.Orders",
            "DBO.orders",
            "dbo.alone",
        ]
        .map(|name| name.parse().unwrap())
        .to_vec();
        for engine in [
            Engine::Athena,
            Engine::Duckdb,
            Engine::Snowflake,
            Engine::Spark,
            Engine::Redshift,
        ] {
            let names = of(engine, &tables);
            let mut all: Vec<String> = names
                .values()
                .flat_map(|name| [name.to_lowercase(), of_view(name).to_lowercase()])
                .collect();
            assert_eq!(all.len(), 2 * tables.len());
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 2 * tables.len(), "{engine:?}: {names:?}");
            assert_eq!(names[&tables[8]], "dbo_alone");
        }
    }
}

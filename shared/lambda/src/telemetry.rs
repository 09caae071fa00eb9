//! Reports metrics in CloudWatch's embedded metric format, as lines of JSON on the standard output of a function
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use serde_json::{Map, Value, json};
use tidemark::ledger::keys::table_segment;
use tidemark::model::metric::{Measurement, Metric};
use time::OffsetDateTime;

use crate::config::MetricsConfig;

/// The namespace of all metrics.
const NAMESPACE: &str = "Tidemark";

/// Returns the name, the unit and the value of a metric for CloudWatch.
const fn parts(metric: Metric) -> (&'static str, &'static str, u64) {
    match metric {
        Metric::RowsCopied(value) => ("RowsCopied", "Count", value),
        Metric::BytesWritten(value) => ("BytesWritten", "Bytes", value),
        Metric::PartsWritten(value) => ("PartsWritten", "Count", value),
        Metric::LateRows(value) => ("LateRows", "Count", value),
        Metric::LateRowsUnknown(value) => ("LateRowsUnknown", "Count", value),
        Metric::WatermarkLagSeconds(value) => ("WatermarkLagSeconds", "Seconds", value),
        Metric::Reinitializations(value) => ("Reinitializations", "Count", value),
        Metric::TablesFailed(value) => ("TablesFailed", "Count", value),
        Metric::TablesStopped(value) => ("TablesStopped", "Count", value),
        Metric::TablesPaused(value) => ("TablesPaused", "Count", value),
        Metric::TablesBusy(value) => ("TablesBusy", "Count", value),
        Metric::TablesWaiting(value) => ("TablesWaiting", "Count", value),
        Metric::TablesIncomplete(value) => ("TablesIncomplete", "Count", value),
    }
}

/// Returns the line that reports a measurement. Its values count for the stack and, if the settings say so, also for
/// the table. Metrics of each table cost more than everything else in a pipeline that runs every hour. The line names
/// the table in any case.
#[must_use]
pub fn embedded(measured: &Measurement, settings: &MetricsConfig, now: OffsetDateTime) -> Value {
    let metrics = measured.metrics.iter().map(|metric| parts(*metric));
    let definitions: Vec<_> = metrics
        .clone()
        .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit }))
        .collect();
    let mut dimensions = vec![json!(["Stack"])];
    if measured.table.is_some() && settings.per_table {
        dimensions.push(json!(["Stack", "Table"]));
    }
    let milliseconds = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let mut line = Map::new();
    line.insert(
        "_aws".into(),
        json!({
            "Timestamp": milliseconds,
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": definitions }],
        }),
    );
    line.insert("Stack".into(), settings.stack.as_str().into());
    if let Some(table) = &measured.table {
        // The values of dimensions must be ASCII. A table's name need not be, but the name of its folder is.
        line.insert("Table".into(), table_segment(table).into());
    }
    for (name, _, value) in metrics {
        line.insert(name.into(), value.into());
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(table: Option<&str>, per_table: bool) -> Value {
        let now = OffsetDateTime::from_unix_timestamp(1_500_000_000).unwrap();
        let measured = Measurement {
            table: table.map(|table| table.parse().unwrap()),
            metrics: vec![Metric::RowsCopied(5), Metric::LateRows(0)],
        };
        let settings = MetricsConfig {
            stack: "dev".to_owned(),
            per_table,
        };
        embedded(&measured, &settings, now)
    }

    #[test]
    fn a_line_declares_every_value_it_carries() {
        let line = line(Some("dbo.orders"), false);
        assert_eq!(line["_aws"]["Timestamp"], 1_500_000_000_000_i64);
        let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        for definition in declared {
            assert!(line[definition["Name"].as_str().unwrap()].is_u64());
        }
        assert_eq!(
            (declared.len(), &line["RowsCopied"], &line["Table"]),
            (2, &json!(5), &json!("dbo.orders"))
        );
    }

    #[test]
    fn every_value_counts_for_its_stack_and_where_it_is_wanted_for_its_table() {
        for (table, per_table, expected) in [
            (Some("dbo.orders"), false, json!([["Stack"]])),
            (Some("dbo.orders"), true, json!([["Stack"], ["Stack", "Table"]])),
            (None, true, json!([["Stack"]])),
        ] {
            let line = line(table, per_table);
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], expected);
            assert_eq!(line["Stack"], "dev");
        }
    }

    #[test]
    fn the_name_of_a_table_is_made_ascii() {
        let line = line(Some("dbo.[Aufträge]"), true);
        let name = line["Table"].as_str().unwrap();
        assert!(name.starts_with("dbo.Auftr_ge-") && name.is_ascii(), "{name}");
    }
}

//! Metrics in CloudWatch's embedded format: a line of JSON on standard output of a function
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use serde_json::{Map, Value, json};
use tidemark::model::metric::{Metric, TableMetrics};
use time::OffsetDateTime;

/// The namespace of all metrics.
const NAMESPACE: &str = "Tidemark";

/// A metric's name, its unit and its value, as CloudWatch knows them.
const fn parts(metric: Metric) -> (&'static str, &'static str, u64) {
    match metric {
        Metric::RowsCopied(value) => ("RowsCopied", "Count", value),
        Metric::BytesWritten(value) => ("BytesWritten", "Bytes", value),
        Metric::PartsWritten(value) => ("PartsWritten", "Count", value),
        Metric::LateRows(value) => ("LateRows", "Count", value),
        Metric::WatermarkLagSeconds(value) => ("WatermarkLagSeconds", "Seconds", value),
        Metric::Reinitializations(value) => ("Reinitializations", "Count", value),
    }
}

/// The line that reports the metrics of a table.
#[must_use]
pub fn embedded(measured: &TableMetrics, now: OffsetDateTime) -> Value {
    let metrics = measured.metrics.iter().map(|metric| parts(*metric));
    let definitions: Vec<_> = metrics
        .clone()
        .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit }))
        .collect();
    let milliseconds = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let mut line = Map::new();
    line.insert(
        "_aws".into(),
        json!({
            "Timestamp": milliseconds,
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["Table"]], "Metrics": definitions }],
        }),
    );
    line.insert("Table".into(), measured.table.as_str().into());
    for (name, _, value) in metrics {
        line.insert(name.into(), value.into());
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_declares_every_value_it_carries() {
        let now = OffsetDateTime::from_unix_timestamp(1_500_000_000).unwrap();
        let measured = TableMetrics {
            table: "dbo.orders".to_owned(),
            metrics: vec![Metric::RowsCopied(5), Metric::LateRows(0)],
        };
        let line = embedded(&measured, now);
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
}

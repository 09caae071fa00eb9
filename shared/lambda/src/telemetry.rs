//! Metrics in CloudWatch's embedded format: a line of JSON on standard output of a function
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The namespace of all metrics.
const NAMESPACE: &str = "Tidemark";

/// The metrics, by name. All are per table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Rows of a committed window.
    RowsCopied(u64),
    /// Bytes of a committed window's objects.
    BytesWritten(u64),
    /// Objects of a committed window.
    PartsWritten(u64),
    /// Rows committed on the source after their window was copied.
    LateRows(u64),
    /// How far the committed watermark is behind the clock; time columns only.
    WatermarkLagSeconds(u64),
    /// Full loads of a tracked table whose version had expired.
    Reinitializations(u64),
}

impl Metric {
    const fn parts(self) -> (&'static str, &'static str, u64) {
        match self {
            Self::RowsCopied(value) => ("RowsCopied", "Count", value),
            Self::BytesWritten(value) => ("BytesWritten", "Bytes", value),
            Self::PartsWritten(value) => ("PartsWritten", "Count", value),
            Self::LateRows(value) => ("LateRows", "Count", value),
            Self::WatermarkLagSeconds(value) => ("WatermarkLagSeconds", "Seconds", value),
            Self::Reinitializations(value) => ("Reinitializations", "Count", value),
        }
    }
}

/// The line that reports `metrics` of `table`.
#[must_use]
pub fn embedded(table: &str, metrics: &[Metric], now: OffsetDateTime) -> Value {
    let definitions: Vec<_> = metrics
        .iter()
        .map(|metric| metric.parts())
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
    line.insert("Table".into(), table.into());
    for (name, _, value) in metrics.iter().map(|metric| metric.parts()) {
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
        let line = embedded("dbo.orders", &[Metric::RowsCopied(5), Metric::LateRows(0)], now);
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

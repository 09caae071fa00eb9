//! Writes logs according to the logging controls of the Lambda service
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>).
//!
//! The lines are those of the runtime's own subscriber, which is not used because its filter links a regular expression
//! engine.
//!
//! Events of the database drivers are never logged, because they contain what servers say, including values of rows.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The beginnings of the targets of the drivers' events.
const DRIVERS: [&str; 2] = ["tiberius", "mssql_tds"];

/// Writes the logs of this process to `writer` from now on.
///
/// The level is that of `AWS_LAMBDA_LOG_LEVEL`, or else of `RUST_LOG`, which may name modules (`info,hyper=debug`), or
/// else INFO. With `AWS_LAMBDA_LOG_FORMAT=JSON` every line is an object.
pub fn start<W>(writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let variable = |name| std::env::var(name).ok();
    let filter = filter(
        variable("AWS_LAMBDA_LOG_LEVEL").as_deref(),
        variable("RUST_LOG").as_deref(),
    );
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .without_time()
        .with_writer(writer);
    let logs = tracing_subscriber::registry().with(filter);
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        logs.with(lines.json()).init();
    } else {
        logs.with(lines).init();
    }
}

/// Returns the filter of what is logged. A level that `tracing` does not have (`FATAL`) counts as unset.
fn filter(lambda_level: Option<&str>, rust_log: Option<&str>) -> Targets {
    let asked = asked(lambda_level, rust_log);
    let default = asked.default_level();
    let is_driver = |target: &str| DRIVERS.iter().any(|driver| target.starts_with(driver));
    // The longest matching prefix of a target decides, so any that is longer than a driver's is removed.
    let heard = asked.into_iter().filter(|(target, _)| !is_driver(target));
    let silent = DRIVERS.map(|driver| (driver.to_owned(), LevelFilter::OFF));
    let filter = Targets::new().with_targets(heard.chain(silent));
    match default {
        Some(level) => filter.with_default(level),
        None => filter,
    }
}

/// Returns the filter that the environment asks for.
fn asked(lambda_level: Option<&str>, rust_log: Option<&str>) -> Targets {
    let level = lambda_level.and_then(|level| level.parse::<LevelFilter>().ok());
    if let Some(level) = level {
        return Targets::new().with_default(level);
    }
    rust_log
        .and_then(|targets| targets.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn nobody_hears_the_drivers() {
        for (lambda, rust_log) in [
            (Some("TRACE"), None),
            (Some("ERROR"), None),
            (None, None),
            (None, Some("trace")),
            (None, Some("tiberius=trace,mssql_tds=debug")),
            (None, Some("info,tiberius::tds::stream=error,mssql_tds::io=trace")),
            (None, Some("t=trace,m=trace")),
        ] {
            let filter = filter(lambda, rust_log);
            for target in [
                "tiberius",
                "tiberius::tds::stream::token",
                "mssql_tds",
                "mssql_tds::io::token_stream",
            ] {
                for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                    assert!(
                        !filter.would_enable(target, &level),
                        "{lambda:?} {rust_log:?} {target} {level}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_level_is_lambdas_then_rust_logs_then_info() {
        for (lambda, rust_log, most, of_hyper) in [
            (None, None, Level::INFO, Level::INFO),
            (Some("WARN"), Some("trace"), Level::WARN, Level::WARN),
            (Some("debug"), None, Level::DEBUG, Level::DEBUG),
            (Some("FATAL"), None, Level::INFO, Level::INFO),
            (None, Some("error"), Level::ERROR, Level::ERROR),
            (None, Some("info,hyper=trace"), Level::INFO, Level::TRACE),
            (None, Some("no=level"), Level::INFO, Level::INFO),
        ] {
            let filter = filter(lambda, rust_log);
            for (target, most) in [("tidemark", most), ("hyper", of_hyper)] {
                for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                    let enabled = filter.would_enable(target, &level);
                    assert_eq!(enabled, level <= most, "{lambda:?} {rust_log:?} {target} {level}");
                }
            }
        }
    }
}

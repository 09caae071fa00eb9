//! A server with one large table, `dbo.large`, until its standard input ends. Its arguments are the number of rows, the
//! rows per second of a connection (0 for as many as are taken) and, if some keys are slow, the first of them, the one
//! after the last, and their rows per second. It writes where it listens to its standard output, as JSON, and after each
//! line of its input how many connections and statements there were so far.

#![allow(clippy::print_stdout, reason = "whoever started it reads it")]

use std::error::Error;

use tidemark_replay::certificate::Certificate;
use tidemark_replay::large_table::{LargeTable, SlowKeys};
use tidemark_replay::server::Answer;
use tidemark_replay::tables;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let (count, pace, slow) = match numbers[..] {
        [count, pace] => (count, pace, None),
        [count, pace, first, end, rows_per_s] => {
            let keys = first..end;
            (count, pace, Some(SlowKeys { keys, rows_per_s }))
        }
        _ => return Err("usage: large-table ROWS ROWS_PER_SECOND [FIRST END ROWS_PER_SECOND]".into()),
    };
    let mut table = LargeTable::new(&tables::narrow(), count);
    if pace > 0 {
        table = table.at_most(pace);
    }
    if let Some(slow) = slow {
        table = table.with_slow(slow);
    }
    let certificate = Certificate::new()?;
    let server = certificate.serve(Answer::Table(table));
    let authority = certificate.authority();
    println!(
        "{{\"port\": {}, \"ca_file\": {:?}}}",
        server.port(),
        authority.to_string_lossy()
    );
    for line in std::io::stdin().lines() {
        line?;
        println!(
            "{{\"connections\": {}, \"statements\": {}}}",
            server.connections(),
            server.statements()
        );
    }
    Ok(())
}

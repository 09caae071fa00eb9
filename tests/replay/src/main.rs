//! A server with one large table, `dbo.large`, until its standard input ends. Its arguments are the number of rows and,
//! if some keys are slow, the first of them, the one after the last, and the rows per second. It writes where it
//! listens to its standard output, as JSON.

#![allow(clippy::print_stdout, reason = "whoever started it reads it")]

use std::error::Error;
use std::io::Read;

use tidemark_replay::certificate::Certificate;
use tidemark_replay::large_table::{LargeTable, SlowKeys};
use tidemark_replay::server::Answer;
use tidemark_replay::tables;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let (count, slow) = match numbers[..] {
        [count] => (count, None),
        [count, first, end, rows_per_s] => (
            count,
            Some(SlowKeys {
                keys: first..end,
                rows_per_s,
            }),
        ),
        _ => return Err("usage: large-table ROWS [FIRST END ROWS_PER_SECOND]".into()),
    };
    let certificate = Certificate::new()?;
    let server = certificate.serve(Answer::Table(LargeTable::new(&tables::narrow(), count, slow)));
    let authority = certificate.authority();
    println!(
        "{{\"port\": {}, \"ca_file\": {:?}}}",
        server.port(),
        authority.to_string_lossy()
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

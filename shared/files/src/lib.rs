//! The files of Tidemark: record batches become parts in Parquet, CSV or JSON lines.
//!
//! A column has a name and a [`Form`](tidemark::model::types::Form) of its values; the meaning of its SQL type is known
//! only to the source's adapter. `batch_schema` gives the schema of a batch, and `encoder` turns batches into bytes.

pub mod batch_schema;
mod cells;
mod csv;
pub mod encoder;
mod jsonl;
pub mod keys;
mod packed;
mod parquet;
mod text;
mod writing;

#[cfg(test)]
mod tests;

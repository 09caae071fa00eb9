//! This crate makes the files of Tidemark: record batches become parts in Parquet, CSV or JSON lines.
//!
//! A column is known by its name and by the [`Form`](tidemark::model::types::Form) in which its values are held; what its type
//! means, only the source's adapter knows. `batch_schema` says what a batch looks like, `encoder` turns batches into bytes.

pub mod batch_schema;
mod cells;
mod csv;
pub mod encoder;
mod jsonl;
pub mod keys;
mod parquet;
mod text;

#[cfg(test)]
mod tests;

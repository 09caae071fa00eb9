//! The data of a copy: names, types, watermarks, what a user asks for, what a plan freezes and what a record decides.
//!
//! No module here does I/O or knows SQL. A name, type, watermark, predicate or window name is made by its parser only,
//! so a value of such a type is valid.

pub mod audit;
pub mod bucket;
pub mod budget;
pub mod cost;
pub mod field_ids;
pub mod format;
pub mod hold;
pub mod lease;
pub mod left_alone;
pub mod loaders;
pub mod lookup;
pub mod malformed;
pub mod manifest;
pub mod metric;
pub mod moment;
pub mod names;
pub mod pieces;
pub mod plan;
pub mod predicate;
pub mod record;
pub mod rows;
pub mod server;
pub mod sink;
pub mod slice;
pub mod slice_id;
pub mod table;
pub mod types;
pub mod unseen;
pub mod value_text;
pub mod values;
pub mod watermark;
pub mod window;

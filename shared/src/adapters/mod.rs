//! The ports of the steps, implemented: each adapter behind the feature that links what it needs.

#[cfg(feature = "rows")]
pub mod mssql;

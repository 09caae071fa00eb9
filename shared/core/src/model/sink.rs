//! Where the rows of a table go when they do not become files: a table of another SQL Server database.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::model::names::{Identifier, ObjectName};

/// The sink of a table, as users write it and as a plan freezes it. Without one, rows become files in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SinkSpec {
    /// A table of a SQL Server database.
    SqlServer(SqlServerSink),
}

/// A table of a SQL Server database that rows are merged into by their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlServerSink {
    /// The ARN (or name) of the Secrets Manager secret of the database, in the form of an RDS secret.
    pub secret_arn: String,
    /// The table. It is named as the source when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<ObjectName>,
    /// The columns by which a row is found again. They are the table's primary key when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Identifier>,
    /// A procedure that does the merge, called with one table-valued parameter. It needs `table_type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub procedure: Option<ObjectName>,
    /// The table type of the procedure's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_type: Option<ObjectName>,
}

impl SinkSpec {
    /// Checks what the structure of the JSON alone cannot ensure.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the secret is empty, only one of `procedure` and `table_type` is given, or a key is named
    /// twice.
    pub fn check(&self) -> Result<()> {
        let Self::SqlServer(sink) = self;
        let refuse = |what: String| Err(Error::new(ErrorCode::InvalidInput, format!("sink: {what}")));
        if sink.secret_arn.is_empty() {
            return refuse("secret_arn is empty".into());
        }
        if sink.procedure.is_some() != sink.table_type.is_some() {
            return refuse("procedure and table_type belong together: give both or neither".into());
        }
        for (index, key) in sink.keys.iter().enumerate() {
            if sink.keys[..index].contains(key) {
                return refuse(format!("the field `keys` names '{}' twice: take one out", key.as_str()));
            }
        }
        Ok(())
    }
}

impl SqlServerSink {
    /// Returns the table that the rows of `source` go to.
    #[must_use]
    pub fn table<'a>(&'a self, source: &'a ObjectName) -> &'a ObjectName {
        self.table.as_ref().unwrap_or(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_read_written_and_checked() {
        let read = |json: &str| serde_json::from_str::<SinkSpec>(json);
        let shortest = read(r#"{"sqlserver": {"secret_arn": "arn"}}"#).unwrap();
        assert!(shortest.check().is_ok());
        assert_eq!(
            serde_json::to_string(&shortest).unwrap(),
            r#"{"sqlserver":{"secret_arn":"arn"}}"#
        );
        let SinkSpec::SqlServer(sink) = &shortest;
        let source: ObjectName = "sales.orders".parse().unwrap();
        assert_eq!(sink.table(&source), &source);
        for (json, named) in [
            (r#"{"sqlserver": {"secret_arn": ""}}"#, "secret_arn"),
            (r#"{"sqlserver": {"secret_arn": "a", "procedure": "p"}}"#, "table_type"),
            (r#"{"sqlserver": {"secret_arn": "a", "table_type": "t"}}"#, "procedure"),
            (r#"{"sqlserver": {"secret_arn": "a", "keys": ["k", "k"]}}"#, "'k' twice"),
        ] {
            let error = read(json).unwrap().check().unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(error.to_string().contains(named), "{error}");
        }
        for (json, named) in [
            (r#"{"sqlserver": {}}"#, "secret_arn"),
            (r#"{"sqlserver": {"secret_arn": "a", "key": []}}"#, "key"),
            (r#"{"postgres": {}}"#, "postgres"),
        ] {
            assert!(read(json).unwrap_err().to_string().contains(named));
        }
    }
}

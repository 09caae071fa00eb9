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
#[serde(try_from = "Written", into = "Written")]
pub struct SqlServerSink {
    /// The ARN (or name) of the Secrets Manager secret of the database, in the form of an RDS secret.
    pub secret_arn: String,
    /// The table. It is named as the source when absent.
    pub table: Option<ObjectName>,
    /// The columns by which a row is found again. They are the table's primary key when absent.
    pub keys: Vec<Identifier>,
    /// The procedure that does the merge, if it is not Tidemark itself.
    pub procedure: Option<MergeProcedure>,
}

/// A procedure that does the merge, called with one table-valued parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeProcedure {
    /// The name of the procedure.
    pub name: ObjectName,
    /// The table type of its parameter.
    pub table_type: ObjectName,
}

/// A sink as it is written: the procedure and the table type of its parameter are two fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    secret_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<ObjectName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    procedure: Option<ObjectName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table_type: Option<ObjectName>,
}

impl TryFrom<Written> for SqlServerSink {
    type Error = &'static str;

    fn try_from(written: Written) -> std::result::Result<Self, Self::Error> {
        let procedure = match (written.procedure, written.table_type) {
            (Some(name), Some(table_type)) => Some(MergeProcedure { name, table_type }),
            (None, None) => None,
            _ => return Err("procedure and table_type belong together: give both or neither"),
        };
        Ok(Self {
            secret_arn: written.secret_arn,
            table: written.table,
            keys: written.keys,
            procedure,
        })
    }
}

impl From<SqlServerSink> for Written {
    fn from(sink: SqlServerSink) -> Self {
        let (procedure, table_type) = sink.procedure.map(|it| (it.name, it.table_type)).unzip();
        Self {
            secret_arn: sink.secret_arn,
            table: sink.table,
            keys: sink.keys,
            procedure,
            table_type,
        }
    }
}

impl SinkSpec {
    /// Checks what the structure of the JSON alone cannot ensure.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the secret is empty, or a key is named twice.
    pub fn check(&self) -> Result<()> {
        let Self::SqlServer(sink) = self;
        let refuse = |what: String| Err(Error::new(ErrorCode::InvalidInput, format!("sink: {what}")));
        if sink.secret_arn.is_empty() {
            return refuse("secret_arn is empty".into());
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
            (
                r#"{"sqlserver": {"secret_arn": "a", "procedure": "p"}}"#,
                "both or neither",
            ),
            (
                r#"{"sqlserver": {"secret_arn": "a", "table_type": "t"}}"#,
                "both or neither",
            ),
        ] {
            assert!(read(json).unwrap_err().to_string().contains(named));
        }
    }
}

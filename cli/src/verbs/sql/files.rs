//! How each engine is told of files: where they are, and how their format is read.

use tidemark::ledger::keys::LOAD_DATE_KEY;
use tidemark::model::format::{CsvOptions, Format, LineBreaks, Quote};

use super::Described;
use super::engine::Engine;

impl Described<'_> {
    /// Returns the statement that makes the files a table.
    pub(super) fn table(&self) -> String {
        match self.engine {
            Engine::Duckdb => self.duckdb_view(),
            Engine::Spark => self.spark_table(),
            Engine::Snowflake => self.snowflake_table(),
            Engine::Athena | Engine::Redshift => self.hive_table(),
        }
    }

    /// Returns the view of DuckDB. JSON lines and CSV are read by the columns that the ledger has, because what DuckDB
    /// finds by looking at some lines may not hold for the next. CSV is read as text and then cast, so that files with
    /// fewer columns are taken.
    fn duckdb_view(&self) -> String {
        let name = self.quoted(&self.name);
        let files = self.literal(&format!(
            "{}**/*.{}",
            without_patterns(&self.location),
            self.format.extension()
        ));
        let (reader, options, selected) = match self.format {
            Format::Parquet(_) => ("read_parquet", String::new(), "*".to_owned()),
            Format::Jsonl(_) => {
                let columns: Vec<String> = self
                    .columns
                    .iter()
                    .map(|column| {
                        format!(
                            "{}: {}",
                            self.literal(&column.name),
                            self.literal(&self.type_of(column))
                        )
                    })
                    .collect();
                let options = format!(", format = 'newline_delimited', columns = {{{}}}", columns.join(", "));
                ("read_json", options, "*".to_owned())
            }
            Format::Csv(options) => ("read_csv", self.duckdb_csv(options), self.cast_columns()),
        };
        format!(
            "CREATE OR REPLACE VIEW {name} AS\nSELECT {selected} FROM {reader}({files}, hive_partitioning = true, \
             hive_types_autocast = false, union_by_name = true{options});"
        )
    }

    fn duckdb_csv(&self, options: &CsvOptions) -> String {
        let quote = match options.quote {
            Quote::Minimal => "'\"'",
            Quote::None => "''",
        };
        let names = if options.header {
            String::new()
        } else {
            let names: Vec<String> = self.columns.iter().map(|column| self.literal(&column.name)).collect();
            // Several threads at once cannot tell which columns a line lacks when values have line breaks.
            let one_thread = match (options.quote, options.line_breaks) {
                (Quote::Minimal, LineBreaks::Keep) => ", parallel = false",
                _ => "",
            };
            format!(", names = [{}], null_padding = true{one_thread}", names.join(", "))
        };
        format!(
            ", all_varchar = true, header = {}, delim = {}, quote = {quote}, escape = {quote}, comment = '', nullstr = {}, \
             allow_quoted_nulls = false{names}",
            options.header,
            self.literal(&options.delimiter.to_string()),
            self.literal(&options.null),
        )
    }

    /// Returns every column cast to its own type, and the partitions.
    fn cast_columns(&self) -> String {
        let columns = self.columns.iter().map(|column| {
            let name = self.quoted(&column.name);
            format!("CAST({name} AS {}) AS {name}", self.type_of(column))
        });
        let partitions = self.partitions.iter().map(|key| self.quoted(key));
        columns.chain(partitions).collect::<Vec<_>>().join(", ")
    }

    /// Returns the table of Spark. Its columns are named, because Spark finds only those of one file by itself.
    fn spark_table(&self) -> String {
        let name = self.quoted(&self.name);
        let keys: Vec<String> = self.partitions.iter().map(|key| self.quoted(key)).collect();
        let columns = self.described_columns();
        let partitions = keys
            .iter()
            .map(|key| format!("  {key} string"))
            .collect::<Vec<_>>()
            .join(",\n");
        let mut options = format!("path {}", self.literal(&self.location));
        if let Format::Csv(csv) = self.format {
            let quote = match csv.quote {
                Quote::Minimal => "\"",
                Quote::None => "",
            };
            options.push_str(&format!(
                ", header '{}', sep {}, quote '{quote}', escape '\"', multiLine 'true', nullValue {}",
                csv.header,
                self.literal(&csv.delimiter.to_string()),
                self.literal(&csv.null),
            ));
        }
        format!(
            "CREATE TABLE {name} (\n{columns},\n{partitions}\n)\nUSING {}\nOPTIONS ({options})\nPARTITIONED BY ({});\n\
             MSCK REPAIR TABLE {name};",
            self.format_word().to_lowercase(),
            keys.join(", ")
        )
    }

    fn snowflake_table(&self) -> String {
        let file_format = match self.format {
            Format::Parquet(_) | Format::Jsonl(_) => String::new(),
            Format::Csv(csv) => {
                let enclosed = match csv.quote {
                    Quote::Minimal => "'\"'",
                    Quote::None => "NONE",
                };
                // Values in quotes are compared with NULL_IF as well, but only a field without quotes is an empty
                // field.
                let null = if csv.null.is_empty() {
                    "NULL_IF = () EMPTY_FIELD_AS_NULL = TRUE".to_owned()
                } else {
                    format!("NULL_IF = ({}) EMPTY_FIELD_AS_NULL = FALSE", self.literal(&csv.null))
                };
                format!(
                    " FIELD_DELIMITER = {} SKIP_HEADER = {} FIELD_OPTIONALLY_ENCLOSED_BY = {enclosed} {null} \
                     ESCAPE_UNENCLOSED_FIELD = NONE ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE",
                    self.literal(&csv.delimiter.to_string()),
                    u8::from(csv.header),
                )
            }
        };
        format!(
            "CREATE OR REPLACE EXTERNAL TABLE {} (\n{}\n)\nPARTITION BY ({})\nLOCATION = @tidemark/{}\n\
             FILE_FORMAT = (TYPE = {}{file_format})\nAUTO_REFRESH = FALSE;",
            self.quoted(&self.name),
            self.snowflake_columns(),
            self.partitions
                .iter()
                .map(|key| self.quoted(key))
                .collect::<Vec<_>>()
                .join(", "),
            self.location.rsplit('/').nth(1).unwrap_or_default(),
            self.format_word()
        )
    }

    /// Returns the table of Athena or Redshift. Both read a folder with all that is below it, so the windows are no
    /// partitions, which somebody would have to register one by one, and the views take a window's name from the path
    /// of its files. Days are few enough to be known in advance, so Athena projects them.
    fn hive_table(&self) -> String {
        let (name, location) = (self.quoted_in_ddl(&self.name), self.literal(&self.location));
        let columns = self.described_columns();
        let stored = self.hive_format();
        let has_header = matches!(self.format, Format::Csv(csv) if csv.header);
        let mut properties = Vec::new();
        if has_header {
            properties.push("'skip.header.line.count' = '1'".to_owned());
        }
        if self.engine == Engine::Redshift {
            let properties = properties.first().map(|one| format!("\nTABLE PROPERTIES ({one})"));
            return format!(
                "CREATE EXTERNAL TABLE tidemark.{name} (\n{columns}\n)\n{stored}\nLOCATION {location}{};",
                properties.unwrap_or_default()
            );
        }
        let mut partitioned = String::new();
        if self.partitions.contains(&LOAD_DATE_KEY) {
            partitioned = format!("PARTITIONED BY (`{LOAD_DATE_KEY}` string)\n");
            let days = format!("{}{LOAD_DATE_KEY}=${{{LOAD_DATE_KEY}}}/", self.location);
            properties.extend([
                "'projection.enabled' = 'true'".to_owned(),
                format!("'projection.{LOAD_DATE_KEY}.type' = 'date'"),
                format!("'projection.{LOAD_DATE_KEY}.format' = 'yyyy-MM-dd'"),
                format!("'projection.{LOAD_DATE_KEY}.range' = '{},NOW'", self.first_day),
                format!("'storage.location.template' = {}", self.literal(&days)),
            ]);
        }
        let properties = if properties.is_empty() {
            String::new()
        } else {
            format!("\nTBLPROPERTIES (\n  {}\n)", properties.join(",\n  "))
        };
        format!("CREATE EXTERNAL TABLE {name} (\n{columns}\n)\n{partitioned}{stored}\nLOCATION {location}{properties};")
    }

    /// Returns the clause for the reader of the files. For CSV there are two readers in Hive, Athena and Redshift: one
    /// knows quotes but only texts, and the other knows no quotes.
    fn hive_format(&self) -> String {
        const SERDE: &str = "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.";
        match self.format {
            Format::Parquet(_) => "STORED AS PARQUET".to_owned(),
            Format::Jsonl(_) => "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\nSTORED AS TEXTFILE".to_owned(),
            Format::Csv(csv) => {
                let delimiter = self.literal(&csv.delimiter.to_string());
                let (serde, properties) = match csv.quote {
                    // This reader always has an escape character, and drops it. A character that no text has keeps
                    // backslashes.
                    Quote::Minimal => {
                        // Redshift does not decode such an escape, and takes the character itself.
                        let escape = match self.engine {
                            Engine::Redshift => "\u{1}",
                            _ => "\\u0001",
                        };
                        let all =
                            format!("'separatorChar' = {delimiter}, 'quoteChar' = '\"', 'escapeChar' = '{escape}'");
                        ("OpenCSVSerde", all)
                    }
                    Quote::None => {
                        let escape = match csv.line_breaks {
                            LineBreaks::Escape => ", 'escape.delim' = '\\\\', 'serialization.escape.crlf' = 'true'",
                            LineBreaks::Keep | LineBreaks::Space | LineBreaks::Fail => "",
                        };
                        let null = self.literal(&csv.null);
                        let all = format!("'field.delim' = {delimiter}, 'serialization.null.format' = {null}{escape}");
                        ("lazy.LazySimpleSerDe", all)
                    }
                };
                format!("{SERDE}{serde}'\nWITH SERDEPROPERTIES ({properties})\nSTORED AS TEXTFILE")
            }
        }
    }

    const fn format_word(&self) -> &'static str {
        match self.format {
            Format::Parquet(_) => "PARQUET",
            Format::Csv(_) => "CSV",
            Format::Jsonl(_) => "JSON",
        }
    }
}

/// Returns a path in which DuckDB finds no pattern: each of its characters stands in a set of its own.
fn without_patterns(path: &str) -> String {
    let escaped = path.chars().map(|c| match c {
        '*' | '?' | '[' => format!("[{c}]"),
        _ => c.to_string(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_the_characters_of_patterns_is_meant_as_it_is() {
        assert_eq!(without_patterns("/a[1]/b*c?/"), "/a[[]1]/b[*]c[?]/");
    }
}

//! Microsoft's tutorials: their scripts word for word, and the files that they end with.

use std::io;

use tidemark::model::table::TableSpec;

use crate::s3_server::S3Server;

/// The source and the control table of the tutorial for one table, word for word.
pub const SCRIPT: &str = include_str!("../tutorials/one_table.sql");

/// The changes before the second run.
pub const CHANGES: [&str; 2] = [
    "INSERT INTO data_source_table VALUES (6, 'newdata','9/6/2017 2:23:00 AM')",
    "INSERT INTO data_source_table VALUES (7, 'newdata','9/7/2017 9:01:00 AM')",
];

/// The lines of the first run's file.
pub const FIRST_RUN: [&str; 5] = [
    "1,aaaa,2017-09-01 00:56:00.0000000",
    "2,bbbb,2017-09-02 05:23:00.0000000",
    "3,cccc,2017-09-03 02:36:00.0000000",
    "4,dddd,2017-09-04 03:21:00.0000000",
    "5,eeee,2017-09-05 08:06:00.0000000",
];

/// The lines of the second run's file.
pub const SECOND_RUN: [&str; 2] = [
    "6,newdata,2017-09-06 02:23:00.0000000",
    "7,newdata,2017-09-07 09:01:00.0000000",
];

/// Makes the settings of a table with the tutorial's file format.
pub fn spec(table: &str, column: &str) -> serde_json::Result<TableSpec> {
    serde_json::from_value(serde_json::json!({
        "table": table,
        "tracking": { "watermark": { "column": column, "settle_seconds": 0 } },
        "format": { "csv": {
            "header": false, "null": "\\N", "quote": "none", "fraction_digits": 7, "line_end": "\r\n",
        } },
    }))
}

/// Returns the lines of every visible part of `table` under the prefix `tidemark`, sorted, as any reader finds the
/// files.
pub fn lines(s3: &S3Server, table: &str) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for window in std::fs::read_dir(s3.files().join("tidemark").join(table))? {
        let window = window?.path();
        if !window.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(window)? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with("part-") {
                let text = std::fs::read_to_string(file.path())?;
                lines.extend(text.split_terminator("\r\n").map(str::to_owned));
            }
        }
    }
    lines.sort();
    Ok(lines)
}

/// The tutorial for many tables: its scripts word for word, and what its destination ends with.
pub mod many_tables {
    /// The source tables.
    pub const SOURCE: &str = include_str!("../tutorials/many_tables_source.sql");
    /// The changes before the second run.
    pub const CHANGES: &str = include_str!("../tutorials/many_tables_changes.sql");
    /// The destination: its tables, the control table, the table types and the procedures.
    pub const DESTINATION: &str = include_str!("../tutorials/many_tables_destination.sql");

    /// `customer_table` after the first run.
    pub const CUSTOMERS: [&str; 5] = [
        "1|John|2017-09-01 00:56:00.000",
        "2|Mike|2017-09-02 05:23:00.000",
        "3|Alice|2017-09-03 02:36:00.000",
        "4|Andy|2017-09-04 03:21:00.000",
        "5|Anny|2017-09-05 08:06:00.000",
    ];
    /// `customer_table` after the second run.
    pub const CUSTOMERS_AFTER: [&str; 5] = [
        CUSTOMERS[0],
        CUSTOMERS[1],
        "3|NewName|2017-09-08 00:00:00.000",
        CUSTOMERS[3],
        CUSTOMERS[4],
    ];
    /// `project_table` after the first run.
    pub const PROJECTS: [&str; 3] = [
        "project1|2015-01-01 00:00:00.000",
        "project2|2016-02-02 01:23:00.000",
        "project3|2017-03-04 05:16:00.000",
    ];
    /// `project_table` after the second run.
    pub const PROJECTS_AFTER: [&str; 4] = [
        PROJECTS[0],
        PROJECTS[1],
        PROJECTS[2],
        "NewProject|2017-10-01 00:00:00.000",
    ];
    /// `watermarktable` after the first run.
    pub const WATERMARKS: [&str; 2] = [
        "customer_table|2017-09-05 08:06:00.000",
        "project_table|2017-03-04 05:16:00.000",
    ];
    /// `watermarktable` after the second run.
    pub const WATERMARKS_AFTER: [&str; 2] = [
        "customer_table|2017-09-08 00:00:00.000",
        "project_table|2017-10-01 00:00:00.000",
    ];
}

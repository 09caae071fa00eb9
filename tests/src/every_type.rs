//! A table with every type of SQL Server, and rows at the edges of each type, with NULLs and blanks.

/// Its columns and their types.
pub const COLUMNS: [(&str, &str); 41] = [
    ("k", "int"),
    ("at", "datetime2(7)"),
    ("a", "bit"),
    ("b", "tinyint"),
    ("c", "smallint"),
    ("d", "int"),
    ("e", "bigint"),
    ("f", "decimal(38,10)"),
    ("g", "numeric(5,2)"),
    ("h", "money"),
    ("i", "smallmoney"),
    ("j", "real"),
    ("l", "float"),
    ("m", "char(5)"),
    ("n", "varchar(20)"),
    ("o", "varchar(max)"),
    ("p", "nchar(5)"),
    ("q", "nvarchar(20)"),
    ("r", "nvarchar(max)"),
    ("s", "text"),
    ("t", "ntext"),
    ("u", "binary(4)"),
    ("v", "varbinary(20)"),
    ("w", "varbinary(max)"),
    ("x", "image"),
    ("y", "date"),
    ("z", "time(7)"),
    ("aa", "time(0)"),
    ("ab", "smalldatetime"),
    ("ac", "datetime"),
    ("ad", "datetime2(0)"),
    ("ae", "datetimeoffset(7)"),
    ("af", "datetimeoffset(2)"),
    ("ag", "uniqueidentifier"),
    ("ah", "xml"),
    ("ai", "hierarchyid"),
    ("aj", "geography"),
    ("ak", "nvarchar(2000)"),
    ("al", "nvarchar(2001)"),
    ("am", "varchar(3000)"),
    ("an", "nvarchar(4000)"),
];

/// Its rows, which a real server takes as well.
pub const EDGES: &str = "INSERT every VALUES
    (1, '2020-01-01T00:00:00.1234567', 1, 255, 32767, 2147483647, 9223372036854775807, 9999999999999999999999999999.9999999999, 999.99,
     922337203685477.5807, 214748.3647, 3.4028234e38, 1.7976931348623157e308, 'ab', 'café €', 'x', N'漢字', N'🦀 ', N'long', 'text', N'ntext',
     0x01020304, 0x, 0x00FF, 0xFF, '9999-12-31', '23:59:59.9999999', '23:59:59', '2079-06-06T23:59:00', '9999-12-31T23:59:59.997',
     '9999-12-31T23:59:59', '9999-12-31T23:59:59.9999999+00:00', '2020-02-29T12:00:00.12-08:00', '6F9619FF-8B86-D011-B42D-00C04FC964FF',
     '<a>1</a>', CAST(0x58 AS hierarchyid), CAST(0xE6100000010C00000000000000000000000000000000 AS geography),
     REPLICATE(N'漢', 2000), REPLICATE(N'漢', 2001), REPLICATE('é', 3000), REPLICATE(N'ü', 4000)),
    (2, '2020-01-01T00:00:00.1234568', 0, 0, -32768, -2147483648, -9223372036854775808, -9999999999999999999999999999.9999999999, -999.99,
     -922337203685477.5808, -214748.3648, 1.18e-38, 2.23e-308, '', '', '', N'', N'', N'', '', N'', 0x, 0x00, 0x, 0x,
     '0001-01-01', '00:00:00', '00:00:00', '1900-01-01', '1753-01-01', '0001-01-01', '0001-01-01T00:00:00+00:00', '0001-01-02T00:00:00+14:00',
     '00000000-0000-0000-0000-000000000000', '', CAST(0x AS hierarchyid), NULL, N'', N'', '', N''),
    (3, '2020-01-01T00:00:00.1234569', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '2020-01-01T00:00:00.1234570', 1, 1, 1, 1, 1, 0.0000000001, 0.01, 0.0001, 0.0001, 0.1, 0.1, ' b  ', ' ', REPLICATE(CAST('z' AS varchar(max)), 100000),
     N' ', N'a''b', REPLICATE(CAST(N'ü' AS nvarchar(max)), 70000), ' ', N' ', 0x00, 0x0000, CAST(REPLICATE(CAST('z' AS varchar(max)), 90000) AS varbinary(max)), 0x00,
     '1970-01-01', '00:00:00.0000001', '12:00:00', '2000-01-01T12:34:00', '2017-09-05T08:06:00.003', '2017-09-05T08:06:00', '2017-09-05T08:06:00.1234567+05:30',
     '2017-09-05T08:06:00.07-14:00', NEWID(), '<a b=\"c\">  <d/> </a>', NULL, NULL, N' ', N'a ', ' b', N'🦀')";

/// A statement that changes two of the rows.
pub const CHANGES: &str = "UPDATE every SET at = '2021-01-01', q = N'changed' WHERE k IN (1, 3)";

/// Returns the statement that creates the table, `every`, with the key `k` and the watermark column `at`.
#[must_use]
pub fn create() -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, sql_type)| match *name {
            "k" => format!("k {sql_type} NOT NULL PRIMARY KEY"),
            "at" => format!("at {sql_type} NOT NULL"),
            _ => format!("{name} {sql_type} NULL"),
        })
        .collect();
    format!("CREATE TABLE every ({})", columns.join(", "))
}

/// Returns the query for the rows in the order of their keys, with the values of CLR types as their bytes.
#[must_use]
pub fn select() -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, sql_type)| match *sql_type {
            "hierarchyid" | "geography" => format!("CAST({name} AS varbinary(max))"),
            _ => (*name).to_owned(),
        })
        .collect();
    format!("SELECT {} FROM every ORDER BY k", columns.join(", "))
}

/// Returns the query for the rows in the order of their keys, with each value as its bytes or as those of a text that
/// has all of it.
#[must_use]
pub fn select_bytes() -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, sql_type)| {
            let bytes = match *sql_type {
                "text" => format!("CAST({name} AS varchar(max))"),
                "ntext" | "xml" => format!("CAST({name} AS nvarchar(max))"),
                "real" | "float" => format!("CONVERT(varchar(60), {name}, 3)"),
                "money" | "smallmoney" => format!("CONVERT(varchar(60), {name}, 2)"),
                time if time.contains("date") || time.contains("time") => format!("CONVERT(varchar(60), {name}, 121)"),
                number if ["decimal", "numeric"].iter().any(|kind| number.starts_with(kind)) => {
                    format!("CAST({name} AS varchar(60))")
                }
                _ => (*name).to_owned(),
            };
            format!("CAST({bytes} AS varbinary(max))")
        })
        .collect();
    format!("SELECT {} FROM every ORDER BY k", columns.join(", "))
}

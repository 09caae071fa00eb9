"""The first Azure Data Factory incremental-copy tutorial: its scripts as they stand there, and what must come out."""

from __future__ import annotations

from typing import Any

TABLE = "dbo.data_source_table"
TRACKING_COLUMN = "LastModifytime"

SOURCE_TABLE = """\
create table data_source_table
(
    PersonID int,
    Name varchar(255),
    LastModifytime datetime
);
INSERT INTO data_source_table (PersonID, Name, LastModifytime) VALUES
(1, 'aaaa','9/1/2017 12:56:00 AM'),
(2, 'bbbb','9/2/2017 5:23:00 AM'),
(3, 'cccc','9/3/2017 2:36:00 AM'),
(4, 'dddd','9/4/2017 3:21:00 AM'),
(5, 'eeee','9/5/2017 8:06:00 AM');
"""

WATERMARK_TABLE = """\
create table watermarktable
(
TableName varchar(255),
WatermarkValue datetime,
);
INSERT INTO watermarktable VALUES ('data_source_table','1/1/2010 12:00:00 AM')
"""

WATERMARK_PROCEDURE = """\
CREATE PROCEDURE usp_write_watermark @LastModifiedtime datetime, @TableName varchar(50)
AS
BEGIN
UPDATE watermarktable
SET [WatermarkValue] = @LastModifiedtime
WHERE [TableName] = @TableName
END
"""

SCRIPT = "GO\n".join((SOURCE_TABLE, WATERMARK_TABLE, WATERMARK_PROCEDURE))

NEW_ROWS = (
    "INSERT INTO data_source_table VALUES (6, 'newdata','9/6/2017 2:23:00 AM')",
    "INSERT INTO data_source_table VALUES (7, 'newdata','9/7/2017 9:01:00 AM')",
)

CSV_FORMAT: dict[str, Any] = {
    "csv": {"header": False, "null": "\\N", "quote": "none", "fraction_digits": 7, "line_end": "\r\n"}
}
"""The options that make the tutorial's own files."""

FIRST_WATERMARK = "2017-09-05T08:06:00.000"
SECOND_WATERMARK = "2017-09-07T09:01:00.000"

FIRST_LINES = {
    "1,aaaa,2017-09-01 00:56:00.0000000",
    "2,bbbb,2017-09-02 05:23:00.0000000",
    "3,cccc,2017-09-03 02:36:00.0000000",
    "4,dddd,2017-09-04 03:21:00.0000000",
    "5,eeee,2017-09-05 08:06:00.0000000",
}
SECOND_LINES = {
    "6,newdata,2017-09-06 02:23:00.0000000",
    "7,newdata,2017-09-07 09:01:00.0000000",
}


def table_spec(table: str = TABLE, file_format: Any = "parquet", settle_seconds: int = 0) -> dict[str, Any]:
    """How the tutorial's table, or one made like it, is copied."""
    return {
        "table": table,
        "tracking": {"watermark": {"column": TRACKING_COLUMN, "settle_seconds": settle_seconds}},
        "format": file_format,
    }

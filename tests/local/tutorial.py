"""The Azure Data Factory incremental-copy tutorials: their scripts word for word, and the expected results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TABLE = "dbo.data_source_table"
TRACKING_COLUMN = "LastModifytime"

_SCRIPTS = Path(__file__).parent.parent / "tutorials"
SCRIPT = (_SCRIPTS / "one_table.sql").read_text()
SOURCE_TABLE, WATERMARK_TABLE, WATERMARK_PROCEDURE = SCRIPT.removesuffix("GO\n").split("GO\n")

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
    """Returns the settings with which the tutorial's table, or one made like it, is copied."""
    return {
        "table": table,
        "tracking": {"watermark": {"column": TRACKING_COLUMN, "settle_seconds": settle_seconds}},
        "format": file_format,
    }

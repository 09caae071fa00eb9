"""The third Azure Data Factory incremental-copy tutorial: its scripts word for word, and the expected results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCRIPT = (Path(__file__).parent.parent / "tutorials" / "change_tracking.sql").read_text()

PARAMETERS = {
    "WatermarkTable": "dbo.table_store_ChangeTracking_version",
    "WatermarkProcedure": "dbo.Update_ChangeTracking_Version",
}
"""The parameters of the template, for the tutorial's own version store."""

CHANGES = (
    "INSERT INTO data_source_table (PersonID, Name, Age) VALUES (6, 'new','50');",
    "UPDATE data_source_table\nSET [Age] = '10', [name]='update' where [PersonID] = 1",
)
DELETE = "DELETE FROM data_source_table WHERE PersonID = 3"

LOAD_LINES = {
    "1,aaaa,21,0,I",
    "2,bbbb,24,0,I",
    "3,cccc,20,0,I",
    "4,dddd,26,0,I",
    "5,eeee,22,0,I",
}
"""The five rows of the tutorial's full copy, with the version of the load."""
CHANGE_LINES = {"1,update,10,2,U", "6,new,50,1,I"}
DELETE_LINES = {"3,\\N,\\N,3,D"}
"""The row of the delete. The tutorial shows no delete, and its query would lose the key."""


def table_spec(table: str = "dbo.data_source_table", file_format: Any = "parquet", **settings: str) -> dict[str, Any]:
    """Returns the settings with which the tutorial's table, or one made like it, is copied."""
    return {"table": table, "tracking": {"change_tracking": settings}, "format": file_format}

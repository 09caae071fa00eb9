"""Every type at its edges, as the driver gives the values and as a reader must find them."""

from __future__ import annotations

import json
import struct
import subprocess
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

DAYS_TO_1900 = 693_595


def days(text: str) -> int:
    """Returns the days since 0001-01-01."""
    return date.fromisoformat(text).toordinal() - 1


def ticks(text: str) -> int:
    """Returns the units of 100 ns since midnight."""
    whole, _, fraction = text.partition(".")
    moment = time.fromisoformat(whole)
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return seconds * 10_000_000 + int(fraction.ljust(7, "0") or 0)


def micros(text: str) -> str:
    """Returns a point in time without its seventh digit."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(7, '0')[:6]}"


@dataclass(frozen=True)
class Edge:
    """A value on the wire, and the value in a Parquet file, as `canonical` writes it."""

    wire: Any
    canonical: tuple[str, str]
    native: tuple[str, str] | None = None
    """The value with `"types": "native"`, where that is another one."""


@dataclass(frozen=True)
class Type:
    """A type and values at its edges. NULL comes after them."""

    name: str
    edges: list[Edge]
    label: str = ""
    """The name of the type on the page."""


def canonical(value: Any) -> tuple[str, str] | None:
    """Returns the kind of value that a reader made of it, and its text, which is the same for the same value."""
    match value:
        case None:
            return None
        case bool():
            return "bool", str(value).lower()
        case int():
            return "int", str(value)
        case Decimal():
            return "decimal", f"{value:f}"
        case float():
            return "float", struct.pack("<d", value).hex()
        case str():
            return "text", value
        case bytes() | bytearray() | memoryview():
            return "bytes", bytes(value).hex()
        case uuid.UUID():
            return "uuid", str(value).upper()
        case datetime() if value.tzinfo is None:
            return "timestamp", value.isoformat(timespec="microseconds")
        case datetime():
            return "instant", value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        case date():
            return "date", value.isoformat()
        case time():
            return "time", value.isoformat(timespec="microseconds")
        case timedelta():
            return "interval", str(value)
    return type(value).__name__, str(value)


def _whole(kind: str, *values: int) -> list[Edge]:
    return [Edge({kind: value}, ("int", str(value))) for value in values]


def _decimals(scale: int, *values: str) -> list[Edge]:
    with localcontext(prec=60):
        return _exact_decimals(scale, *values)


def _exact_decimals(scale: int, *values: str) -> list[Edge]:
    return [
        Edge({"decimal": [str(int(Decimal(text).scaleb(scale))), scale]}, ("decimal", f"{Decimal(text):.{scale}f}"))
        for text in values
    ]


def _floats(kind: str, *values: float) -> list[Edge]:
    def read(value: float) -> float:
        return struct.unpack("<f", struct.pack("<f", value))[0] if kind == "real" else value

    return [Edge({kind: value}, ("float", struct.pack("<d", read(value)).hex())) for value in values]


def _texts(*values: str) -> list[Edge]:
    return [Edge({"text": value}, ("text", value)) for value in values]


def _bytes(*values: str) -> list[Edge]:
    return [Edge({"bytes": list(bytes.fromhex(value))}, ("bytes", value.lower())) for value in values]


def _guids(*values: str) -> list[Edge]:
    return [Edge({"guid": value}, ("text", value.upper()), ("uuid", value.upper())) for value in values]


def _times(digits: int, *values: str) -> list[Edge]:
    return [
        Edge({"time": [ticks(text), digits]}, ("text", text), ("time", micros(text).ljust(15, "0"))) for text in values
    ]


def _moments(digits: int, *values: str) -> list[Edge]:
    edges = []
    for text in values:
        day, _, clock = text.partition("T")
        wire = {"datetime2": [days(day), ticks(clock), digits]}
        edges.append(Edge(wire, ("timestamp", micros(text))))
    return edges


def _datetimes(**values: tuple[str, int]) -> list[Edge]:
    return [
        Edge({"datetime": [days(text.partition("T")[0]) - DAYS_TO_1900, units]}, ("timestamp", micros(text)))
        for text, units in values.values()
    ]


def _minutes(*values: str) -> list[Edge]:
    edges = []
    for text in values:
        day, _, clock = text.partition("T")
        minute = ticks(clock) // 600_000_000
        edges.append(Edge({"smalldatetime": [days(day) - DAYS_TO_1900, minute]}, ("timestamp", micros(text))))
    return edges


def _offsets(*values: tuple[str, int]) -> list[Edge]:
    """Returns edges in UTC, with the offset in minutes."""
    edges = []
    for text, offset in values:
        day, _, clock = text.partition("T")
        wire = {"datetimeoffset": [days(day), ticks(clock), 7, offset]}
        edges.append(Edge(wire, ("instant", micros(text))))
    return edges


MAX38 = "9" * 38
TYPES = [
    Type("bit", [Edge({"bit": value}, ("bool", str(value).lower())) for value in (True, False)]),
    Type("tinyint", _whole("tinyint", 0, 255)),
    Type("smallint", _whole("smallint", -32768, 32767)),
    Type("int", _whole("int", -(2**31), 2**31 - 1)),
    Type("bigint", _whole("bigint", -(2**63), 2**63 - 1, 2**53 + 1)),
    Type("decimal(9,2)", _decimals(2, "-9999999.99", "1.5"), "`decimal` to 9 digits"),
    Type("decimal(18,4)", _decimals(4, "-99999999999999.9999", "1.5"), "`decimal` to 18 digits"),
    Type("decimal(38,10)", _decimals(10, f"{MAX38[:28]}.{MAX38[:10]}", "-0.0000000001"), "`decimal` to 38 digits"),
    Type("decimal(38,38)", _decimals(38, f"0.{MAX38}", "0"), "`decimal(38,38)`"),
    Type("money", _decimals(4, "922337203685477.5807", "-922337203685477.5808")),
    Type("smallmoney", _decimals(4, "214748.3647", "-214748.3648")),
    Type("real", _floats("real", 3.4028234663852886e38, -1.1754943508222875e-38, 0.1)),
    Type("float", _floats("float", 1.7976931348623157e308, -2.2250738585072014e-308, 0.1)),
    Type("char(5)", _texts("ab   ", "     "), "`char`"),
    Type("varchar(20)", _texts("", " blanks ", "café €", "\\N", "NULL"), "`varchar`"),
    Type(
        "nvarchar(40)",
        _texts("😀 中文 ", "\"a\", 'b'", "one\r\ntwo\t", "a,b;c|d", "C:\\new"),
        "`nvarchar`",
    ),
    Type("nvarchar(max)", _texts("😀" * 5000, ""), "`nvarchar(max)`, `text`, `ntext`, `json`"),
    Type("xml", _texts('<a b="é">&lt;</a>')),
    Type("binary(4)", _bytes("01000000"), "`binary`"),
    Type("varbinary(max)", _bytes("", "00FF4D"), "`varbinary`, `image`, CLR types"),
    Type("rowversion", _bytes("00000000000007D1")),
    Type(
        "uniqueidentifier",
        _guids("6f9619ff-8b86-d011-b42d-00c04fc964ff", "00000000-0000-0000-0000-000000000000"),
    ),
    Type(
        "date",
        [Edge({"date": days(text)}, ("date", text)) for text in ("2017-09-01", "1969-12-31", "2199-12-31")],
        "`date`",
    ),
    Type(
        "date",
        [Edge({"date": days(text)}, ("date", text)) for text in ("0001-01-01", "1582-10-04", "9999-12-31")],
        "`date` 0001, 1582, 9999",
    ),
    Type("time(0)", _times(0, "00:00:00", "23:59:59"), "`time(0)`"),
    Type("time(7)", _times(7, "00:00:00.0000001", "23:59:59.9999999"), "`time(7)`"),
    Type("smalldatetime", _minutes("1900-01-01T00:00:00", "2079-06-06T23:59:00")),
    Type("datetime", _datetimes(a=("2017-09-05T08:06:00.003", 8_748_001)), "`datetime`"),
    Type(
        "datetime",
        _datetimes(a=("1753-01-01T00:00:00", 0), b=("9999-12-31T23:59:59.997", 25_919_999)),
        "`datetime` 1753, 9999",
    ),
    Type("datetime2(7)", _moments(7, "2017-09-05T08:06:00.1234567", "1969-12-31T23:59:59.9999999"), "`datetime2`"),
    Type(
        "datetime2(7)",
        _moments(7, "0001-01-01T00:00:00", "1582-10-04T12:00:00", "9999-12-31T23:59:59.9999999"),
        "`datetime2` 0001, 1582, 9999",
    ),
    Type(
        "datetimeoffset(7)",
        _offsets(("2017-09-05T08:06:00.1234567", 840), ("2017-09-05T08:06:00.1234567", -839)),
        "`datetimeoffset`",
    ),
    Type(
        "datetimeoffset(7)",
        _offsets(("0001-01-01T00:00:00", 0), ("9999-12-31T23:59:59.9999999", 0)),
        "`datetimeoffset` 0001, 9999",
    ),
]


@dataclass
class File:
    """A file to be written, and its expected values by the column, in the order of `id`, which counts from 1."""

    folder: str
    columns: dict[str, tuple[str, list[Any]]]
    """The type and the values on the wire, by the column's name."""
    expected: dict[str, list[tuple[str, str] | None]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = "part-00000"
    first_id: int = 1
    nullable: bool = True

    def request(self, root: Path) -> str:
        """Returns the request for the writer, which is one line."""
        rows = max(len(values) for _, values in self.columns.values())
        table = {"table": "dbo.t", "tracking": {"watermark": {"column": "id"}}, **self.settings}
        columns = [{"name": "id", "sql_type": "int", "nullable": False}]
        columns += [
            {"name": name, "sql_type": sql_type, "nullable": self.nullable}
            for name, (sql_type, _) in self.columns.items()
        ]
        lines = []
        for row in range(rows):
            values = [values[row] if row < len(values) else None for _, values in self.columns.values()]
            lines.append([{"int": row + self.first_id}, *values])
        request = {"file": str(root / self.folder / self.name), "table": table, "columns": columns, "rows": lines}
        return json.dumps(request)


def file_of(kind: Type, folder: str, *, native: bool = False, **settings: Any) -> File:
    """Returns a file with a column `v` of the type, and a row of NULL."""
    values = [edge.wire for edge in kind.edges]
    expected = [edge.native if native and edge.native else edge.canonical for edge in kind.edges]
    if native:
        settings["types"] = "native"
    return File(folder, {"v": (kind.name, [*values, None])}, {"v": [*expected, None]}, settings)


def write(writer: Path, root: Path, files: list[File]) -> None:
    """Writes the files with the writer."""
    requests = "\n".join(file.request(root) for file in files)
    subprocess.run([writer], input=requests.encode(), check=True)

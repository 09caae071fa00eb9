"""Reads folders of files with Spark, in whose Python this runs: a list of requests in, the rows of each folder out."""

from __future__ import annotations

import json
import sys
from decimal import Decimal, localcontext
from typing import Any

from cases import canonical
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, expr, lit
from pyspark.sql.types import DayTimeIntervalType, DecimalType, TimestampNTZType, TimestampType


def read(spark: SparkSession, request: dict[str, Any]) -> list[dict[str, tuple[str, str] | None]]:
    """Reads a folder. Points in time are asked for as microseconds, because Python's own conversion of some fails."""
    reader = spark.read.options(mergeSchema="true", **request.get("options", {}))
    frame = reader.format(request.get("format", "parquet")).load(request["path"])
    kinds = {field.name: field.dataType for field in frame.schema.fields}
    items = []
    for name, kind in kinds.items():
        quoted = f"`{name.replace('`', '``')}`"
        if isinstance(kind, TimestampType):
            items.append(expr(f"unix_micros({quoted})").alias(name))
        elif isinstance(kind, TimestampNTZType):
            items.append(expr(f"unix_micros(cast({quoted} as timestamp))").alias(name))
        elif isinstance(kind, DayTimeIntervalType):
            items.append(lit("interval").alias(name))
        else:
            items.append(col(quoted))
    return [{name: value(kinds[name], row[name]) for name in kinds} for row in frame.select(*items).collect()]


def value(kind: object, raw: object) -> tuple[str, str] | None:
    """Returns a value in the terms of the other readers."""
    from datetime import datetime, timedelta

    if raw is not None and isinstance(kind, (TimestampType, TimestampNTZType)):
        moment = datetime(1970, 1, 1) + timedelta(microseconds=raw)  # type: ignore[arg-type]
        text = moment.isoformat(timespec="microseconds")
        return ("instant" if isinstance(kind, TimestampType) else "timestamp"), text
    if raw is not None and isinstance(kind, DecimalType):
        # Small values come with more zeros than the type has digits.
        with localcontext(prec=60):
            exact = raw.quantize(Decimal(1).scaleb(-kind.scale))
        return canonical(exact if exact == raw else raw)
    return canonical(raw)


def main() -> None:
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    answers: dict[str, object] = {}
    for request in json.load(sys.stdin):
        try:
            answers[request["path"]] = read(spark, request)
        except Exception as error:
            answers[request["path"]] = str(error).splitlines()[0][:200]
    print(json.dumps(answers))


main()

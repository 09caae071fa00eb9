"""Runs statements with Spark, in whose Python this runs: a list of requests in, the answer to each query out.

The catalog is Hive's, in a folder of its own, so that tables of Hive's readers can be made.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from pyspark.sql import SparkSession


def main() -> None:
    requests = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        builder = SparkSession.builder.master("local[1]").enableHiveSupport()
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": f"{folder}/warehouse",
            "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/catalog;create=true",
            # Athena reads a folder with all folders below it.
            "spark.hadoop.mapreduce.input.fileinputformat.input.dir.recursive": "true",
            "spark.hadoop.hive.mapred.supports.subdirectories": "true",
        }
        for key, value in settings.items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("OFF")
        answers: list[object] = []
        for request in requests:
            try:
                for statement in request["statements"]:
                    spark.sql(statement)
                answers.append([[str(cell) for cell in row] for row in spark.sql(request["query"]).collect()])
            except Exception as error:
                answers.append(str(error)[:2000])
        spark.stop()
        os.chdir("/")
    print(json.dumps(answers))


main()

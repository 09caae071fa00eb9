"""Reads with mssql-python and writes Parquet with pyarrow: the rows of one statement, in batches."""

import os

import mssql_python
import pyarrow.parquet as pq

connection = mssql_python.connect(
    "SERVER={PEER_HOST},{PEER_PORT};DATABASE={PEER_DATABASE};UID={PEER_USER};PWD={PEER_PASSWORD};"
    "Encrypt=yes;TrustServerCertificate={PEER_TRUST}".format_map(os.environ)
)
cursor = connection.cursor()
cursor.execute(os.environ["PEER_SQL"])
reader = cursor.arrow_reader(batch_size=65536)
with pq.ParquetWriter(os.environ["PEER_FILE"], reader.schema, compression="zstd", compression_level=1) as writer:
    for batch in reader:
        writer.write_batch(batch)

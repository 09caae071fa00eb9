"""Reads with ConnectorX and writes Parquet. The whole result is in memory, and then goes into a file."""

import os
from urllib.parse import quote

import connectorx
import pyarrow.parquet as pq

user, password = (quote(os.environ[name], safe="") for name in ("PEER_USER", "PEER_PASSWORD"))
trust = os.environ["PEER_TRUST"] == "yes"
url = "mssql://{}:{}@{PEER_HOST}:{PEER_PORT}/{PEER_DATABASE}?encrypt=true{}".format(
    user, password, "&trust_server_certificate=true" if trust else "", **os.environ
)
table = connectorx.read_sql(url, os.environ["PEER_SQL"], return_type="arrow")
pq.write_table(table, os.environ["PEER_FILE"], compression="zstd", compression_level=1)

"""Reads with dlt, which uses ConnectorX, and writes Parquet into a folder."""

import os
import shutil
from pathlib import Path
from urllib.parse import quote

import connectorx
import dlt

folder = Path(os.environ["PEER_FILE"]).parent / "dlt"
user, password = (quote(os.environ[name], safe="") for name in ("PEER_USER", "PEER_PASSWORD"))
trust = os.environ["PEER_TRUST"] == "yes"
url = "mssql://{}:{}@{PEER_HOST}:{PEER_PORT}/{PEER_DATABASE}?encrypt=true{}".format(
    user, password, "&trust_server_certificate=true" if trust else "", **os.environ
)


@dlt.resource(name="rows", write_disposition="replace")
def rows() -> object:
    """Yields the rows of one statement, as one Arrow table."""
    yield connectorx.read_sql(url, os.environ["PEER_SQL"], return_type="arrow")


os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
pipeline = dlt.pipeline(
    "peer",
    pipelines_dir=str(folder / "state"),
    destination=dlt.destinations.filesystem(bucket_url=(folder / "out").as_uri()),
    dataset_name="peer",
)
pipeline.run(rows(), loader_file_format="parquet").raise_on_failed_jobs()
(written,) = (folder / "out" / "peer" / "rows").glob("*.parquet")
written.rename(os.environ["PEER_FILE"])
# dlt keeps a copy of what it loaded.
shutil.rmtree(folder)

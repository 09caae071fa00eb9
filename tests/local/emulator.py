"""Starts ministack with some faults corrected and its checksum made fast.

S3 has no composite CRC-64/NVME: an object's checksum is always that of its whole content, however it was uploaded.
ministack 1.5.33 makes a composite one, and refuses the completion of an upload that states the right one. Its CRC is
also pure Python, at 10 MB/s, and AWS's own is some hundred times as fast. What ministack lacks of a Distributed Map is
in `local.distributed_map`, and of the conditions of policies in `local.conditions`. Requests to S3 are noted in the
log, a line each, so that they can be counted.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from awscrt.checksums import crc64nvme
from ministack.app import main
from ministack.services import s3

from local import conditions, distributed_map

ALGORITHM = "CRC64NVME"

_complete = s3._complete_multipart_upload
_handle = s3.handle_request


def _complete_with_full_checksum(
    bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Does CompleteMultipartUpload with the checksum of all parts joined, where ministack would make a
    composite one.
    """
    upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
    if not upload or upload["checksum_algorithm"] != ALGORITHM:
        return _complete(bucket, key, body, query, headers)
    content = b"".join(part["body"] for _, part in sorted(upload["parts"].items()))
    checksum = s3._compute_s3_checksum(ALGORITHM, content)
    with mock.patch.object(s3, "_composite_checksum", lambda *_: checksum):
        return _complete(bucket, key, body, query, headers)


async def _handle_noted(method: str, path: str, *arguments: Any, **named: Any) -> Any:
    """Notes a request to S3, and answers it."""
    print(f"s3 {method} {path}", flush=True)
    return await _handle(method, path, *arguments, **named)


if __name__ == "__main__":
    s3.handle_request = _handle_noted
    s3._crc64nvme = crc64nvme
    s3._complete_multipart_upload = _complete_with_full_checksum
    distributed_map.install()
    conditions.install()
    main()

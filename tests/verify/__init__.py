"""Reads a sink without Tidemark's code, and says whether it agrees with its manifests.

It uses only the documents as docs/reference/documents.md describes them, boto3, awscrt for the checksums, and pyarrow,
csv and json for the rows.
"""

"""Looks at a sink as a stranger would, and says whether it is what its manifests say.

Nothing of Tidemark's code is used: only the documents as docs/reference/documents.md describes them, boto3, awscrt for
the checksums, and pyarrow, csv and json for the rows.
"""

"""The address of a SQL Server of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from local.sandbox import Login

SHAPE = "sqlserver://user:password@host:port/database?tls=verify|trust"


class BadUrl(ValueError):
    """The address is not of the expected shape. The message never repeats it, because it holds a password."""


@dataclass(frozen=True)
class SourceUrl:
    """A login, and the way to trust the server."""

    login: Login
    tls: str


def parse(url: str) -> SourceUrl:
    """Parses an address of that shape. Characters that mean something in a URL are percent-encoded. The port defaults
    to 1433, and tls to verify.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 1433
    except ValueError as error:
        raise BadUrl(f"the address must look like {SHAPE}") from error
    database = parts.path.strip("/")
    if parts.scheme != "sqlserver" or not (parts.hostname and parts.username and parts.password and database):
        raise BadUrl(f"the address must look like {SHAPE}")
    options = parse_qs(parts.query)
    tls = options.pop("tls", ["verify"])[-1]
    if options or tls not in ("verify", "trust"):
        raise BadUrl("the only option of the address is tls, and it is verify or trust")
    login = Login(parts.hostname, port, unquote(parts.username), unquote(parts.password), unquote(database))
    return SourceUrl(login, tls)

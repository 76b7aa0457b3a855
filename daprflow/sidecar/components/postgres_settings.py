"""What a component file says about a PostgreSQL server, in the real runtime's names and units."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.durations import read_seconds
from daprflow.sidecar.components.redis_settings import truthy, whole_number

_URL = ("postgres://", "postgresql://")
_PARTS = ("host", "hostaddr", "port", "database", "user", "password", "sslrootcert")
_OTHER_NAMES = {"dbname": "database"}
_pair = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>\S*))")
_table = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*")
_prefix = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)?(?:[A-Za-z_][A-Za-z0-9_]*)?")
_POOL = "pool_"
_NOT_FOR_THE_SERVER = frozenset(
    {"statement_cache_capacity", "default_query_exec_mode", "description_cache_capacity"}
)


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Where a server is, which tables are used and how long things may take, in seconds.

    Attributes:
        url: the connection string as a URL; it holds the password.
        address: host and port, for messages.
        cleanup_interval: 0 where expired rows are left alone.
        prepare: whether statements may be prepared, which some connection poolers do not allow.
    """

    url: str = field(repr=False)
    address: str
    table: str
    table_prefix: str
    metadata_table: str
    timeout: float
    cleanup_interval: float
    max_connections: int
    prepare: bool


def read_postgres_settings(metadata: Mapping[str, str]) -> PostgresSettings:
    """Read the metadata of ``state.postgresql`` v2.

    Raises:
        ComponentError: a value cannot be read, or asks for what is not offered.
    """
    for name, what in (("useAzureAD", "Microsoft Entra ID"), ("useAWSIAM", "AWS IAM")):
        if truthy(metadata, name):
            raise ComponentError(
                f"{name} asks for {what}, which the embedded sidecar does not have; "
                "take it out, or use a real runtime"
            )
    parts = _connection_parts(metadata)
    prefix = metadata.get("tableprefix", "")
    if not _prefix.fullmatch(prefix):
        raise ComponentError(f"tablePrefix '{prefix}' cannot begin a table's name")
    timeout = _seconds(metadata, ("timeout", "timeoutInSeconds"), 20.0)
    if timeout < 1:
        raise ComponentError("invalid value for 'timeout': must be greater than 1s")
    return PostgresSettings(
        url=_url(parts),
        address=f"{parts.get('host') or 'localhost'}:{parts.get('port') or '5432'}",
        table=f"{prefix}state",
        table_prefix=prefix,
        metadata_table=_table_name(metadata.get("metadatatablename") or "dapr_metadata"),
        timeout=timeout,
        cleanup_interval=_seconds(
            metadata, ("cleanupInterval", "cleanupIntervalInSeconds"), 3600.0
        ),
        max_connections=whole_number(metadata, "maxConns", 0) or 8,
        prepare=metadata.get("queryexecmode", "") in {"", "cache_statement"},
    )


def _connection_parts(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of the connection string; metadata of their own take their place."""
    text = (metadata.get("connectionstring") or metadata.get("url") or "").strip()
    parts = dict(_url_parts(text) if text.startswith(_URL) else _keyword_parts(text))
    own = {name: metadata[name] for name in _PARTS if metadata.get(name)}
    parts.update(own)
    if not parts:
        raise ComponentError(
            "missing connection string; set 'connectionString' to something like "
            "'host=localhost user=postgres password=… database=dapr'"
        )
    if address := parts.pop("hostaddr", ""):
        parts["host"] = address
    return parts


def _url_parts(text: str) -> Iterator[tuple[str, str]]:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ComponentError(
            "connectionString is no URL that can be read; its password may need quoting (%..)"
        ) from None
    for name, value in (
        ("host", url.hostname),
        ("port", str(port) if port else None),
        ("user", url.username),
        ("password", url.password),
        ("database", url.path.removeprefix("/")),
    ):
        if value:
            yield name, unquote(value)
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        yield _OTHER_NAMES.get(name, name), value


def _keyword_parts(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _pair.match(text, position)
        if found is None:
            raise ComponentError(
                "connectionString is neither a URL (postgres://…) nor pairs such as "
                "'host=localhost user=postgres'"
            )
        value = found["plain"] or ""
        if found["quoted"] is not None:
            value = re.sub(r"\\(.)", r"\1", found["quoted"])
        yield _OTHER_NAMES.get(found["name"], found["name"]), value
        position = found.end()


def _url(parts: Mapping[str, str]) -> str:
    """Return the parts as the one form that the library reads."""
    login = quote(parts.get("user", ""), safe="")
    if parts.get("password"):
        login += f":{quote(parts['password'], safe='')}"
    others = {
        name: value
        for name, value in parts.items()
        if name not in {"user", "password", "host", "port", "database", "connect_timeout"}
        and not name.startswith(_POOL)
        and name not in _NOT_FOR_THE_SERVER
    }
    host, port = parts.get("host", "localhost"), parts.get("port", "")
    if host.startswith("/"):  # the folder of a Unix socket
        others["host"], host = host, ""
    elif ":" in host:
        host = f"[{host}]"
    place = f"{host}:{port}" if port and host else host
    if port and not host:
        others["port"] = port
    query = f"?{urlencode(others)}" if others else ""
    database = quote(parts.get("database", ""), safe="")
    return f"postgresql://{login}{'@' if login else ''}{place}/{database}{query}"


def _table_name(text: str) -> str:
    if not _table.fullmatch(text):
        raise ComponentError(
            f"metadataTableName '{text}' is not a table name; use letters, digits, underscores "
            "and at most one dot after a schema"
        )
    return text


def _seconds(metadata: Mapping[str, str], names: tuple[str, str], default: float) -> float:
    """Read a duration under either name: Go's form, or a bare number of seconds."""
    for name in names:
        text = metadata.get(name.lower(), "").strip()
        if not text:
            continue
        if text.startswith("-"):
            return 0.0
        return read_seconds(text, name)
    return default

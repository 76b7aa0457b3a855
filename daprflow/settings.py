"""Settings of the app side, read from an environment mapping on request, never at import."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from daprflow.errors import DaprFlowError
from daprflow.protocol.hosts import is_loopback

HOST = "127.0.0.1"
MAX_ATTEMPTS = 7
TOKEN_VARIABLES = ("DAPR_API_TOKEN", "APP_API_TOKEN", "APP_API_TOKEN_PREVIOUS")
"""The variables whose values are secrets."""

__all__ = ["Settings", "SettingsError"]


class SettingsError(DaprFlowError, ValueError):
    """An environment variable holds something that cannot be used; the text names it.

    Example:
        ```python
        try:
            settings = Settings.from_env({"DAPR_HTTP_PORT": "many"})
        except SettingsError as error:
            print(error)
        ```
    """


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the sidecar is and how to talk to it; the names are those of Dapr's own SDKs.

    Attributes:
        http_endpoint: URL of the sidecar's HTTP API, without a trailing slash.
        api_token: sent as ``dapr-api-token`` with every call; empty means none.
        app_api_token: what the sidecar must send to the app; empty means anything goes.
        app_api_token_previous: the one before, which is taken as well while tokens are changed.
        app_id: this app's id as the launcher gave it; empty where it gave none.
        health_timeout: seconds the first call waits for the sidecar; 0 means it does not.
        http_timeout: seconds an invocation may take, and any call without a limit of its own.
        api_timeout: seconds a call of a building block may take; None means ``http_timeout``.
        max_attempts: how often a repeatable call is tried while connections fail; 0 and 1 mean
            once, -1 until the time is up.
        grpc_endpoint: address of the sidecar's gRPC API, as the official SDK takes it.
        sidecar_ca: PEM file of the authorities that a sidecar elsewhere is believed by, over
            ``https`` and gRPC with TLS; empty for those that this machine trusts.
        sidecar_cert: PEM file of a certificate that the client shows.
        sidecar_key: PEM file of its private key.
        grpc_max_message_size: bytes of one gRPC message; 0 leaves gRPC's own limit.
        max_request_size: bytes that the sidecar takes (``--max-body-size``); ``publish_many``
            splits what is longer.
        max_response_size: bytes a response may have; a longer one is an error.
        calls_per_target: calls of one app, actor type or component that may be under way; 0 for
            any number.
        target_calls: other numbers for some of them, by block and name: ``invoke/pricing``,
            ``state/statestore``.
        calls_waiting: how many more calls of each may wait for one of those to end.
        calls_wait: seconds they wait, at most.
        circuit_failures: connections that fail in a row before calls fail at once; 0 for never.
        retry_share: repetitions for each call, 0.2 for one in five; ten a second always.

    Example:
        ```python
        settings = Settings(http_endpoint="http://127.0.0.1:3500", max_attempts=3)
        shop, client = DaprFlow("shop", settings=settings), Client(settings)
        ```
    """

    http_endpoint: str = "http://127.0.0.1:3500"
    api_token: str = field(default="", repr=False)
    app_api_token: str = field(default="", repr=False)
    app_api_token_previous: str = field(default="", repr=False)
    app_id: str = ""
    health_timeout: float = 60.0
    http_timeout: float = 60.0
    api_timeout: float | None = None
    max_attempts: int = MAX_ATTEMPTS
    grpc_endpoint: str = "127.0.0.1:50001"
    sidecar_ca: str = ""
    sidecar_cert: str = ""
    sidecar_key: str = ""
    grpc_max_message_size: int = 0
    max_request_size: int = 4 * 1024 * 1024
    max_response_size: int = 64 * 1024 * 1024
    calls_per_target: int = 256
    target_calls: Mapping[str, int] = field(default_factory=dict)
    calls_waiting: int = 1024
    calls_wait: float = 10.0
    circuit_failures: int = 5
    retry_share: float = 0.2

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the variables that ``dapr run``, ``daprflow run`` and Kubernetes set.

        An empty variable counts as one that is not set.

        Args:
            env: such as ``os.environ``.

        Returns:
            the settings; what is not set has its default.

        Raises:
            SettingsError: a variable holds something that cannot be used.

        Example:
            ```python
            settings = Settings.from_env({"DAPR_HTTP_PORT": "3501"})
            ```
        """
        return cls(
            http_endpoint=_endpoint(env),
            api_token=env.get("DAPR_API_TOKEN", ""),
            app_api_token=env.get("APP_API_TOKEN", ""),
            app_api_token_previous=env.get("APP_API_TOKEN_PREVIOUS", ""),
            app_id=env.get("APP_ID", ""),
            health_timeout=seconds_of(env, "DAPR_HEALTH_TIMEOUT", at_least=0.0),
            http_timeout=seconds_of(env, "DAPR_HTTP_TIMEOUT_SECONDS", at_least=0.001),
            api_timeout=(
                seconds_of(env, "DAPR_API_TIMEOUT_SECONDS", at_least=0.001)
                if env.get("DAPR_API_TIMEOUT_SECONDS")
                else None
            ),
            max_attempts=_count(env, "DAPR_API_MAX_RETRIES", MAX_ATTEMPTS, at_least=-1),
            grpc_endpoint=_grpc_endpoint(env),
            sidecar_ca=env.get("DAPRFLOW_SIDECAR_CA", ""),
            sidecar_cert=env.get("DAPRFLOW_SIDECAR_CERT", ""),
            sidecar_key=env.get("DAPRFLOW_SIDECAR_KEY", ""),
            grpc_max_message_size=_count(
                env, "DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES", 0, at_least=0
            ),
            calls_per_target=_count(env, "DAPRFLOW_CALLS_PER_TARGET", 256, at_least=0),
            calls_waiting=_count(env, "DAPRFLOW_CALLS_WAITING", 1024, at_least=0),
            calls_wait=seconds_of(env, "DAPRFLOW_CALLS_WAIT", "10", at_least=0.0),
            circuit_failures=_count(env, "DAPRFLOW_CIRCUIT_FAILURES", 5, at_least=0),
        )

    @property
    def app_tokens(self) -> tuple[str, ...]:
        """What a sidecar may send to the app; empty where anything goes."""
        given = (self.app_api_token, self.app_api_token_previous)
        return given if self.app_api_token else ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody is to read in a log or a trace; a token that is not set is empty."""
        return (self.api_token, self.app_api_token, self.app_api_token_previous)

    @property
    def host(self) -> str:
        """The host of the sidecar, without brackets or a port."""
        return urlsplit(self.http_endpoint).hostname or ""

    @property
    def loopback(self) -> bool:
        """Whether the sidecar is on this machine, where no proxy may come between."""
        return is_loopback(self.host)


def _endpoint(env: Mapping[str, str]) -> str:
    """Return the sidecar's URL: ``DAPR_HTTP_ENDPOINT``, else host and port."""
    if url := env.get("DAPR_HTTP_ENDPOINT"):
        return _checked_url(url)
    host = env.get("DAPR_RUNTIME_HOST") or HOST
    port = _port(env, "DAPR_HTTP_PORT", 3500)
    return _checked_host(f"http://{_bracketed(host)}:{port}", host)


def _grpc_endpoint(env: Mapping[str, str]) -> str:
    """Return the address of the gRPC API: ``DAPR_GRPC_ENDPOINT``, else host and port."""
    if address := env.get("DAPR_GRPC_ENDPOINT"):
        return address
    host = env.get("DAPR_RUNTIME_HOST") or HOST
    return f"{_bracketed(host)}:{_port(env, 'DAPR_GRPC_PORT', 50001)}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _checked_url(url: str) -> str:
    """Return ``url`` without a trailing slash when a client could use it."""
    problem = SettingsError(
        f"environment variable 'DAPR_HTTP_ENDPOINT' is {url!r}; "
        "it must be a URL such as 'http://127.0.0.1:3500'"
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise problem
    if parts.query or parts.fragment or parts.username is not None:
        raise problem
    return url.rstrip("/")


def _checked_host(url: str, host: str) -> str:
    """Return ``url`` when ``host`` really became its host."""
    try:
        ok = urlsplit(url).hostname == host.strip("[]").lower()
    except ValueError:
        ok = False
    if not ok:
        raise SettingsError(
            f"environment variable 'DAPR_RUNTIME_HOST' is {host!r}; "
            "it must be a host name or an address, without scheme and port"
        )
    return url


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    """Return the port that variable ``name`` holds."""
    text = env.get(name) or str(default)
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number < 65536:  # noqa: PLR2004 - the number of TCP ports
        raise SettingsError(
            f"environment variable '{name}' is {text!r}; it must be a port, 1 to 65535"
        )
    return number


def seconds_of(env: Mapping[str, str], name: str, default: str = "60", *, at_least: float) -> float:
    """Return the seconds that variable ``name`` holds; an empty one counts as not set.

    Raises:
        SettingsError: it holds no number of seconds.
    """
    text = env.get(name) or default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not at_least <= number < math.inf:
        raise SettingsError(
            f"environment variable '{name}' is {text!r}; "
            f"it must be a number of seconds, at least {at_least:g}"
        )
    return number


def _count(env: Mapping[str, str], name: str, default: int, *, at_least: int) -> int:
    """Return the whole number that variable ``name`` holds."""
    text = env.get(name) or str(default)
    try:
        number = int(text)
    except ValueError:
        number = at_least - 1
    if number < at_least:
        raise SettingsError(
            f"environment variable '{name}' is {text!r}; "
            f"it must be a whole number, at least {at_least}"
        )
    return number

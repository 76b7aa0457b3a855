"""The cron and HTTP bindings."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from daprflow.components.kinds import Binding
from daprflow.components.model import Key
from daprflow.components.values import Secret, Text
from daprflow.protocol.schedules import ScheduleError, parse_schedule


@dataclass(frozen=True, kw_only=True)
class Cron(Binding):
    """A schedule (``bindings.cron``); ``@app.cron`` makes one where none is declared.

    Attributes:
        schedule: five fields, or six with seconds first, or ``@every 15m``, ``@daily`` ….

    Example:
        ```python
        app.component(Cron("sweep", schedule="@every 15m"))
        ```
    """

    TYPE: ClassVar[str] = "bindings.cron"

    schedule: str

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        try:
            parse_schedule(self.schedule)
        except ScheduleError as error:
            yield f"schedule '{self.schedule}': {error}"


@dataclass(frozen=True, kw_only=True)
class HttpBinding(Binding):
    """Calls on an HTTP service (``bindings.http``).

    Attributes:
        url: where calls go.
        response_timeout: of a call; none by default.
        max_response_body_size: a quantity such as ``10Mi``; Dapr's default is ``100Mi``.
        mtls_root_ca: PEM text of the authority, or its path.
        mtls_client_cert: PEM text of the client's certificate, or its path.
        mtls_client_key: PEM text of its key.
        mtls_renegotiation: Dapr's default is ``RenegotiateNever``.
        security_token: sent with every call.
        security_token_header: the header it is sent in.
        error_if_not_2xx: whether other answers are errors; they are by default.

    Example:
        ```python
        app.component(HttpBinding("billing", url="https://billing.example.com"))
        ```
    """

    TYPE: ClassVar[str] = "bindings.http"

    url: Text
    response_timeout: timedelta | None = None
    max_response_body_size: str | None = None
    mtls_root_ca: Annotated[Text | None, Key("MTLSRootCA")] = None
    mtls_client_cert: Annotated[Text | None, Key("MTLSClientCert")] = None
    mtls_client_key: Annotated[Secret | None, Key("MTLSClientKey")] = None
    mtls_renegotiation: Annotated[
        Literal["RenegotiateNever", "RenegotiateOnceAsClient", "RenegotiateFreelyAsClient"] | None,
        Key("MTLSRenegotiation"),
    ] = None
    security_token: Secret | None = None
    security_token_header: str | None = None
    error_if_not_2xx: Annotated[bool | None, Key("errorIfNot2XX")] = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if self.security_token is not None:
            yield from self.lacking("'security_token'", "security_token_header")
        if self.mtls_client_cert is not None or self.mtls_client_key is not None:
            yield from self.lacking("mTLS", "mtls_client_cert", "mtls_client_key")

"""Tokens for calls to other apps: OAuth2 client credentials, fetched, kept and renewed."""

import asyncio
import json
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from daprflow.client import Client
from daprflow.client.interception import CallNext, ClientCall, ClientResponse
from daprflow.durations import Duration, seconds
from daprflow.errors import DaprFlowError
from daprflow.middleware.jwks import url_problem
from daprflow.observability.redaction import Secret

logger = logging.getLogger(__name__)

_LARGEST = 256 * 1024
_LIFETIME = 300.0
_UNAUTHORIZED = 401
_SHORTEST_ERROR = 1.0


class TokenUnavailable(DaprFlowError):  # noqa: N818 - named for the state
    """No token could be had for a call; the text says what the endpoint answered.

    Example:
        ```python
        try:
            await client.invoke(price, Order("7"))
        except TokenUnavailable as error:
            print("no token:", error)
        ```
    """


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret of a Dapr secret store, read when it is needed.

    Attributes:
        store: the component's name.
        key: the secret's.
        client: the client, or what returns it, as ``lambda: app.client``.

    Example:
        ```python
        hidden = StoredSecret("vault", "client-secret", client)
        bearer = ClientCredentials(
            "https://id.example.com/token", "shop", hidden, targets=["pricing"]
        )
        ```
    """

    store: str
    key: str
    client: Client | Callable[[], Client]

    async def reveal(self) -> str:
        """Read it, and return it.

        Example:
            ```python
            value = await StoredSecret("vault", "client-secret", client).reveal()
            ```
        """
        client = self.client if isinstance(self.client, Client) else self.client()
        return await client.secret(self.store, self.key)


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    renew_at: float
    ends_at: float


class ClientCredentials:
    """A client's interceptor that sends a bearer token with service invocations.

    ``Client(interceptors=[ClientCredentials(...)])`` or ``app.client.add_interceptors(...)``. The
    token is fetched with the first call that needs it, one fetch at a time, and renewed ``early``
    seconds before it ends; where that fails, the old one serves until then. An answer of 401 has it
    fetched anew for the next call. A call that has an ``authorization`` of its own keeps it.

    Args:
        token_url: the provider's token endpoint; https, except on this machine.
        client_id: who this app is there.
        client_secret: its secret, as text, `Secret` or `StoredSecret`.
        targets: the apps that get tokens; what others are called stays as it is.
        scopes: what is asked for.
        audience: sent as ``audience``, which some providers need; empty sends none.
        in_body: sends id and secret in the form instead of as Basic authentication.
        early: how long before its end; at most half of a token's time counts.
        timeout: how long an answer of the provider may take.

    Raises:
        ValueError: an argument cannot be used.

    Example:
        ```python
        bearer = ClientCredentials(
            "https://id.example.com/token", "shop", "s3cret", targets=["pricing"]
        )
        client = Client(interceptors=[bearer])
        ```
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str | Secret | StoredSecret,
        *,
        targets: Collection[str],
        scopes: Sequence[str] = (),
        audience: str = "",
        in_body: bool = False,
        early: Duration = 30.0,
        timeout: Duration = 5.0,
    ) -> None:
        if problem := url_problem(token_url):
            raise ValueError(f"the token endpoint is at {problem}")
        if not client_id or not client_secret:
            raise ValueError("the client's id or its secret is empty")
        if not targets or isinstance(targets, str):
            raise ValueError("'targets' names the apps that get tokens; give it a list")
        self._url = token_url
        self._id = client_id
        self._secret = Secret(client_secret) if isinstance(client_secret, str) else client_secret
        self._targets = frozenset(targets)
        self._form = {"grant_type": "client_credentials"}
        self._form |= {"scope": " ".join(scopes)} if scopes else {}
        self._form |= {"audience": audience} if audience else {}
        self._in_body = in_body
        self._early = seconds(early)
        self._timeout = seconds(timeout)
        self._token: _Token | None = None
        self._fetching: asyncio.Task[_Token] | None = None
        self._not_before = 0.0

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r}, {self._id!r}, ***)"

    async def __call__(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
        """Send the token along.

        Raises:
            TokenUnavailable: there is none, and none can be had.
        """
        if (
            call.block != "invoke"
            or call.target not in self._targets
            or any(name == "authorization" for name, _ in call.headers)
        ):
            return await call_next(call)
        token = await self._current()
        headers = ("authorization", f"Bearer {token.value.reveal()}")
        response = await call_next(call.with_headers(headers))
        if response.status == _UNAUTHORIZED and self._token is token:
            self._token = None
        return response

    async def _current(self) -> _Token:
        token, now = self._token, time.monotonic()
        if token is not None and now < token.renew_at:
            return token
        if token is not None and now < min(token.ends_at, self._not_before):
            return token  # the last attempt failed a moment ago
        try:
            return await self._fetched()
        except TokenUnavailable as error:
            self._not_before = time.monotonic() + _SHORTEST_ERROR
            if token is None or time.monotonic() >= token.ends_at:
                raise
            logger.warning("%s; the present token serves on", error)
            return token

    async def _fetched(self) -> _Token:
        """Fetch a token, or wait for who does already."""
        task = self._fetching
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._fetching = asyncio.create_task(self._fetch(), name="daprflow token")
        # Who is cancelled does not take the token from those who wait with it.
        self._token = token = await asyncio.shield(task)
        return token

    async def _fetch(self) -> _Token:
        secret = self._secret.reveal()
        text = secret if isinstance(secret, str) else await secret
        asked = time.monotonic()
        status, document = await self._ask(text)
        value = document.get("access_token")
        if status != 200 or not isinstance(value, str) or not value:  # noqa: PLR2004 - HTTP's success
            code = document.get("error")
            known = f" ({code[:64]!r})" if isinstance(code, str) and code.isprintable() else ""
            raise TokenUnavailable(
                f"the token endpoint '{self._url}' gave client '{self._id}' no token: it answered "
                f"{status}{known}"
            )
        if str(document.get("token_type", "bearer")).lower() != "bearer":
            raise TokenUnavailable(f"the token endpoint '{self._url}' gave no bearer token")
        lives = document.get("expires_in", _LIFETIME)
        lifetime = float(lives) if isinstance(lives, int | float) and lives > 0 else _LIFETIME
        early = min(self._early, lifetime / 2)
        return _Token(Secret(value), asked + lifetime - early, asked + lifetime)

    async def _ask(self, secret: str) -> tuple[int, dict[str, Any]]:
        import aiohttp  # noqa: PLC0415 - only who sends tokens pays for it

        form, headers = dict(self._form), {}
        if self._in_body:
            form |= {"client_id": self._id, "client_secret": secret}
        else:
            # RFC 6749, 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(self._id)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        limit = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(
                    self._url, data=form, headers=headers, allow_redirects=False
                ) as answer,
            ):
                body = b""
                while len(body) <= _LARGEST and (more := await answer.content.read(_LARGEST)):
                    body += more
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise TokenUnavailable(
                f"the token endpoint '{self._url}' does not answer: {type(error).__name__}"
            ) from None
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        return status, document if isinstance(document, dict) else {}

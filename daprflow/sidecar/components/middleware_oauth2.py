"""``middleware.http.oauth2clientcredentials``: sends each call on with a token of its own."""

import asyncio
import logging
import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus

import msgspec

from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.middleware import (
    AsgiApp,
    Receive,
    Scope,
    Send,
    refuse,
    required,
)

logger = logging.getLogger(__name__)

FETCH_TIMEOUT = 30.0
EARLY = 10.0
"""Seconds before its end that a token is no longer used."""
_AUTO, _IN_BODY, _IN_HEADER = 0, 1, 2
_OK, _FAILED = 200, 500
_TYPES = {"": "Bearer", "bearer": "Bearer", "mac": "MAC", "basic": "Basic"}


class _Token(msgspec.Struct, frozen=True):
    access_token: str = msgspec.field(default="")
    token_type: str = ""
    expires_in: float | str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """A header's value, and when it ends on the engine's clock; None never."""

    value: str
    ends: float | None


class ClientCredentialsMiddleware:
    """Fetches a token by OAuth2's client credentials and adds it as a header.

    A token is kept until it ends. Where none can be had the call is answered with a 500.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._clock = context.clock
        self._header = required(context, "headerName").lower().encode("latin-1")
        self._id = required(context, "clientID")
        self._secret = required(context, "clientSecret")
        self._scopes = required(context, "scopes").split(",")
        self._address = required(context, "tokenURL")
        query = context.metadata.get("endpointparamsquery", "")
        self._extra = parse_qsl(query, keep_blank_values=True)
        self._style = _style(context.metadata.get("authstyle", "0"))
        self._filter = _filter(context.metadata.get("pathfilter", ""))
        self._held: _Held | None = None
        self._fetching = asyncio.Lock()

    async def open(self) -> None:
        """Do nothing: the first call fetches the first token."""

    async def close(self) -> None:
        """Forget the token."""
        self._held = None

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def with_token(scope: Scope, receive: Receive, send: Send) -> None:
            if self._filter is None or self._filter.search(scope["path"]):
                try:
                    value = await self._value()
                except ComponentError as error:
                    logger.error("no token for a call: %s", error)  # noqa: TRY400 - says all
                    await refuse(send, _FAILED, "the sidecar got no token for this call")
                    return
                pair = (self._header, value.encode("latin-1"))
                scope = {**scope, "headers": [*scope["headers"], pair]}
            await app(scope, receive, send)

        return with_token

    async def _value(self) -> str:
        async with self._fetching:
            held = self._held
            if held is None or (held.ends is not None and held.ends <= self._clock.now()):
                held = self._held = await self._fetch()
            return held.value

    async def _fetch(self) -> _Held:
        styles = (_IN_HEADER, _IN_BODY) if self._style == _AUTO else (self._style,)
        status = 0
        for style in styles:
            status, body = await self._ask(style)
            if status == _OK:
                return self._read(body)
        raise ComponentError(f"'{self._address}' answered with status {status}")

    async def _ask(self, style: int) -> tuple[int, bytes]:
        import aiohttp  # noqa: PLC0415 - loaded by those who have this middleware

        form = [("grant_type", "client_credentials"), ("scope", " ".join(self._scopes))]
        form += self._extra
        headers = {}
        if style == _IN_HEADER:
            pair = f"{quote_plus(self._id)}:{quote_plus(self._secret)}"
            headers["authorization"] = "Basic " + b64encode(pair.encode()).decode("ascii")
        else:
            form += [("client_id", self._id), ("client_secret", self._secret)]
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self._address, data=form, headers=headers) as answer,
            ):
                return answer.status, await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            reason = type(error).__name__  # a text could repeat what was sent
            raise ComponentError(f"'{self._address}' cannot be reached: {reason}") from None

    def _read(self, body: bytes) -> _Held:
        try:
            token = msgspec.json.decode(body, type=_Token)
            seconds = float(token.expires_in or 0)
        except (msgspec.MsgspecError, ValueError):
            token, seconds = _Token(), 0.0
        if not token.access_token:
            raise ComponentError(f"'{self._address}' answered without an access token")
        kind = _TYPES.get(token.token_type.lower(), token.token_type)
        ends = self._clock.now() + seconds - EARLY if seconds > 0 else None
        return _Held(f"{kind} {token.access_token}", ends)


def _style(text: str) -> int:
    if text not in {"0", "1", "2"}:
        raise ComponentError(f"'authStyle' is '{text}'; it can be 0, 1 or 2")
    return int(text)


def _filter(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ComponentError(f"'pathFilter' is no regular expression: {error}") from None

"""The keys that an OpenID provider signs with: found, kept, and asked for anew when they change."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from daprflow.errors import DaprFlowError
from daprflow.protocol.hosts import is_loopback

logger = logging.getLogger(__name__)

_LARGEST = 1024 * 1024


class KeysUnavailable(DaprFlowError):  # noqa: N818 - named for the state
    """The provider's keys cannot be had; the text says why."""


class Jwks:
    """The signing keys of one issuer, by id.

    They are read with the first token, again after ``max_age`` seconds, and when a token names one
    that is unknown, but not more often than every ``refetch_after`` seconds. One request reads
    them, others wait for it. While the provider is away the known keys hold.

    Args:
        issuer: the issuer's URL, without ``/.well-known/openid-configuration``.
        jwks_uri: where the keys are; empty asks the issuer's discovery document.
        max_age: seconds.
        refetch_after: seconds.
        timeout: seconds for one answer.
    """

    def __init__(
        self, issuer: str, jwks_uri: str, *, max_age: float, refetch_after: float, timeout: float
    ) -> None:
        self._issuer = issuer
        self._uri = jwks_uri
        self._max_age = max_age
        self._refetch_after = refetch_after
        self._timeout = timeout
        self._keys: Mapping[str, Any] = {}
        self._fetched = -max_age
        self._tried = -refetch_after
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def key(self, kid: str) -> Any:
        """Return the key of that id, a ``jwt.PyJWK``; None where there is none.

        A token that names no key has the only one there is.

        Raises:
            KeysUnavailable: no key is known, and the provider does not answer.
        """
        now = time.monotonic()
        found = self._find(kid)
        is_old = now - self._fetched >= self._max_age
        if (found is None or is_old) and now - self._tried >= self._refetch_after:
            await self._refresh(now)
            found = self._find(kid)
        if not self._keys:
            raise KeysUnavailable(f"no keys of issuer '{self._issuer}' are known")
        return found

    def _find(self, kid: str) -> Any:
        if kid:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _refresh(self, seen: float) -> None:
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._lock, self._loop = asyncio.Lock(), loop
        async with self._lock:
            if self._tried > seen:
                return  # somebody else did while this one waited
            try:
                self._keys = await self._fetch()
                self._fetched = time.monotonic()
            except KeysUnavailable as error:
                logger.warning("%s; %d known keys stay", error, len(self._keys))
            finally:
                self._tried = time.monotonic()

    async def _fetch(self) -> Mapping[str, Any]:
        uri = self._uri
        if not uri:
            where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            document = await self._read(where)
            if document.get("issuer") != self._issuer:
                raise KeysUnavailable(
                    f"the discovery document at '{where}' names another issuer than "
                    f"'{self._issuer}'"
                )
            uri = str(document.get("jwks_uri", ""))
            if problem := url_problem(uri):
                raise KeysUnavailable(
                    f"the discovery document at '{where}' has a jwks_uri {problem}"
                )
        return _usable((await self._read(uri)).get("keys"), uri)

    async def _read(self, url: str) -> Mapping[str, Any]:
        import aiohttp  # noqa: PLC0415 - only who validates tokens pays for it

        limit = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(_LARGEST + 1)
                while len(body) <= _LARGEST and (more := await answer.content.read(_LARGEST)):
                    body += more
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise KeysUnavailable(f"'{url}' does not answer: {type(error).__name__}") from None
        if status != 200 or len(body) > _LARGEST:  # noqa: PLR2004 - HTTP's success
            raise KeysUnavailable(f"'{url}' answered {status} with {len(body)} bytes")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise KeysUnavailable(f"'{url}' answered something else than a JSON object")
        return document


def url_problem(url: str) -> str:
    """Return why a URL cannot be trusted to tell keys; empty where it can."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
        parts = urlsplit("")
    if not host or parts.scheme not in ("https", "http"):
        return f"'{url}', which is no URL"
    if parts.scheme == "http" and not is_loopback(host):
        return f"'{url}', which is not https: whoever is in between could give keys of their own"
    return ""


def _usable(keys: Any, uri: str) -> Mapping[str, Any]:
    """Return the public keys that sign, by id; those of an unknown kind are passed over."""
    import jwt  # noqa: PLC0415 - the extra 'oidc'

    found: dict[str, Any] = {}
    for number, each in enumerate(keys if isinstance(keys, list) else ()):
        if (
            not isinstance(each, dict)
            or each.get("use", "sig") != "sig"
            or each.get("kty") == "oct"
        ):
            continue
        try:
            found[str(each.get("kid") or f"#{number}")] = jwt.PyJWK(each)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError):
            continue
    if not found:
        raise KeysUnavailable(f"'{uri}' has no key that signs")
    return found

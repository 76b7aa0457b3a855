"""``middleware.http.bearer``: lets calls in that carry a token of one issuer for one audience."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from daprflow.errors import MissingExtra
from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.middleware import (
    AsgiApp,
    Receive,
    Scope,
    Send,
    header,
    refuse,
    required,
)

if TYPE_CHECKING:
    from jwt import PyJWK

logger = logging.getLogger(__name__)

SKEW = 300.0
REFRESH = 600.0
FETCH_TIMEOUT = 30.0
_SHORTEST = 10
_PREFIX = "bearer "
_OK, _UNAUTHORIZED = 200, 401
_ALGORITHMS = {
    "RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "EC": ["ES256", "ES384", "ES512", "ES256K"],
    "OKP": ["EdDSA"],
}


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str = ""
    jwks_uri: str = ""


class BearerMiddleware:
    """Checks the signature, issuer, audience and times of a JWT; anything else is a 401.

    The issuer's keys are fetched when it opens, and again when they are older than ten minutes.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._clock = context.clock
        self._issuer = required(context, "issuer", "issuerURL")
        self._audience = required(context, "audience", "clientID")
        self._keys_at = context.metadata.get("jwksurl", "")
        self._keys: dict[str, PyJWK] = {}
        self._fetched = 0.0
        self._fetching = asyncio.Lock()

    async def open(self) -> None:
        """Find the issuer's keys.

        Raises:
            ComponentError: PyJWT is not installed, or the issuer does not give its keys.
        """
        try:
            import jwt  # noqa: F401, PLC0415 - an optional package
        except ImportError:
            raise ComponentError(str(MissingExtra("middleware.http.bearer", "oidc"))) from None
        if not self._keys_at:
            self._keys_at = await self._discover()
        self._keys = await self._fetch_keys()
        self._fetched = self._clock.now()

    async def close(self) -> None:
        """Have nothing to give back."""

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            given = header(scope, b"authorization")
            token = given[len(_PREFIX) :]
            bearer = given[: len(_PREFIX)].lower() == _PREFIX and len(token) >= _SHORTEST
            if not bearer or not await self._good(token):
                await refuse(send, _UNAUTHORIZED, "Unauthorized")
                return
            await app(scope, receive, send)

        return checked

    async def _good(self, token: str) -> bool:
        import jwt  # noqa: PLC0415 - an optional package, loaded by `open`

        await self._refresh()
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                return False
            options: Any = {
                "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                "verify_sub": False, "verify_jti": False,
            }  # fmt: skip
            claims = jwt.decode(
                token,
                key,
                algorithms=_algorithms(key),
                audience=self._audience,
                issuer=self._issuer,
                options=options,
            )
            return self._in_time(claims)
        except (jwt.PyJWTError, ValueError, TypeError):
            return False

    def _in_time(self, claims: dict[str, Any]) -> bool:
        now = self._clock.now()
        expires = float(claims.get("exp", now))
        begins = max(float(claims.get("nbf", now)), float(claims.get("iat", now)))
        return expires > now - SKEW and begins < now + SKEW

    async def _refresh(self) -> None:
        """Fetch keys that are too old; where that fails the old ones go on."""
        async with self._fetching:
            if self._clock.now() - self._fetched < REFRESH:
                return
            self._fetched = self._clock.now()
            try:
                self._keys = await self._fetch_keys()
            except ComponentError as error:
                logger.warning("the keys of '%s' could not be fetched again: %s",
                               self._issuer, error)  # fmt: skip

    async def _discover(self) -> str:
        address = self._issuer.removesuffix("/") + "/.well-known/openid-configuration"
        try:
            found = msgspec.json.decode(await _fetch(address), type=_Discovery)
        except msgspec.MsgspecError:
            raise ComponentError(f"'{address}' is no OpenID configuration document") from None
        if found.issuer != self._issuer:
            raise ComponentError(
                f"'{address}' is of issuer '{found.issuer}', not of '{self._issuer}'; "
                "correct 'issuer'"
            )
        if not found.jwks_uri:
            raise ComponentError(f"'{address}' names no 'jwks_uri'")
        return found.jwks_uri

    async def _fetch_keys(self) -> "dict[str, PyJWK]":
        from jwt import PyJWKSet, PyJWTError  # noqa: PLC0415 - as above

        data = await _fetch(self._keys_at)
        try:
            return {key.key_id: key for key in PyJWKSet.from_json(data.decode()).keys if key.key_id}
        except (PyJWTError, ValueError, TypeError, AttributeError):
            raise ComponentError(f"'{self._keys_at}' holds no JSON Web Key Set") from None


def _algorithms(key: "PyJWK") -> list[str]:
    """Return what a key may have signed with: what it says itself, else what suits its type."""
    data: dict[str, Any] = key._jwk_data  # noqa: SLF001 - PyJWT shows it in no other way
    stated = data.get("alg")
    suitable = _ALGORITHMS.get(str(key.key_type), [])
    return [each for each in suitable if stated in {None, each}]


async def _fetch(address: str) -> bytes:
    import aiohttp  # noqa: PLC0415 - loaded by those who have this middleware

    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address) as answer,
        ):
            if answer.status != _OK:
                raise ComponentError(f"'{address}' answered with status {answer.status}")
            return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise ComponentError(f"'{address}' cannot be reached: {reason}") from None

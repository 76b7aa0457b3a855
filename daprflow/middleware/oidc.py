"""Bearer tokens of an OpenID provider: checked once, their claims handed on."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow.durations import Duration, seconds
from daprflow.errors import MissingExtra
from daprflow.middleware.jwks import Jwks, KeysUnavailable, url_problem
from daprflow.middleware.paths import DAPR_PATHS, Paths, passes
from daprflow.middleware.problem import send_problem

logger = logging.getLogger(__name__)

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""Those with a public key; no other one can be allowed."""
_LONGEST = 16 * 1024


class OidcBearer:
    """Lets pass who carries a valid access token of an issuer.

    On the way in: signature, issuer, audience, times and scopes; then ``request.state.claims``
    (``scope["state"]["claims"]``) has the claims. On the way out: nothing. Without a token, or with
    one that is not valid, 401; without a scope, 403; both say so in ``WWW-Authenticate``. 503 while
    the provider's keys were never had.

    A sidecar delivers events, jobs and bindings without tokens: put it around a router of invoke
    handlers, around single ones, or around routes of the user's own.

    Args:
        app: what is called inside.
        issuer: the issuer, as the tokens name it; https, except on this machine.
        audience: who the tokens are for, this app; one of several is enough.
        algorithms: what a token may be signed with; a choice of `ALGORITHMS`.
        scopes: what a token must allow, all of it (claims ``scope`` or ``scp``).
        leeway: seconds by which clocks may differ.
        jwks_uri: where the keys are; empty asks the issuer's discovery document.
        jwks_max_age: seconds until keys are read again.
        refetch_after: seconds that pass at least until an unknown key has them read again.
        timeout: seconds for an answer of the provider.
        exclude: paths that need no token.

    Raises:
        ValueError: an argument cannot be used, such as algorithm "none" or "HS256".
        MissingExtra: PyJWT is not installed.

    Example:
        ```python
        check = Middleware(OidcBearer, issuer="https://id.example.com", audience="shop")
        shop = DaprFlow("shop", middleware=[check])
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        issuer: str,
        audience: str | Sequence[str],
        algorithms: Sequence[str] = ("RS256", "ES256"),
        scopes: Sequence[str] = (),
        leeway: Duration = 30.0,
        jwks_uri: str = "",
        jwks_max_age: Duration = 3600.0,
        refetch_after: Duration = 10.0,
        timeout: Duration = 5.0,
        exclude: Collection[str] = DAPR_PATHS,
    ) -> None:
        try:
            import jwt  # noqa: F401, PLC0415 - an optional package
        except ImportError:
            raise MissingExtra("daprflow.middleware.OidcBearer", "oidc") from None
        audiences = (audience,) if isinstance(audience, str) else tuple(audience)
        _check(issuer, audiences, algorithms, jwks_uri)
        self.app = app
        self._issuer = issuer
        self._audiences = audiences
        self._algorithms = tuple(algorithms)
        self._scopes = _names(scopes)
        self._leeway = seconds(leeway)
        self._excluded = Paths(exclude)
        self._keys = Jwks(
            issuer,
            jwks_uri,
            max_age=seconds(jwks_max_age),
            refetch_after=seconds(refetch_after),
            timeout=seconds(timeout),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request's token."""
        if passes(scope, self._excluded):
            await self.app(scope, receive, send)
            return
        token = _token(scope)
        if token is None:
            await _refuse(send, 401, "", "a bearer token is needed")
            return
        try:
            claims = await self._claims(token)
        except KeysUnavailable:
            text = "tokens cannot be checked now; try again"
            await send_problem(send, 503, text, [(b"retry-after", b"5")])
            return
        except _Invalid as error:
            await _refuse(send, 401, "invalid_token", str(error))
            return
        scope.setdefault("state", {})["claims"] = claims
        if self._scopes and not self._scopes <= granted(claims):
            await _refuse_scope(send, self._scopes)
            return
        await self.app(scope, receive, send)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """Return a token's claims.

        Raises:
            _Invalid: it is not valid; the text says why, and nothing of it.
            KeysUnavailable: the keys are not known.
        """
        import jwt  # noqa: PLC0415 - the constructor has seen that it is there

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _Invalid("the token cannot be read") from None
        if header.get("alg") not in self._algorithms:
            raise _Invalid("the token is signed in a way that is not allowed")
        key = await self._keys.key(str(header.get("kid") or ""))
        if key is None:
            raise _Invalid("the token is signed with an unknown key")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key=key.key,
                algorithms=_of(key, self._algorithms),
                audience=self._audiences,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise _Invalid("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            logger.info("a bearer token is not valid: %s", type(error).__name__)
            raise _Invalid(_REASONS.get(type(error).__name__, "the token is not valid")) from None
        return claims


class RequireScopes:
    """Lets pass whose token, checked by an `OidcBearer` outside of this, allows some scopes.

    On the way in: compares the claims, and answers 403. On the way out: nothing.

    Args:
        app: what is called inside.
        scopes: what the token must allow, all of it.

    Raises:
        ValueError: no scope is named.

    Example:
        ```python
        check = Middleware(OidcBearer, issuer="https://id.example.com", audience="shop")
        shop = DaprFlow("shop", middleware=[check, Middleware(RequireScopes, "orders:write")])
        ```
    """

    def __init__(self, app: ASGIApp, *scopes: str) -> None:
        if not scopes:
            raise ValueError("no scope is named; write Middleware(RequireScopes, 'orders:write')")
        self.app = app
        self._scopes = _names(scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compare the scopes."""
        if scope["type"] == "http":
            claims = (scope.get("state") or {}).get("claims")
            if claims is None:
                await _refuse(send, 401, "", "a bearer token is needed")
                return
            if not self._scopes <= granted(claims):
                await _refuse_scope(send, self._scopes)
                return
        await self.app(scope, receive, send)


class _Invalid(Exception):  # noqa: N818 - named for the token
    """A token is not valid."""


_REASONS = {
    "InvalidAudienceError": "the token is for somebody else",
    "InvalidIssuerError": "the token is of another issuer",
    "InvalidSignatureError": "the signature is wrong",
    "ImmatureSignatureError": "the token is not valid yet",
    "MissingRequiredClaimError": "the token lacks a claim",
}


def granted(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes that a token allows."""
    found = claims.get("scope", claims.get("scp", ""))
    words = found.split() if isinstance(found, str) else found
    return frozenset(map(str, words)) if isinstance(words, list) else frozenset()


def _of(key: Any, allowed: Sequence[str]) -> list[str]:
    """Return the allowed algorithms that fit the kind of a key; a key may itself name its one."""
    families = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
    fitting = families.get(key.key_type, ())
    named = key._jwk_data.get("alg")  # noqa: SLF001 - PyJWK tells it nowhere else
    return [each for each in allowed if each.startswith(fitting) and named in (None, each)]


def _names(scopes: Sequence[str]) -> frozenset[str]:
    if isinstance(scopes, str) or not all(
        each and each.isascii() and each.isprintable() and not set(each) & set(' "\\')
        for each in scopes
    ):
        raise ValueError(f"scopes={scopes!r}; give it a list of words")
    return frozenset(scopes)


def _check(issuer: str, audiences: Sequence[str], algorithms: Sequence[str], jwks_uri: str) -> None:
    for url in (issuer, jwks_uri):
        if (url or url is issuer) and (problem := url_problem(url)):
            raise ValueError(f"the issuer or its keys are at {problem}")
    if not audiences or not all(audiences):
        raise ValueError("there is no 'audience': a token for any other app would be taken, too")
    wrong = [each for each in algorithms if each not in ALGORITHMS]
    if wrong or isinstance(algorithms, str) or not algorithms:
        raise ValueError(
            f"algorithms={algorithms!r}; each must be one of {', '.join(ALGORITHMS)}: keys are "
            "public here, so nothing else proves who signed"
        )


def _token(scope: Scope) -> str | None:
    """Return the bearer token of a request; None where there is none, or more than one."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1 or len(found[0]) > _LONGEST:
        return None
    kind, _, token = found[0].partition(b" ")
    if kind.lower() != b"bearer" or not token.strip():
        return None
    text: str = token.strip().decode("latin-1")
    return text


async def _refuse(send: Send, status: int, error: str, text: str) -> None:
    challenge = f'Bearer error="{error}", error_description="{text}"' if error else "Bearer"
    await send_problem(send, status, text, [(b"www-authenticate", challenge.encode())])


async def _refuse_scope(send: Send, scopes: frozenset[str]) -> None:
    needed = " ".join(sorted(scopes))
    challenge = f'Bearer error="insufficient_scope", scope="{needed}"'
    text = f"the token does not allow '{needed}'"
    await send_problem(send, 403, text, [(b"www-authenticate", challenge.encode())])

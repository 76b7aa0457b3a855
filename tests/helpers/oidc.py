"""A stand-in for an OpenID provider: real keys, a real HTTP server on a port of its own."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "shop"


class Provider:
    """Signs tokens with its newest key, and tells its keys.

    Attributes:
        fetched: how often its keys were read.
        asked: the forms that its token endpoint got.
        down: whether it answers 503 to everything.
        lifetime: seconds that a token of the token endpoint says it lives.
        secret: what clients of the token endpoint must know.
        called: set when the token endpoint is asked.
        gate: holds the token endpoint's answers while it is not set.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self.fetched = 0
        self.asked: list[dict[str, str]] = []
        self.down = False
        self.lifetime: float | None = 3600
        self.secret = "s3cret/+"
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self.rotate()

    def rotate(self, *, keep: bool = False) -> str:
        """Sign with a new key from now on; the former ones are forgotten."""
        if not keep:
            self._keys.clear()
        kid = f"key-{time.monotonic_ns()}"
        self._keys[kid] = rsa.generate_private_key(65537, 2048)
        return kid

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """The newest key."""
        return next(reversed(self._keys.values()))

    @property
    def kid(self) -> str:
        """Its id."""
        return next(reversed(self._keys))

    def token(self, *, algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        """Return a token; a claim that is None is left out."""
        now = time.time()
        payload = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ann", "exp": now + 60} | claims
        return jwt.encode(
            {name: value for name, value in payload.items() if value is not None},
            self.key if key is None else key,
            algorithm,
            {"kid": self.kid},
        )

    def forged(self, secret: bytes) -> str:
        """Return a token of HS256, which libraries refuse to make with a public key."""
        head = {"alg": "HS256", "kid": self.kid}
        claims = {"iss": self.issuer, "aud": AUDIENCE, "exp": time.time() + 60}
        parts = [_url(json.dumps(each).encode()) for each in (head, claims)]
        digest = hmac.digest(secret, ".".join(parts).encode(), "sha256")
        return ".".join((*parts, _url(digest)))

    async def discovery(self, _: web.Request) -> web.StreamResponse:
        """Answer ``/.well-known/openid-configuration``."""
        if self.down:
            return web.Response(status=503)
        return web.json_response({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"})

    async def keys(self, _: web.Request) -> web.StreamResponse:
        """Answer the keys, beside some that are of no use."""
        self.fetched += 1
        if self.down:
            return web.Response(status=503)
        found: list[Any] = [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "new"}, 5]
        for kid, key in self._keys.items():
            shown = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            found.append({**shown, "kid": kid, "use": "sig"})
        return web.json_response({"keys": found})

    async def give(self, request: web.Request) -> web.StreamResponse:
        """Answer the token endpoint."""
        form = {name: values[0] for name, values in parse_qs(await request.text()).items()}
        self.asked.append(form)
        self.called.set()
        await self.gate.wait()
        if self.down:
            return web.Response(status=503)
        given = form.get("client_secret")
        if header := request.headers.get("authorization"):
            pair = base64.b64decode(header.removeprefix("Basic ")).decode()
            given = unquote_plus(pair.partition(":")[2])
        if given != self.secret:
            return web.json_response({"error": "invalid_client"}, status=401)
        answer: dict[str, Any] = {
            "access_token": f"token-{len(self.asked)}",
            "token_type": "Bearer",
        }
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        return web.json_response(answer)


def _url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """Give a provider that listens on loopback."""
    provider = Provider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discovery)
    app.router.add_get("/keys", provider.keys)
    app.router.add_post("/token", provider.give)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        provider.issuer = f"http://127.0.0.1:{port}"
        yield provider
    finally:
        await runner.cleanup()

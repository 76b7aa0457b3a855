"""A stand-in for Keycloak, Entra ID and the like: it gives tokens to clients that it knows.

Only what OpenID Connect asks of a provider of machines' tokens: a discovery document, keys, and a
token endpoint for client credentials.
"""

import hmac
import os
import time
from base64 import b64decode
from urllib.parse import parse_qs, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from daprflow import DaprFlow

SECRETS = {"till": "till-secret", "shop": "shop-secret"}
MAY = {"till": {"orders:write"}, "shop": {"prices:read"}}


class Login:
    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.given: list[str] = []
        self._key = rsa.generate_private_key(65537, 2048)

    async def discovery(self, _: Request) -> JSONResponse:
        return JSONResponse({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"})

    async def keys(self, _: Request) -> JSONResponse:
        shown = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**shown, "kid": "1", "use": "sig"}]})

    async def token(self, request: Request) -> JSONResponse:
        """Answer a client that says who it is with a token for what it may do."""
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        client, secret = _basic(request.headers.get("authorization", ""))
        if not hmac.compare_digest(secret, SECRETS.get(client, "")) or not secret:
            return JSONResponse({"error": "invalid_client"}, 401)
        scope = " ".join(sorted(set(form.get("scope", "").split()) & MAY[client]))
        self.given.append(client)
        claims = {
            "iss": self.issuer,
            "sub": client,
            "aud": form.get("audience", ""),
            "scope": scope,
            "exp": time.time() + 300,
        }
        signed = jwt.encode(claims, self._key, "RS256", {"kid": "1"})
        return JSONResponse({"access_token": signed, "token_type": "Bearer", "expires_in": 300})


def _basic(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    pair = b64decode(value).decode() if kind == "Basic" else ""
    client, _, secret = pair.partition(":")
    return unquote_plus(client), unquote_plus(secret)


def site(login: Login) -> Starlette:
    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", login.discovery),
            Route("/keys", login.keys),
            Route("/token", login.token, methods=["POST"]),
        ]
    )


service = DaprFlow("login")
login = Login(os.environ.get("ISSUER", "http://localhost:8099"))
app = site(login)
service.install(app)

"""Middleware pipelines around the HTTP API and around calls on the app."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from daprflow.protocol.configuration_file import (
    AccessControl,
    ApiRule,
    ConfigurationResource,
    PipelineHandler,
    SecretScope,
)
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.http_api.trace import NO_PARENT
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.recording import Answer, Call, RecordingApp, serve
from tests.helpers.sidecar import Components, resources
from tests.helpers.subscribers import PUBSUB, Subscribed, subscribed

API, APP = "http_pipeline", "app_http_pipeline"
MIDDLEWARE = "middleware.http."


def files(components: Components, **pipelines: tuple[str, ...]) -> Resources:
    """Return ``components`` and pipelines of them."""
    known = {name: kind for name, (kind, _) in components.items()}
    handlers = {
        key: tuple(PipelineHandler(name, known[name], "c.yaml:1") for name in names)
        for key, names in pipelines.items()
    }
    configuration = ConfigurationResource(**handlers)  # type: ignore[arg-type]
    return replace(resources({**PUBSUB, **components}), configuration=configuration)


def one(kind: str, **metadata: str) -> Components:
    """Return one middleware, called ``m``."""
    return {"m": (MIDDLEWARE + kind, metadata)}


async def invoke(found: Subscribed, path: str, body: bytes = b"", **headers: str) -> Any:
    """Invoke a method of the app."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await found.send("POST", f"/v1.0/invoke/app1/method/{path}", body, pairs)


def echoing(found: Subscribed) -> None:
    """Have the app answer with what it gets."""
    found.app.computed["/echo"] = lambda call: Answer(200, call.body, "text/plain")


@pytest.mark.row("I-MI")
async def test_middleware_in_file_order(tmp_path: Path) -> None:
    """The first handler is the outermost: an alias before a check, a check before an alias."""
    components: Components = {
        "alias": (MIDDLEWARE + "routeralias", {"routes": '{"/short": "/v1.0/metadata"}'}),
        "check": (MIDDLEWARE + "routerchecker", {"rule": "^/v1.0/"}),
    }
    given = files(components, http_pipeline=("alias", "check"))
    async with subscribed(tmp_path, [], files=given) as found:
        assert (await found.send("GET", "/short")).status == 200
    given = files(components, http_pipeline=("check", "alias"))
    async with subscribed(tmp_path, [], files=given) as found:
        refused = await found.send("GET", "/short")
        assert (refused.status, refused.body) == (400, b"invalid router\n")
        assert dict(refused.headers)["traceparent"] == NO_PARENT.decode()
        healthy = await found.send("GET", "/v1.0/healthz")
        assert [name for name, _ in healthy.headers if name == "traceparent"] == []


async def test_an_alias_with_parameters(tmp_path: Path) -> None:
    """What stands for a name in a path becomes a query parameter of the other path."""
    routes = '{"/who/{id}": "/v1.0/invoke/app1/method/who"}'
    given = files(one("routeralias", routes=routes), http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        await found.send("POST", "/who/a%20b?x=1", b"{}")
        assert found.app.to("/who")[0].target == "/who?id=a+b&x=1"


@pytest.mark.parametrize(
    ("direction", "at_app", "back"),
    [("", "ÄB", "ÄB"), ("response", "äb", "ÄB"), ("both", "ÄB", "ÄB")],
)
@pytest.mark.parametrize("pipeline", [API, APP])
async def test_uppercase(
    tmp_path: Path, pipeline: str, direction: str, at_app: str, back: str
) -> None:
    """Capitals in the direction that is asked for, around the API and around the app alike."""
    given = files(one("uppercase", direction=direction), **{pipeline: ("m",)})
    async with subscribed(tmp_path, [], files=given) as found:
        echoing(found)
        answer = await invoke(found, "echo", "äb".encode())
        assert found.app.to("/echo")[0].body.decode() == at_app
        assert answer.body.decode() == back


async def test_deliveries_pass_the_apps_pipeline(tmp_path: Path) -> None:
    """Events go through the app's pipeline; a refusal there is the app's own to the broker."""
    given = files(one("routerchecker", rule="^/(dapr|marks)"), app_http_pipeline=("m",))
    async with subscribed(tmp_path, [{"topic": "t", "route": "/t"}], files=given) as found:
        await found.publish("t", 1)
        assert await found.settled("/t") == []
        assert len(found.app.to("/marks")) == 1


async def test_rate_limit(tmp_path: Path) -> None:
    """More than an address's bucket holds is a 429, and a second later it is full."""
    given = files(one("ratelimit", maxRequestsPerSecond="2"), http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        answers = [await found.send("GET", "/v1.0/metadata") for _ in range(3)]
        assert [each.status for each in answers] == [200, 200, 429]
        assert answers[-1].body == b"You have reached maximum request limit."
        found.sidecar.clock.move_to(found.sidecar.clock.now() + 1)
        assert (await found.send("GET", "/v1.0/metadata")).status == 200


async def test_rate_limits_are_told(tmp_path: Path) -> None:
    """Each answer says what is allowed, to whom, and what is left, as the real one was seen to."""
    given = files(one("ratelimit", maxRequestsPerSecond="2.5"), http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        told = [(await found.send("GET", "/v1.0/healthz")).headers for _ in range(3)]
        expected = {
            "ratelimit-limit": "3",
            "ratelimit-reset": "1",
            "x-rate-limit-limit": "2.50",
            "x-rate-limit-duration": "1",
            "x-rate-limit-request-remote-addr": "127.0.0.1:0",
        }
        assert [{**dict(each), **expected} for each in told] == list(map(dict, told))
        assert [dict(each)["ratelimit-remaining"] for each in told] == ["1", "0", "0"]


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({}, 429),
        ({"x-forwarded-for": "1.1.1.1"}, 200),
        ({"x-real-ip": "1.1.1.1"}, 200),
        ({"x-forwarded-for": "1.1.1.1, 127.0.0.1"}, 429),
        ({"x-forwarded-for": "2001:db8::1"}, 200),
    ],
)
async def test_whom_a_rate_limit_is_for(
    tmp_path: Path, other: Mapping[str, str], status: int
) -> None:
    """The last proxy says where a call comes from; another path has a bucket of its own."""
    given = files(one("ratelimit", maxRequestsPerSecond="1"), http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        assert (await found.send("GET", "/v1.0/metadata")).status == 200
        again = await found.send("GET", "/v1.0/metadata", b"", tuple(other.items()))
        assert again.status == status
        assert (await found.send("GET", "/v1.0/healthz")).status == 204


async def test_one_network_is_one_caller(tmp_path: Path) -> None:
    """Of an IPv6 address the first 64 bits count: the rest is whatever its owner likes."""
    given = files(one("ratelimit", maxRequestsPerSecond="1"), http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        answers = [
            await found.send("GET", "/v1.0/healthz", b"", [("x-forwarded-for", address)])
            for address in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")
        ]
    assert [each.status for each in answers] == [204, 429, 204]


async def test_rate_limit_of_calls_on_the_app(tmp_path: Path) -> None:
    """They come from nowhere, which is what the app is told, and their answers carry the limit."""
    given = files(one("ratelimit", maxRequestsPerSecond="1"), app_http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        echoing(found)
        answers = [await invoke(found, "echo", b"x") for _ in range(2)]
        assert [each.status for each in answers] == [200, 429]
        assert dict(answers[0].headers)["x-rate-limit-request-forwarded-for"] == "0.0.0.0"
        (call,) = found.app.to("/echo")
        assert dict(call.headers)["x-forwarded-for"] == "0.0.0.0"


def issuer_app(key: rsa.RSAPrivateKey, address: list[str]) -> RecordingApp:
    """Return an OpenID provider."""
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)

    def answer(call: Call) -> Answer:
        if call.path == "/.well-known/openid-configuration":
            return Answer.of({"issuer": address[0], "jwks_uri": f"{address[0]}/keys"})
        return Answer.of({"keys": [{**public, "kid": "k1"}]})

    return RecordingApp(answer)


async def test_bearer(tmp_path: Path) -> None:
    """A token of the issuer for the audience, in time, is let in; anything else is a 401."""
    key = rsa.generate_private_key(65537, 2048)
    other = rsa.generate_private_key(65537, 2048)
    address: list[str] = []
    async with serve(issuer_app(key, address)) as port:
        address.append(f"http://127.0.0.1:{port}")
        given = files(one("bearer", issuer=address[0], audience="me"), http_pipeline=("m",))
        async with subscribed(tmp_path, [], files=given) as found:
            now = found.sidecar.clock.now()

            async def status(
                signer: rsa.RSAPrivateKey = key, kid: str = "k1", **claims: Any
            ) -> int:
                good = {"iss": address[0], "aud": "me", "exp": now + 60}
                token = jwt.encode({**good, **claims}, signer, "RS256", {"kid": kid})
                headers = [("authorization", f"BEARER {token}")]
                answer = await found.send("GET", "/v1.0/metadata", b"", headers)
                return answer.status

            assert await status() == 200
            assert await status(exp=now - 200) == 200  # within the skew that the real one allows
            assert await status(aud=["you", "me"]) == 200
            assert await status(exp=now - 400) == 401
            assert await status(nbf=now + 400) == 401
            assert await status(aud="you") == 401
            assert await status(iss="http://else") == 401
            assert await status(other) == 401
            assert await status(kid="k2") == 401
            unsigned = jwt.encode({"iss": address[0], "aud": "me"}, "", "none", {"kid": "k1"})
            secret = jwt.encode({"iss": address[0], "aud": "me"}, "k" * 32, "HS256", {"kid": "k1"})
            for bad in ("", "Bearer ", "Basic eA==", f"Bearer {unsigned}", f"Bearer {secret}"):
                answer = await found.send("GET", "/v1.0/metadata", b"", [("authorization", bad)])
                assert (answer.status, answer.body) == (401, b"Unauthorized\n")


async def test_a_bearer_issuer_that_is_away(tmp_path: Path) -> None:
    """Without its issuer's keys the sidecar does not start, and says where it looked."""
    given = files(one("bearer", issuer="http://127.0.0.1:1", audience="me"), http_pipeline=("m",))
    with pytest.raises(ComponentError, match=r"127\.0\.0\.1:1/\.well-known/openid-configuration"):
        async with subscribed(tmp_path, [], files=given):
            raise AssertionError


def credentials(address: str, **more: str) -> Components:
    """Return a client credentials middleware."""
    return one(
        "oauth2clientcredentials",
        clientID="id",
        clientSecret="s3cret",
        scopes="a,b",
        tokenURL=address,
        headerName="authorization",
        **more,
    )


async def test_client_credentials(tmp_path: Path) -> None:
    """A call on the app carries a token, fetched once and again when it has ended."""
    token = {"access_token": "t1", "token_type": "bearer", "expires_in": 100}
    provider = RecordingApp(lambda _: Answer.of(token))
    async with serve(provider) as port:
        components = credentials(f"http://127.0.0.1:{port}/token", pathFilter="^/echo$")
        given = files(components, app_http_pipeline=("m",))
        async with subscribed(tmp_path, [], files=given) as found:
            echoing(found)
            for _ in range(2):
                await invoke(found, "echo")
            await invoke(found, "free")
            asked = provider.to("/token")
            assert len(asked) == 1
            assert asked[0].body == b"grant_type=client_credentials&scope=a+b"
            assert asked[0].header("authorization") == "Basic aWQ6czNjcmV0"
            assert found.app.to("/echo")[1].header("authorization") == "Bearer t1"
            assert found.app.to("/free")[0].header("authorization") is None
            found.sidecar.clock.move_to(found.sidecar.clock.now() + 101)
            await invoke(found, "echo")
            assert len(provider.to("/token")) == 2


async def test_no_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a token nothing reaches the app, the caller gets a 500, and no secret is logged."""
    provider = RecordingApp(lambda _: Answer.of({"error": "s3cret"}, 400))
    async with serve(provider) as port:
        given = files(credentials(f"http://127.0.0.1:{port}/"), app_http_pipeline=("m",))
        async with subscribed(tmp_path, [{"topic": "t", "route": "/t"}], files=given) as found:
            echoing(found)
            assert (await invoke(found, "echo")).status == 500
            assert found.app.calls == []
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        ("bearer", {"issuer": "http://x"}),
        ("oauth2clientcredentials", {"clientID": "x"}),
        ("ratelimit", {"maxRequestsPerSecond": "0"}),
        ("routerchecker", {"rule": "("}),
        ("routeralias", {"routes": "[]"}),
    ],
)
async def test_metadata_that_make_no_sense(
    tmp_path: Path, kind: str, metadata: Mapping[str, str]
) -> None:
    """A middleware that cannot do its work stops the start."""
    with pytest.raises(ComponentError, match="'m'"):
        async with subscribed(tmp_path, [], files=files(one(kind, **metadata))):
            raise AssertionError


async def test_a_handler_that_no_file_defines(tmp_path: Path) -> None:
    """A pipeline is never shorter than its file says: a missing component stops the start."""
    configuration = ConfigurationResource(
        http_pipeline=(PipelineHandler("gone", MIDDLEWARE + "bearer", "c.yaml:7"),)
    )
    given = replace(resources(PUBSUB), configuration=configuration)
    with pytest.raises(ComponentError, match=r"c\.yaml:7: the pipeline names 'gone'"):
        async with subscribed(tmp_path, [], files=given):
            raise AssertionError


async def test_a_pipeline_is_not_shortened_by_an_edit(tmp_path: Path) -> None:
    """Taking away a file that a pipeline needs is refused; an edited one is taken."""
    given = files(one("routerchecker", rule="metadata"), http_pipeline=("m",))
    async with subscribed(tmp_path, [], files=given) as found:
        (problem,) = await found.sidecar.runtime.reload(
            replace(given, components=given.components[:1])
        )
        assert "names 'm'" in problem
        assert (await found.send("GET", "/v1.0/secrets/x/y")).status == 400
        edited = files(one("routerchecker", rule="secrets"), http_pipeline=("m",))
        assert await found.sidecar.runtime.reload(edited) == ()
        assert (await found.send("GET", "/v1.0/metadata")).status == 400


async def test_the_token_is_asked_for_before_the_pipeline(tmp_path: Path) -> None:
    """Who may not call the sidecar at all does not use up anybody's rate."""
    given = files(one("ratelimit", maxRequestsPerSecond="1"), http_pipeline=("m",))
    options = RuntimeOptions("app1", app_port=1, api_token="tok")
    async with subscribed(tmp_path, [], files=given, options=options) as found:
        for _ in range(3):
            assert (await found.send("GET", "/v1.0/metadata")).status == 401
        headers = [("dapr-api-token", "tok")]
        assert (await found.send("GET", "/v1.0/metadata", b"", headers)).status == 200


@pytest.mark.row("S-30")
async def test_api_lists(tmp_path: Path) -> None:
    """A denied API is as if it did not exist; so is everything that an allow list leaves out."""
    rule = ApiRule("metadata", "v1.0", "http")
    invocation = ApiRule("invoke", "v1.0", "http")
    for configuration, metadata, invoked in (
        (ConfigurationResource(api_denied=(rule,)), 404, 200),
        (ConfigurationResource(api_allowed=(rule,)), 200, 404),
        (ConfigurationResource(api_allowed=(invocation,)), 404, 200),
    ):
        given = replace(resources(PUBSUB), configuration=configuration)
        async with subscribed(tmp_path, [], files=given) as found:
            echoing(found)
            assert (await found.send("GET", "/v1.0/metadata")).status == metadata
            assert (await invoke(found, "echo")).status == invoked
            assert (await found.send("GET", "/v1.0/healthz")).status == 204


@pytest.mark.row("I-MI", "S-31")
async def test_secret_scopes(tmp_path: Path) -> None:
    """A secret that the configuration keeps from the app is a 403, and not in the bulk answer."""
    (tmp_path / "s.json").write_text('{"a":"1","b":"2"}', encoding="utf-8")
    store: Components = {
        "vault": ("secretstores.local.file", {"secretsFile": str(tmp_path / "s.json")})
    }
    configuration = ConfigurationResource(secret_scopes=(SecretScope("vault", denied=("b",)),))
    given = replace(resources(store), configuration=configuration)
    async with subscribed(tmp_path, [], files=given) as found:
        assert (await found.send("GET", "/v1.0/secrets/vault/a")).status == 200
        denied = await found.send("GET", "/v1.0/secrets/vault/b")
        assert denied.status == 403
        assert msgspec.json.decode(denied.body) == {
            "errorCode": "ERR_PERMISSION_DENIED",
            "message": 'access denied by policy to get "b" from "vault"',
        }
        bulk = await found.send("GET", "/v1.0/secrets/vault/bulk")
        assert msgspec.json.decode(bulk.body) == {"a": {"a": "1"}}


@pytest.mark.row("I-IN", "S-30")
async def test_access_control(tmp_path: Path) -> None:
    """Another app of the run is refused by the callee's rules; the app itself never is."""
    configuration = ConfigurationResource(access_control=AccessControl("deny"))
    given = replace(resources(PUBSUB), configuration=configuration)
    async with subscribed(tmp_path, [], files=given) as found:
        echoing(found)
        other = Runtime(found.sidecar.engine, RuntimeOptions("other"), Resources(), None)
        await other.open()
        exchange = AsgiChannel(HttpApi(other))
        refused = await exchange.send(HttpRequest("GET", "/v1.0/invoke/app1/method/echo"))
        assert refused.status == 403
        assert b"access control policy has denied access" in refused.body
        assert [call.path for call in found.app.calls if "echo" in call.path] == []
        assert (await invoke(found, "echo")).status == 200
        await other.close(0)

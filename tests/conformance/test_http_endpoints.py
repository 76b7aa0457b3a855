"""Hosts outside Dapr that files give a name."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.http_endpoint import ClientTls, HttpEndpointResource
from daprflow.protocol.resources import MetadataItem, SecretKeyRef
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import Answer, RecordingApp, serve
from tests.helpers.sidecar import resources
from tests.helpers.subscribers import PUBSUB, subscribed

TOKEN = MetadataItem("Authorization", secret_key_ref=SecretKeyRef("token"))


def endpoint(base: str, **more: object) -> HttpEndpointResource:
    """Return a file's endpoint."""
    made = HttpEndpointResource("rates", base, source="e.yaml:1")
    return msgspec.structs.replace(made, **more)


async def test_an_endpoint_is_invoked_by_its_name(tmp_path: Path) -> None:
    """The call goes to the address with the file's headers, secrets resolved, over the caller's."""
    (tmp_path / "s.json").write_text('{"token":"t0p"}', encoding="utf-8")
    store = ("secretstores.local.file", {"secretsFile": str(tmp_path / "s.json")})
    host = RecordingApp(lambda _: Answer(418, b"tea", "text/plain"))
    async with serve(host) as port:
        made = endpoint(
            f"http://127.0.0.1:{port}/v1",
            headers=(MetadataItem("Accept-Language", "en"), TOKEN),
            secret_store="vault",
        )
        files = replace(resources({**PUBSUB, "vault": store}), http_endpoints=(made,))
        options = RuntimeOptions("app1", app_port=1, app_token="apptok")
        async with subscribed(tmp_path, [], files=files, options=options) as found:
            headers = [("accept-language", "de"), ("x-own", "1")]
            target = "/v1.0/invoke/rates/method/latest?base=eur"
            answer = await found.send("GET", target, b"", headers)
    assert (answer.status, answer.body) == (418, b"tea")
    (call,) = host.calls
    assert call.target == "/v1/latest?base=eur"
    assert [value for name, value in call.headers if name == "accept-language"] == ["en"]
    assert (call.header("authorization"), call.header("x-own")) == ("t0p", "1")
    assert call.header("dapr-api-token") is None
    assert call.header("dapr-caller-app-id") is None


async def test_an_endpoint_for_other_apps(tmp_path: Path) -> None:
    """An endpoint that is scoped to other apps is as unknown as any other name."""
    made = endpoint("http://127.0.0.1:1", scopes=("other",))
    files = replace(resources(PUBSUB), http_endpoints=(made,))
    async with subscribed(tmp_path, [], files=files) as found:
        answer = await found.send("GET", "/v1.0/invoke/rates/method/x")
        assert b"couldn't find service: rates" in answer.body
        assert found.sidecar.runtime.http_endpoints == ()


async def test_redirects_of_a_host_are_followed(tmp_path: Path) -> None:
    """As the real runtime does it: ten times, a call with a body goes on as a GET without it."""
    host = RecordingApp()
    host.answers["/v1/here"] = Answer(302, headers={"location": "/v1/there"})
    host.answers["/v1/round"] = Answer(301, headers={"location": "round"})
    host.answers["/v1/same"] = Answer(307, headers={"location": "/v1/there"})
    host.answers["/v1/there"] = Answer(200, b"found", "text/plain")
    async with serve(host) as port:
        made = endpoint(f"http://127.0.0.1:{port}/v1")
        files = replace(resources(PUBSUB), http_endpoints=(made,))
        async with subscribed(tmp_path, [], files=files) as found:
            send = found.send
            answer = await send("POST", "/v1.0/invoke/rates/method/here", b"x")
            assert (answer.status, answer.body) == (200, b"found")
            assert [(c.method, c.target, c.body) for c in host.calls] == [
                ("POST", "/v1/here", b"x"),
                ("GET", "/v1/there", b""),
            ]
            assert (await send("POST", "/v1.0/invoke/rates/method/same", b"x")).status == 307
            assert (await send("GET", "/v1.0/invoke/rates/method/same")).status == 307
            host.calls.clear()
            answer = await send("GET", "/v1.0/invoke/rates/method/round")
            assert b"stopped after 10 redirects" in answer.body
            assert len(host.calls) == 10


async def test_what_a_host_gets_and_gives_as_it_is(tmp_path: Path) -> None:
    """A slash at the end of an address stays, header bytes survive, ``Expect`` ends here."""
    host = RecordingApp(lambda _: Answer(200, headers={"x-name": "caf\u00e9"}))
    async with serve(host) as port:
        made = endpoint(f"http://127.0.0.1:{port}/v1/")
        files = replace(resources(PUBSUB), http_endpoints=(made,))
        async with subscribed(tmp_path, [], files=files) as found:
            pairs = [("expect", "100-continue")]
            answer = await found.send("POST", "/v1.0/invoke/rates/method/m", b"x", pairs)
    (name,) = (value for key, value in answer.headers if key == "x-name")
    assert name.encode("latin-1") == "caf\u00e9".encode()
    assert host.calls[0].target == "/v1//m"
    assert host.calls[0].header("expect") is None


async def test_a_host_that_is_away(tmp_path: Path) -> None:
    """A host that does not answer is Dapr's error of an invocation that did not arrive."""
    files = replace(resources(PUBSUB), http_endpoints=(endpoint("http://127.0.0.1:1"),))
    async with subscribed(tmp_path, [], files=files) as found:
        answer = await found.send("GET", "/v1.0/invoke/rates/method/x")
        assert answer.status == 500
        assert b"ERR_DIRECT_INVOKE" in answer.body


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"headers": (TOKEN,), "secret_store": "vault"}, r"endpoint 'rates' \(e.yaml:1\) needs"),
        (
            {"client_tls": ClientTls(root_ca=MetadataItem("clientTLS.rootCA", "x"))},
            "its clientTLS is not PEM",
        ),
    ],
)
async def test_an_endpoint_that_cannot_be_used(
    tmp_path: Path, more: dict[str, object], words: str
) -> None:
    """A missing secret or a bad certificate stops the start, and an edit like that is refused."""
    files = replace(resources(PUBSUB), http_endpoints=(endpoint("http://127.0.0.1:1", **more),))
    with pytest.raises(ComponentError, match=words):
        async with subscribed(tmp_path, [], files=files):
            raise AssertionError
    good = resources(PUBSUB)
    async with subscribed(tmp_path, [], files=good) as found:
        (problem,) = await found.sidecar.runtime.reload(files)
        assert "e.yaml:1" in problem
        assert found.sidecar.runtime.http_endpoints == ()

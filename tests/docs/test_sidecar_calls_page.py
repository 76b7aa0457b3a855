"""The page of the sidecar's calls has every one, and the embedded sidecar takes them."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow import Actor, Client
from daprflow.client import Configuration, Store
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.grpc_api.methods import METHODS
from daprflow.sidecar.http_api import HttpApi
from daprflow.sidecar.http_api.app import BLOCKS
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.docs.sidecar_calls import LATER, PATHS, WITH_CLIENT
from tests.docs.sidecar_calls_page import (
    PAGE,
    declared_hub_methods,
    hub_methods,
    methods,
    page,
)
from tests.helpers.asgi import call_asgi

NOT_A_ROUTE = b"failed getting app id"
IN_WORDS = {"the same", "in a turn", "over gRPC"}
"""What is in the column of the client and no name."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[HttpApi]:
    """Open a sidecar without components."""
    engine = Engine(VirtualClock(1_700_000_000.0), None, tmp_path)
    runtime = Runtime(engine, RuntimeOptions("app1"), Resources(()), None)
    await runtime.open()
    await runtime.connect()
    yield HttpApi(runtime)
    await engine.close()


def test_the_page_is_made_from_the_code() -> None:
    """``python -m tests.docs.sidecar_calls_page`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_method_of_the_messages_is_there() -> None:
    """What the installed messages declare is answered, or belongs to their next release."""
    declared = set(methods())
    assert declared - set(METHODS) - set(LATER) == set()
    assert set(METHODS) - declared == set()
    assert set(LATER) & set(METHODS) == set()
    assert set(METHODS) >= set(WITH_CLIENT)
    assert list(hub_methods()) == list(declared_hub_methods())


def test_every_block_has_paths() -> None:
    """Each first word of a path that the HTTP API knows stands on the page, and no other."""
    words = {route.path.split("/")[2].encode() for route in PATHS}
    assert words == set(BLOCKS)


async def test_every_path_is_a_route(api: HttpApi) -> None:
    """The embedded sidecar answers each call itself, whatever it says without components."""
    other = await call_asgi(api, "GET", "/v1.0/nothing/here")
    assert NOT_A_ROUTE in other.body
    assert not await taken(api, "POST", "/v1.0/workflows/some/some/nothing")
    calls = [
        (verb, route.path.replace("{type}", "%23"))  # no name of a type: none is looked for
        for route in PATHS
        for verb in route.verbs.split(", ")
    ]
    assert [
        f"{verb} {path}"
        for verb, path in calls
        if not await taken(api, verb, re.sub(r"\{\w+\}", "some", path))
    ] == []


async def taken(api: HttpApi, verb: str, path: str) -> bool:
    """Whether a route takes a call; one about workflows waits for a worker, as a real one does."""
    call = asyncio.ensure_future(call_asgi(api, verb, path))
    done, _ = await asyncio.wait({call}, timeout=0.2 if "/workflows/" in path else 30)
    if not done:
        call.cancel()
        await asyncio.wait({call})
        return "/workflows/" in path
    return bool(call.result().status) and NOT_A_ROUTE not in call.result().body


def test_what_the_client_has_for_it_exists() -> None:
    """Each name in the last column is one of the client's, or of what it gives."""
    owners = {"state()": Store, "configuration()": Configuration, "Actor": Actor}
    for route in PATHS:
        if not route.client or route.client in IN_WORDS:
            continue
        owner, _, names = route.client.rpartition(".")
        kind = owners.get(owner, Client)
        assert [name for name in names.split(", ") if not hasattr(kind, name)] == [], route

"""C-CV-01: what a conversation component answers, in both versions of the API."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daprflow.client import Client
from daprflow.client.conversation import (
    Assistant,
    Developer,
    Reply,
    System,
    Tool,
    ToolCall,
    ToolResult,
    User,
)
from daprflow.errors import SidecarError
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.testing.transport import InProcessTransport
from tests.helpers.sidecar import in_process_sidecar

WEATHER = Tool("weather", "of a city", {"properties": {"unit": {}, "city": {}}})


@contextlib.asynccontextmanager
async def echo(root: Path) -> AsyncIterator[Client]:
    """A client of a sidecar that has ``conversation.echo`` under the name "echo"."""
    async with (
        in_process_sidecar(root, {"echo": ("conversation.echo", {})}) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        yield client


async def posted(root: Path, version: str, body: Any) -> tuple[int, Any]:
    """Send ``body`` as it is; return status and answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/v1.0-{version}/conversation/echo/converse"
    async with in_process_sidecar(root, {"echo": ("conversation.echo", {})}) as sidecar:
        answer = await sidecar.exchange.send(HttpRequest("POST", path, (), raw))
    return answer.status, json.loads(answer.body)


async def test_every_kind_of_message_is_answered(tmp_path: Path) -> None:
    """Echo repeats what system, developer, user, assistant and tools said, a line each."""
    async with echo(tmp_path) as client:
        reply = await client.converse(
            "echo",
            [
                System("be brief"),
                Developer("no jokes"),
                User("weather?"),
                Assistant("asking", (ToolCall("1", "weather", "{}"),)),
                ToolResult("1", "weather", "rain"),
            ],
        )
    lines = ["be brief", "no jokes", "weather?", "asking"]
    lines.append("Tool Response for tool ID '1' with name 'weather': rain")
    assert reply.text.split("\n") == lines
    assert reply.tool_calls == (ToolCall("1", "weather", "{}"),)
    assert reply.finish_reason == "tool_calls"


async def test_a_text_is_what_a_user_says(tmp_path: Path) -> None:
    """The short form; tokens are counted."""
    async with echo(tmp_path) as client:
        reply = await client.converse("echo", "hello you", context_id="c1")
    assert reply == Reply("hello you", (), "stop", "c1", "", 2, 2)


@pytest.mark.parametrize("choice", ["", "auto", "none", "required", "weather"])
async def test_an_offered_tool_is_asked_for(tmp_path: Path, choice: str) -> None:
    """Echo asks for every tool, with the names of its arguments in order."""
    async with echo(tmp_path) as client:
        reply = await client.converse("echo", "x", tools=[WEATHER], tool_choice=choice)
    assert reply.tool_calls == (ToolCall("0", "weather", "city,unit"),)


async def test_a_choice_that_is_no_tool_is_refused(tmp_path: Path) -> None:
    """A misspelt tool is named as such before a model is asked."""
    async with echo(tmp_path) as client:
        with pytest.raises(SidecarError, match="tool choice selected was not found") as caught:
            await client.converse("echo", "x", tools=[WEATHER], tool_choice="whether")
        assert (caught.value.code, caught.value.status) == ("ERR_CONVERSATION_INVALID_PARMS", 400)
        with pytest.raises(SidecarError, match="must be 'auto', 'none', 'required'"):
            await client.converse("echo", "x", tool_choice="required")


async def test_schemas_of_odd_form_are_the_models_error(tmp_path: Path) -> None:
    """A component's own error is a 500 that names the component."""
    async with echo(tmp_path) as client:
        with pytest.raises(SidecarError, match="got float64") as caught:
            await client.converse("echo", "x", tools=[Tool("t", "", {"properties": 1})])
    assert caught.value.code == "ERR_CONVERSATION_INVOKE"


async def test_personal_data_can_be_left_out(tmp_path: Path) -> None:
    """``scrub_pii`` has the sidecar take it out before the model hears it."""
    async with echo(tmp_path) as client:
        reply = await client.converse("echo", "I am ann@example.com", scrub_pii=True)
    assert reply.text == "I am <EMAIL_ADDRESS>"


async def test_a_missing_component_is_named(tmp_path: Path) -> None:
    """As the runtime says it."""
    async with echo(tmp_path) as client:
        with pytest.raises(SidecarError, match="failed finding conversation component zzz"):
            await client.converse("zzz", "x")


@pytest.mark.parametrize("said", ["", []])
async def test_saying_nothing_is_refused_at_once(tmp_path: Path, said: Any) -> None:
    """No call is made for it."""
    async with echo(tmp_path) as client:
        with pytest.raises(ValueError, match="something to say"):
            await client.converse("echo", said)


@pytest.mark.parametrize("version", ["alpha1", "alpha2"])
async def test_missing_inputs_are_the_callers_error(tmp_path: Path, version: str) -> None:
    """Both versions say so in the same words."""
    text = "failed conversing with component echo: missing inputs in request"
    answer = {"errorCode": "ERR_CONVERSATION_MISSING_INPUTS", "message": text}
    assert await posted(tmp_path, version, {}) == (400, answer)


async def test_the_first_version_joins_texts(tmp_path: Path) -> None:
    """Inputs become lines, parameters come back, one input may be scrubbed."""
    body = {
        "contextID": "c",
        "inputs": [{"content": "a"}, {"content": "b@example.com", "scrubPII": True}],
        "parameters": {"p": {"@type": "t", "value": 1}},
    }
    output = {"result": "a\n<EMAIL_ADDRESS>", "parameters": body["parameters"]}
    assert await posted(tmp_path, "alpha1", body) == (200, {"contextID": "c", "outputs": [output]})


@pytest.mark.parametrize(
    ("message", "kind"),
    [({}, "message type"), ({"ofAssistant": {"toolCalls": [{"id": "1"}]}}, "tool types")],
)
async def test_a_message_without_a_kind_is_refused(tmp_path: Path, message: Any, kind: str) -> None:
    """The runtime's text ends as Go's formatting leaves it."""
    status, answer = await posted(tmp_path, "alpha2", {"inputs": [{"messages": [message]}]})
    assert (status, answer["errorCode"]) == (400, "ERR_CONVERSATION_INVALID_PARMS")
    assert answer["message"].endswith(f"(EXTRA *errors.errorString={kind} cannot be nil)")


@pytest.mark.parametrize("version", ["alpha1", "alpha2"])
async def test_a_body_that_is_no_message_is_refused(tmp_path: Path, version: str) -> None:
    """Whatever it is, the answer is Dapr's."""
    status, answer = await posted(tmp_path, version, b'{"inputs": 1}')
    assert (status, answer["errorCode"]) == (400, "ERR_MALFORMED_REQUEST")

"""Conversations over gRPC: every kind of message, tools, and personal data."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

from daprflow.protocol import messages as m
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with a model that repeats what it is told."""
    async with grpc_sidecar(tmp_path, {"echo": ("conversation.echo", {})}) as running:
        yield running


def text(content: str) -> list[m.ConversationMessageContent]:
    """Return content."""
    return [m.ConversationMessageContent(text=content)]


def said(*messages: m.ConversationMessage, scrub: bool = False) -> m.ConversationRequestAlpha2:
    """Return a request with messages."""
    inputs = [m.ConversationInputAlpha2(messages=messages, scrub_pii=scrub)]
    return m.ConversationRequestAlpha2(name="echo", inputs=inputs)


async def test_every_kind_of_message(sidecar: GrpcSidecar) -> None:
    """What all sides say gets to the model, calls of tools included."""
    kind = m.ConversationMessage
    wish = m.ConversationToolCalls(
        id="1", function=m.ConversationToolCallsOfFunction(name="f", arguments="{}")
    )
    request = said(
        kind(of_developer=m.ConversationMessageOfDeveloper(content=text("a"))),
        kind(of_system=m.ConversationMessageOfSystem(content=text("b"))),
        kind(of_user=m.ConversationMessageOfUser(content=text("c"))),
        kind(of_assistant=m.ConversationMessageOfAssistant(content=text("d"), tool_calls=[wish])),
        kind(of_tool=m.ConversationMessageOfTool(tool_id="1", name="f", content=text("e"))),
    )
    request.context_id = "ctx"
    answer = await sidecar.stub.ConverseAlpha2(request)
    assert answer.context_id == "ctx"
    (output,) = answer.outputs
    (choice,) = output.choices
    told = "a\nb\nc\nd\nTool Response for tool ID '1' with name 'f': e"
    assert choice.message == m.ConversationResultMessage(content=told, tool_calls=[wish])
    assert choice.finish_reason == "tool_calls"
    assert (output.usage.prompt_tokens, output.usage.total_tokens) == (14, 28)


async def test_tools_are_offered(sidecar: GrpcSidecar) -> None:
    """A tool's parameters are a JSON schema; the model may ask for it."""
    schema = Struct()
    schema.update({"properties": {"b": {}, "a": {}}})
    function = m.ConversationToolsFunction(name="f", parameters=schema)
    request = said(m.ConversationMessage(of_user=m.ConversationMessageOfUser(content=text("x"))))
    request.tools.append(m.ConversationTools(function=function))
    answer = await sidecar.stub.ConverseAlpha2(request)
    (call,) = answer.outputs[0].choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("0", "f", "a,b")


async def test_personal_data_do_not_get_to_the_model(sidecar: GrpcSidecar) -> None:
    """What looks personal is scrubbed where that is asked for."""
    message = m.ConversationMessage(
        of_user=m.ConversationMessageOfUser(content=text("write to a@b.com"))
    )
    answer = await sidecar.stub.ConverseAlpha2(said(message, scrub=True))
    assert answer.outputs[0].choices[0].message.content == "write to <EMAIL_ADDRESS>"


async def test_the_first_version(sidecar: GrpcSidecar) -> None:
    """Texts go in and come out, and parameters come back as they were, whatever their type."""
    request = m.ConversationRequest(
        name="echo", contextID="c", inputs=[m.ConversationInput(content="hi", role="user")]
    )
    request.parameters["p"].Pack(StringValue(value="v"))
    request.parameters["u"].CopyFrom(m.AnyMessage(type_url="unknown/type", value=b"\x01"))
    answer = await sidecar.stub.ConverseAlpha1(request)
    result = m.ConversationResult(result="hi", parameters=request.parameters)
    assert answer == m.ConversationResponse(contextID="c", outputs=[result])


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (m.ConversationRequestAlpha2(name="zzz"), "failed finding conversation component zzz"),
        (
            m.ConversationRequestAlpha2(name="echo"),
            "failed conversing with component echo: missing inputs in request",
        ),
        (
            said(m.ConversationMessage()),
            (
                "failed conversing with component echo: invalid params"
                "%!(EXTRA *errors.errorString=message type cannot be nil)"
            ),
        ),
    ],
)
async def test_what_is_wrong(
    sidecar: GrpcSidecar, request_: m.ConversationRequestAlpha2, reason: str
) -> None:
    """A wrong call is refused in the real runtime's words."""
    found = await refusal(sidecar.stub.ConverseAlpha2(request_))
    assert (found.code, found.text, found.info) == ("INVALID_ARGUMENT", reason, None)

"""Conversations with language models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daprflow.client.caller import Caller
from daprflow.protocol import conversation as wire


class Message:
    """Something that is said: `User`, `System`, `Developer`, `Assistant` or `ToolResult`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class User(Message):
    """What a user says."""

    text: str


@dataclass(frozen=True, slots=True)
class System(Message):
    """How the model is to behave."""

    text: str


@dataclass(frozen=True, slots=True)
class Developer(Message):
    """As `System`, for models that tell the two apart."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants called; ``arguments`` as the model wrote them, JSON as a rule."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Assistant(Message):
    """What the model said earlier, where a conversation goes on."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolResult(Message):
    """What the tool gave that the model had asked for with `ToolCall`."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may ask for; ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        text: empty where it only asks for tools.
        tool_calls: what it wants called; send each result with `ToolResult`.
        finish_reason: ``stop``, ``tool_calls`` or what else the model says.
        context_id: names the conversation where the component keeps it.
        model: the model that answered, empty where the component does not say.
        prompt_tokens: tokens of what it was told; 0 where the component does not count.
        completion_tokens: tokens of what it answered.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    context_id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def encoded(messages: Sequence[Message], *, scrub_pii: bool) -> wire.Input:
    """Return messages as they are sent.

    Raises:
        ValueError: there are none.
    """
    if not messages:
        raise ValueError("a conversation needs something to say; give a text or messages")
    return wire.Input(tuple(_encoded(message) for message in messages), scrub_pii=scrub_pii)


def offered(tool: Tool) -> wire.Tool:
    """Return a tool as it is offered."""
    return wire.Tool(wire.FunctionTool(tool.name, tool.description, dict(tool.parameters or {})))


async def ask(caller: Caller, component: str, request: wire.ConverseRequest) -> Reply:
    """Send ``request`` to a conversation component and return what was answered."""
    response = await caller.call(wire.converse(component, request))
    what = f"the answer of conversation component '{component}'"
    return _reply(caller.decode(response.body or b"{}", wire.ConverseResponse, what))


def _encoded(message: Message) -> wire.Message:
    match message:
        case User(text):
            return wire.Message(of_user=wire.Said(content=(wire.Content(text),)))
        case System(text):
            return wire.Message(of_system=wire.Said(content=(wire.Content(text),)))
        case Developer(text):
            return wire.Message(of_developer=wire.Said(content=(wire.Content(text),)))
        case ToolResult(id_, name, text):
            return wire.Message(of_tool=wire.ToolSaid(id_, name, (wire.Content(text),)))
        case Assistant(text, calls):
            content = (wire.Content(text),) if text else ()
            wanted = tuple(
                wire.ToolCall(call.id, wire.FunctionCall(call.name, call.arguments))
                for call in calls
            )
            return wire.Message(of_assistant=wire.AssistantSaid("", content, wanted))
    kind = type(message).__name__
    raise TypeError(f"a conversation takes User, System, ToolResult and the like, not '{kind}'")


def _reply(response: wire.ConverseResponse) -> Reply:
    if not response.outputs or not response.outputs[0].choices:
        return Reply("", context_id=response.context_id)
    output = response.outputs[0]
    choice, usage = output.choices[0], output.usage or wire.Usage()
    message = choice.message or wire.Answered()
    return Reply(
        message.content,
        tuple(
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls
            if call.function is not None
        ),
        choice.finish_reason,
        response.context_id,
        output.model,
        int(usage.prompt_tokens or 0),
        int(usage.completion_tokens or 0),
    )

"""What a conversation call carries: messages, tools, answers; both versions of the API."""

from typing import Any

import msgspec

from daprflow.protocol.http import JSON, HttpRequest
from daprflow.protocol.operations import segment


class _Wire(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """JSON as protobuf writes it: camel case, defaults left out, 64-bit numbers as text."""


class Content(_Wire, frozen=True):
    """One piece of text."""

    text: str = ""


class Said(_Wire, frozen=True):
    """What a developer, the system or a user says."""

    name: str = ""
    content: tuple[Content, ...] = ()


class FunctionCall(_Wire, frozen=True):
    """The function a model wants called; ``arguments`` as the model wrote them."""

    name: str = ""
    arguments: str = ""


class ToolCall(_Wire, frozen=True):
    """A model's wish to have a tool called."""

    id: str = ""
    function: FunctionCall | None = None


class AssistantSaid(_Wire, frozen=True):
    """What the model said before."""

    name: str = ""
    content: tuple[Content, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


class ToolSaid(_Wire, frozen=True):
    """What a tool gave back."""

    tool_id: str = ""
    name: str = ""
    content: tuple[Content, ...] = ()


class Message(_Wire, frozen=True):
    """One message; exactly one of its fields is set."""

    of_developer: Said | None = None
    of_system: Said | None = None
    of_user: Said | None = None
    of_assistant: AssistantSaid | None = None
    of_tool: ToolSaid | None = None


class Input(_Wire, frozen=True):
    """Messages that are sent together."""

    messages: tuple[Message, ...] = ()
    scrub_pii: bool = False


class FunctionTool(_Wire, frozen=True):
    """A function that a model may ask for; ``parameters`` is its JSON schema."""

    name: str = ""
    description: str = ""
    parameters: dict[str, Any] = {}


class Tool(_Wire, frozen=True):
    """A tool that a model may use."""

    function: FunctionTool | None = None


class ConverseRequest(_Wire, frozen=True):
    """The body of ``POST /v1.0-alpha2/conversation/{name}/converse``.

    Attributes:
        prompt_cache_retention: protobuf's duration, such as ``3600s``.
    """

    context_id: str = ""
    inputs: tuple[Input, ...] = ()
    parameters: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    scrub_pii: bool = False
    temperature: float | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = ""
    response_format: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None


class Answered(_Wire, frozen=True):
    """What the model says: text, or calls of tools, or both."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class Choice(_Wire, frozen=True):
    """One answer; ``finish_reason`` is ``stop``, ``tool_calls`` or what the model gives."""

    finish_reason: str = ""
    index: str = ""
    message: Answered | None = None


class Usage(_Wire, frozen=True):
    """How many tokens a call took, in digits."""

    completion_tokens: str = ""
    prompt_tokens: str = ""
    total_tokens: str = ""


class Output(_Wire, frozen=True):
    """The choices a model gives for one call."""

    choices: tuple[Choice, ...] = ()
    model: str = ""
    usage: Usage | None = None


class ConverseResponse(_Wire, frozen=True):
    """The answer of the second version."""

    context_id: str = ""
    outputs: tuple[Output, ...] = ()


class FirstInput(msgspec.Struct, frozen=True):
    """One message of the first version."""

    content: str = ""
    role: str = ""
    scrub_pii: bool = msgspec.field(default=False, name="scrubPII")


class FirstRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /v1.0-alpha1/conversation/{name}/converse``."""

    context_id: str = msgspec.field(default="", name="contextID")
    inputs: tuple[FirstInput, ...] = ()
    parameters: dict[str, Any] = {}
    scrub_pii: bool = msgspec.field(default=False, name="scrubPII")
    temperature: float | None = None


class FirstOutput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer of the first version."""

    result: str = ""
    parameters: dict[str, Any] = {}


class FirstResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of the first version."""

    context_id: str = msgspec.field(default="", name="contextID")
    outputs: tuple[FirstOutput, ...] = ()


def converse(component: str, body: ConverseRequest) -> HttpRequest:
    """Return the request that talks to a conversation component."""
    path = f"/v1.0-alpha2/conversation/{segment(component)}/converse"
    return HttpRequest("POST", path, (("content-type", JSON),), msgspec.json.encode(body))

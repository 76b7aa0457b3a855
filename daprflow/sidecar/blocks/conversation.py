"""The conversation building block: models by name, both versions of the API, Dapr's errors."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from daprflow.protocol import faults
from daprflow.protocol.conversation import (
    Answered,
    AssistantSaid,
    Choice,
    ConverseRequest,
    ConverseResponse,
    FirstOutput,
    FirstRequest,
    FirstResponse,
    FunctionCall,
    Message,
    Output,
    ToolCall,
    ToolSaid,
    Usage,
)
from daprflow.sidecar.blocks.personal_data import scrub
from daprflow.sidecar.components.base import (
    ComponentError,
    Conversation,
    OfferedTool,
    Prompt,
    Reply,
    ToolAsked,
    ToolResult,
)

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

Part = str | ToolAsked | ToolResult
_CHOICES = "Must be 'auto', 'none', 'required', or a specific tool name matching the tools"


class ConversationBlock:
    """The models that one app may talk to."""

    def __init__(self, runtime: "Runtime") -> None:
        models = runtime.loaded("conversation")
        self._models = {name: cast("Conversation", model) for name, model in models.items()}
        self._timed = runtime.telemetry.timed("conversation", self._models.__contains__)

    async def converse_first(self, name: str, request: FirstRequest) -> FirstResponse:
        """Answer a call of the first version: texts in, texts out."""
        with self._timed(name):
            model = self._model(name)
            if not request.inputs:
                raise faults.conversation_without_inputs(name)
            said = tuple(scrub(i.content) if i.scrub_pii else i.content for i in request.inputs)
            reply = await _asked(name, model, Prompt(said))
            text = scrub(reply.text) if request.scrub_pii else reply.text
            return FirstResponse(request.context_id, (FirstOutput(text, request.parameters),))

    async def converse(self, name: str, request: ConverseRequest) -> ConverseResponse:
        """Answer a call of the second version: messages, tools and usage."""
        with self._timed(name):
            model = self._model(name)
            if not request.inputs:
                raise faults.conversation_without_inputs(name)
            parts = tuple(
                part
                for given in request.inputs
                for message in given.messages
                for part in _parts(name, message, scrubbed=given.scrub_pii)
            )
            _check_choice(name, request)
            reply = await _asked(name, model, Prompt(parts, _offered(request)))
            text = scrub(reply.text) if request.scrub_pii else reply.text
            choice = Choice(reply.finish_reason, message=Answered(text, _calls(reply)))
            output = Output((choice,), usage=_usage(reply))
            return ConverseResponse(request.context_id, (output,))

    def _model(self, name: str) -> Conversation:
        model = self._models.get(name)
        if model is None:
            raise faults.conversation_not_found(name)
        return model


async def _asked(name: str, model: Conversation, prompt: Prompt) -> Reply:
    try:
        return await model.converse(prompt)
    except ComponentError as error:
        raise faults.conversation_failed(name, str(error)) from error


def _parts(name: str, message: Message, *, scrubbed: bool) -> Iterator[Part]:
    said = (
        message.of_developer
        or message.of_system
        or message.of_user
        or message.of_assistant
        or message.of_tool
    )
    if said is None:
        raise faults.conversation_invalid(name, "*errors.errorString", "message type cannot be nil")
    for content in said.content:
        text = scrub(content.text) if scrubbed else content.text
        if isinstance(said, ToolSaid):
            yield ToolResult(said.tool_id, said.name, text)
        else:
            yield text
    if isinstance(said, AssistantSaid):
        for call in said.tool_calls:
            if call.function is None:
                text = "tool types cannot be nil"
                raise faults.conversation_invalid(name, "*errors.errorString", text)
            yield ToolAsked(call.id, call.function.name, call.function.arguments)


def _check_choice(name: str, request: ConverseRequest) -> None:
    choice, tools = request.tool_choice, request.tools
    if choice in {"", "auto", "none"}:
        return
    if choice == "required":
        if not tools:
            text = f"tool choice {_CHOICES[0].lower()}{_CHOICES[1:]} available to be used"
            raise faults.conversation_invalid(name, "string", text)
        return
    known = {tool.function.name for tool in tools if tool.function is not None}
    if tools and choice not in known:
        text = f"tool choice selected was not found. {_CHOICES} available to be used"
        raise faults.conversation_invalid(name, "string", text)


def _offered(request: ConverseRequest) -> tuple[OfferedTool, ...]:
    return tuple(
        OfferedTool(tool.function.name, tool.function.description, tool.function.parameters)
        for tool in request.tools
        if tool.function is not None
    )


def _calls(reply: Reply) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(call.id, FunctionCall(call.name, call.arguments)) for call in reply.tool_calls
    )


def _usage(reply: Reply) -> Usage:
    total = reply.prompt_tokens + reply.completion_tokens
    return Usage(_digits(reply.completion_tokens), _digits(reply.prompt_tokens), _digits(total))


def _digits(number: int) -> str:
    """Return a 64-bit number as protobuf's JSON has it; zero is left out."""
    return str(number) if number else ""

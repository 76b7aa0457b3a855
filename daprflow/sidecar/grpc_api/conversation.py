"""The conversation methods: both versions of talking with a language model."""

from collections.abc import Iterable, Mapping
from typing import Any

from daprflow.protocol import messages
from daprflow.protocol.conversation import (
    Answered,
    AssistantSaid,
    Choice,
    Content,
    ConverseRequest,
    FirstInput,
    FirstRequest,
    FunctionCall,
    FunctionTool,
    Input,
    Message,
    Output,
    Said,
    Tool,
    ToolCall,
    ToolSaid,
    Usage,
)
from daprflow.sidecar.grpc_api.call import GrpcCall, Method


async def _converse_first(
    call: GrpcCall, request: messages.ConversationRequest
) -> messages.ConversationResponse:
    asked = FirstRequest(
        context_id=request.contextID,
        inputs=tuple(FirstInput(i.content, i.role, i.scrubPII) for i in request.inputs),
        scrub_pii=request.scrubPII,
        temperature=request.temperature,
    )
    found = await call.runtime.conversation.converse_first(request.name, asked)
    # Parameters go back as they came: their types need not be known here.
    outputs = [
        messages.ConversationResult(result=output.result, parameters=request.parameters)
        for output in found.outputs
    ]
    return messages.ConversationResponse(contextID=found.context_id or None, outputs=outputs)


async def _converse(
    call: GrpcCall, request: messages.ConversationRequestAlpha2
) -> messages.ConversationResponseAlpha2:
    asked = ConverseRequest(
        context_id=request.context_id,
        inputs=tuple(_input(each) for each in request.inputs),
        metadata=dict(request.metadata),
        scrub_pii=request.scrub_pii,
        temperature=request.temperature,
        tools=tuple(_tool(each) for each in request.tools),
        tool_choice=request.tool_choice,
    )
    found = await call.runtime.conversation.converse(request.name, asked)
    return messages.ConversationResponseAlpha2(
        context_id=found.context_id or None, outputs=[_output(each) for each in found.outputs]
    )


# ---- what is asked ------------------------------------------------------------------------------


def _input(given: messages.ConversationInputAlpha2) -> Input:
    return Input(tuple(_message(each) for each in given.messages), given.scrub_pii)


def _message(given: messages.ConversationMessage) -> Message:
    kind = given.WhichOneof("message_types")
    if kind is None:
        return Message()
    said = getattr(given, kind)
    content = _content(said.content)
    if kind == "of_assistant":
        calls = tuple(_call(each) for each in said.tool_calls)
        return Message(of_assistant=AssistantSaid(said.name, content, calls))
    if kind == "of_tool":
        return Message(of_tool=ToolSaid(said.tool_id, said.name, content))
    told = Said(said.name, content)
    if kind == "of_developer":
        return Message(of_developer=told)
    return Message(of_system=told) if kind == "of_system" else Message(of_user=told)


def _content(given: Iterable[messages.ConversationMessageContent]) -> tuple[Content, ...]:
    return tuple(Content(each.text) for each in given)


def _call(given: messages.ConversationToolCalls) -> ToolCall:
    if not given.HasField("function"):
        return ToolCall(given.id)
    return ToolCall(given.id, FunctionCall(given.function.name, given.function.arguments))


def _tool(given: messages.ConversationTools) -> Tool:
    if not given.HasField("function"):
        return Tool()
    function = given.function
    parameters: dict[str, Any] = messages.MessageToDict(function.parameters)
    return Tool(FunctionTool(function.name, function.description, parameters))


# ---- what is answered ---------------------------------------------------------------------------


def _output(output: Output) -> messages.ConversationResultAlpha2:
    return messages.ConversationResultAlpha2(
        choices=[_choice(each) for each in output.choices],
        model=output.model or None,
        usage=None if output.usage is None else _usage(output.usage),
    )


def _choice(choice: Choice) -> messages.ConversationResultChoices:
    answered = choice.message or Answered()
    calls = [
        messages.ConversationToolCalls(
            id=each.id or None,
            function=messages.ConversationToolCallsOfFunction(
                name=each.function.name, arguments=each.function.arguments
            ),
        )
        for each in answered.tool_calls
        if each.function is not None
    ]
    return messages.ConversationResultChoices(
        finish_reason=choice.finish_reason,
        index=int(choice.index or 0),
        message=messages.ConversationResultMessage(content=answered.content, tool_calls=calls),
    )


def _usage(usage: Usage) -> messages.ConversationResultAlpha2CompletionUsage:
    return messages.ConversationResultAlpha2CompletionUsage(
        completion_tokens=int(usage.completion_tokens or 0),
        prompt_tokens=int(usage.prompt_tokens or 0),
        total_tokens=int(usage.total_tokens or 0),
    )


METHODS: Mapping[str, Method] = {
    "ConverseAlpha1": Method(_converse_first, messages.ConversationRequest),
    "ConverseAlpha2": Method(_converse, messages.ConversationRequestAlpha2),
}

"""``conversation.echo``: answers with what it was told; stands in for models in tests."""

from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    Prompt,
    Reply,
    ToolAsked,
    ToolResult,
)


class EchoConversation:
    """Repeats the messages, a line each, and asks for every tool it is offered."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        """Take nothing: it has no settings."""

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def converse(self, prompt: Prompt, /) -> Reply:
        """Answer; a token is a word, counted once for the prompt and once for the answer."""
        calls = [
            ToolAsked(str(number), tool.name, ",".join(_argument_names(tool.parameters)))
            for number, tool in enumerate(prompt.tools)
        ]
        lines: list[str] = []
        for part in prompt.parts:
            if isinstance(part, ToolAsked):
                calls.append(part)
            elif isinstance(part, ToolResult):
                about = f"tool ID '{part.id}' with name '{part.name}'"
                lines.append(f"Tool Response for {about}: {part.text}")
            else:
                lines.append(part)
        text = "\n".join(lines)
        words = len(text.split())
        reason = "tool_calls" if calls else "stop"
        return Reply(text, tuple(calls), reason, prompt_tokens=words, completion_tokens=words)


def _argument_names(schema: object) -> list[str]:
    """Return the sorted names of a function's parameters, as its JSON schema has them."""
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    if not isinstance(properties, dict):
        text = f"tool function properties must be a map[string]any, got {_go_type(properties)}"
        raise ComponentError(text)
    return sorted(properties)


def _go_type(value: object) -> str:
    """Return what Go calls the type of a value that came as JSON."""
    names = {bool: "bool", str: "string", list: "[]interface {}", type(None): "<nil>"}
    return names.get(type(value), "float64")

"""Conversations with language models: the client's methods for them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from daprflow.client.base import BaseClient

# Loaded with the first call: few programs talk to a model, and all of them import the client.
if TYPE_CHECKING:
    from daprflow.client.conversation import Message, Reply, Tool


class Conversing(BaseClient):
    """The part of the client that talks to language models."""

    async def converse(
        self,
        component: str,
        said: "str | Message | Sequence[Message]",
        /,
        *,
        tools: "Sequence[Tool]" = (),
        tool_choice: str = "",
        temperature: float | None = None,
        context_id: str = "",
        scrub_pii: bool = False,
        response_format: Mapping[str, Any] | None = None,
        cache_retention: timedelta | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "Reply":
        """Tell a language model something and return its answer.

        Args:
            component: the name of a conversation component.
            said: a user's text, or messages: `System`, `User`, `Assistant`, `ToolResult` …
            tools: functions the model may ask for.
            tool_choice: ``auto``, ``none``, ``required`` or the name of one of ``tools``.
            temperature: how free the model is, in its own scale.
            context_id: goes on with an earlier conversation where the component keeps them.
            scrub_pii: has the sidecar take personal data out of what is said and answered.
            response_format: the JSON schema of the answer.
            cache_retention: how long the model's provider may keep the prompt.
            metadata: of the component.

        Raises:
            SidecarError: there is no such component, or the model failed. It needs a runtime of
                1.16 or later.

        Example:
            ```python
            answer = await client.converse("model", "What is Dapr?", temperature=0.2)
            print(answer.text)
            ```
        """
        from daprflow.client import conversation  # noqa: PLC0415 - see above
        from daprflow.protocol.conversation import ConverseRequest  # noqa: PLC0415 - see above

        request = ConverseRequest(
            context_id=context_id,
            inputs=(conversation.encoded(_messages(said), scrub_pii=scrub_pii),),
            metadata=dict(metadata or {}),
            scrub_pii=scrub_pii,
            temperature=temperature,
            tools=tuple(conversation.offered(tool) for tool in tools),
            tool_choice=tool_choice,
            response_format=None if response_format is None else dict(response_format),
            prompt_cache_retention=_duration(cache_retention),
        )
        return await conversation.ask(self._caller, component, request)


def _messages(said: "str | Message | Sequence[Message]") -> "Sequence[Message]":
    from daprflow.client.conversation import Message, User  # noqa: PLC0415 - see above

    if isinstance(said, str):
        return (User(said),) if said else ()
    return (said,) if isinstance(said, Message) else said


def _duration(given: timedelta | None) -> str | None:
    """Return a time span in protobuf's JSON form."""
    return None if given is None else f"{given.total_seconds():f}s"

"""A helper that asks a language model, and looks the weather up when the model wants it."""

import msgspec

from daprflow import Client, DaprFlow
from daprflow.client.conversation import Assistant, System, Tool, ToolResult, User

app = DaprFlow("helper")

weather = Tool(
    "weather",
    "the weather of a city",
    {"type": "object", "properties": {"city": {"type": "string"}}},
)


class Question(msgspec.Struct):
    text: str


@app.invoke
async def ask(question: Question, *, client: Client) -> str:
    said = [System("Answer in one sentence."), User(question.text)]
    reply = await client.converse("model", said, tools=[weather], scrub_pii=True)
    if not reply.tool_calls:
        return reply.text
    results = [ToolResult(call.id, call.name, "12 degrees, rain") for call in reply.tool_calls]
    asked = Assistant(reply.text, reply.tool_calls)
    return (await client.converse("model", [*said, asked, *results])).text

from pathlib import Path

from daprflow.testing import TestSidecar
from examples.conversation.app import Question, app, ask

RESOURCES = Path(__file__).parent / "resources"


async def test_the_model_gets_what_it_asked_for() -> None:
    """The echo model asks for every tool; its second answer repeats what the tool gave."""
    async with TestSidecar(app, resources_path=RESOURCES) as dapr:
        answer = await dapr.invoke(ask, Question("Will ann@example.com get wet?"))
    assert "12 degrees, rain" in answer

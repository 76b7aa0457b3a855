"""What a caller is told of a failure."""

from pathlib import Path

import msgspec
from starlette.middleware import Middleware

from daprflow import DaprFlow
from daprflow.middleware import ErrorHandling
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import Caller

HERE = Path(__file__).parent

app = DaprFlow("failing", middleware=[Middleware(ErrorHandling)])


@app.invoke
async def fails() -> None:
    raise ValueError("for the log alone")


async def test_a_failure_has_an_id_and_no_reason() -> None:
    """The answer is the one that the page shows, but for the id."""
    shown = msgspec.json.decode((HERE / "failed.json").read_bytes())
    async with TestSidecar(app):
        answer = await Caller(app).post("/fails", b"null")
    assert answer.status == 500
    told = msgspec.json.decode(answer.body)
    assert len(told["error_id"]) == len(shown["error_id"])
    assert told | {"error_id": ""} == shown | {"error_id": ""}

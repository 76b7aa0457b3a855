"""The recorded answers of a real runtime: where they are, how a step reads, which are replayed."""

import os
from pathlib import Path

import msgspec
import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "wire"
RECORDED_APP_PORT = "46100"

ACTORS = ("actor ", "metadata actors")
"""Names of steps about actors: ``test_actors_replay.py`` replays them."""

JOBS = ("v1.0 job", "v1.0-alpha1 job")
"""Names of steps about jobs: ``test_jobs_replay.py`` replays them."""

Pairs = tuple[tuple[str, str], ...]


class Request(msgspec.Struct, frozen=True):
    """What the recording's driver sent; ``body`` is text, ``{"base64": …}`` or null."""

    method: str
    path: str
    headers: dict[str, str]
    body: str | dict[str, str] | None = None


class Response(msgspec.Struct, frozen=True):
    """What the real runtime answered."""

    status: int
    headers: Pairs
    body: str


class AppAnswer(msgspec.Struct, frozen=True):
    """What the recording's app answered: JSON, or text where ``body`` is a string."""

    status: int
    body: msgspec.Raw = msgspec.Raw(b'""')
    headers: dict[str, str] = {}


class AppCall(msgspec.Struct, frozen=True):
    """One call that reached the recording's app; ``t`` in seconds since the recording began."""

    method: str
    path: str
    headers: Pairs
    body: str
    answered: AppAnswer
    t: float = 0.0


class Before(msgspec.Struct, frozen=True):
    """Something done before a step; a text such as "default again" takes an answer back.

    Attributes:
        redis: a command to the Redis behind the recording's components.
        file_written: the name of a resource file that got ``content``.
        file_removed: the name of a resource file.
        sleep_s: how long the recording's driver waited.
    """

    app_answers: dict[str, AppAnswer | str] = {}
    redis: str = ""
    file_written: str = ""
    content: str = ""
    file_removed: str = ""
    sleep_s: float = 0.0


class Step(msgspec.Struct, frozen=True):
    """One step of a recording; the first has only calls on the app."""

    step: str
    app_calls: tuple[AppCall, ...]
    request: Request | None = None
    response: Response | None = None
    before: tuple[Before, ...] = ()
    wait_s: float = 0.0

    @property
    def needs_redis(self) -> bool:
        """Whether nothing can stand in for the Redis server behind this step."""
        return self.step.startswith("redis")

    @property
    def replayed(self) -> bool:
        """Whether ``test_http_replay.py`` replays this step."""
        return not self.step.startswith((*ACTORS, *JOBS))


def read_steps(name: str) -> list[Step]:
    """Read the recording called ``name``; none where the folder is absent."""
    path = FOLDER / name
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(Step)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def require_recordings() -> None:
    """Skip the test where the recordings are absent; on CI that is a failure."""
    if FOLDER.exists():
        return
    reason = f"the recorded answers are not here; they belong in '../{FOLDER.parent.name}/wire'"
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)

"""Each fault is told in one line, with cause, object and next step; the lines stand in a file.

``DAPRFLOW_TEST_UPDATE=1 pytest tests/faults/test_error_lines.py`` writes the file anew.
"""

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from daprflow import AppDefinitionError, Client, DaprFlow
from daprflow.health import HealthSettings
from daprflow.launcher.ports import listen
from daprflow.protocol.expressions import ExpressionError, compile_expression
from daprflow.protocol.schedules import ScheduleError, parse_job_schedule
from daprflow.settings import Settings
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.resources import load_resources
from daprflow.sidecar.sqlite import SqliteWriter
from tests.faults.more_error_lines import MORE
from tests.faults.test_rows import PAGE, ROWS, table
from tests.faults.told import Lines, Scenario, logged, raised
from tests.helpers.app_calls import Caller, running
from tests.helpers.components import context
from tests.helpers.own_ports import free_port

SNAPSHOT = Path(__file__).with_name("errors.txt")
FAULTS: dict[str, Scenario] = dict(MORE)


def fault(name: str) -> Callable[[Scenario], Scenario]:
    """Name a scenario by the row that it belongs to, and what is the matter."""

    def add(scenario: Scenario) -> Scenario:
        FAULTS[name] = scenario
        return scenario

    return add


def plain(line: str, folder: Path) -> str:
    """Take out what differs from one time to the next."""
    line = line.replace(str(folder), "FOLDER").replace(str(Path(__file__).parent), "HERE")
    line = re.sub(r"\b(pid|process) \d+ \(.*?\)(?=[;:,. ]|$)", r"\1 PID (COMMAND)", line)
    line = re.sub(r"\b(pid|process) \d+\b", r"\1 PID", line)
    line = re.sub(r"(?<=127\.0\.0\.1:)\d+", "PORT", line)
    line = re.sub(r"\bport \d{4,5}\b", "port PORT", line)
    line = re.sub(r"\([0-9a-f]{32}\)", "(ID)", line)
    line = re.sub(r"current=[-0-9a-f]{36}", "current=ETAG", line)
    line = re.sub(r"(?<=late:)\d+", "LINE", line)
    line = re.sub(r"(?<=error id )[0-9a-f]{16}", "ID", line)
    return re.sub(r"(\w+_error_lines)(\.py)?:\d+", r"\1:LINE", line)


# ---- the app ------------------------------------------------------------------------------------


@fault("FA-01 no sidecar listens")
async def _(folder: Path) -> Lines:
    settings = Settings.from_env(
        {
            "DAPR_HTTP_PORT": str(free_port()),
            "DAPR_HEALTH_TIMEOUT": "0",
            "DAPRFLOW_CIRCUIT_FAILURES": "0",
        }
    )
    async with Client(settings) as client:
        return await raised(Exception, client.state("store").get("k", int))


@fault("FA-04 the sidecar says nothing")
async def _(folder: Path) -> Lines:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(http_endpoint=address, http_timeout=0.05, health_timeout=0)
        async with Client(settings) as client:
            return await raised(Exception, client.state("store").get("k", int))


@fault("FA-14 an event whose data do not fit")
async def _(folder: Path) -> Lines:
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(total: int) -> None: ...

    async with running(app) as call:
        with logged() as lines:
            await call.deliver("many")
    return lines


@fault("FA-43 two handlers of one topic")
async def _(folder: Path) -> Lines:
    app = DaprFlow("shop")

    @app.topic("pubsub", "orders")
    async def one(total: int) -> None: ...

    @app.topic("pubsub", "orders")
    async def two(total: int) -> None: ...

    try:
        app.freeze()
    except AppDefinitionError as error:
        return str(error).splitlines()[1:]  # the first one counts the problems
    return []


@fault("FA-45 a call before the app has started")
async def _(folder: Path) -> Lines:
    app = DaprFlow("shop")
    app.freeze()
    answer = await Caller(app).get("/dapr/subscribe")
    return [answer.json["error"]]


@fault("FA-20 a handler that blocks the event loop")
async def _(folder: Path) -> Lines:
    app = DaprFlow("shop", health=HealthSettings(blocked_after=0.2))

    @app.invoke
    async def quote() -> None:
        end = time.monotonic() + 0.35
        while time.monotonic() < end:
            pass

    async with running(app) as call:
        with logged() as lines:
            await asyncio.create_task(call.post("/quote"))
            await asyncio.sleep(0.1)
    begun, _ = lines
    return [re.sub(r"for \d\.\d s", "for SECONDS", begun)]


@fault("FA-21 a body over the limit")
async def _(folder: Path) -> Lines:
    app = DaprFlow("shop", max_body_size=10)

    @app.invoke
    async def quote(data: bytes) -> None: ...

    async with running(app) as call:
        with logged() as lines:
            await call.post("/quote", b"x" * 11)
    return lines


# ---- the sidecar --------------------------------------------------------------------------------


@fault("FS-08 a file that is no database")
async def _(folder: Path) -> Lines:
    (folder / "x.db").write_bytes(b"text" * 2_000)
    return await raised(ComponentError, SqliteWriter(folder / "x.db", lambda _: None).open())


@fault("FS-08 a folder in the place of a database")
async def _(folder: Path) -> Lines:
    (folder / "x.db").mkdir()
    return await raised(ComponentError, SqliteWriter(folder / "x.db", lambda _: None).open())


def of_file(text: str) -> Scenario:
    """Return a scenario of one resource file."""

    async def load(folder: Path) -> Lines:
        (folder / "x.yaml").write_text(text, encoding="utf-8")
        found = load_resources([folder], "shop", strict=True)
        return [*found.problems, *found.left_out]

    return load


HEAD = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: store}\n"
FILES: Mapping[str, str] = {
    "FS-27 a file that is no YAML": HEAD + "spec: {type: [\n",
    "FS-27 a component without a type": HEAD + "spec: {version: v1}\n",
    "FS-27 an unknown type": HEAD + "spec: {type: state.nothing-like-it, version: v1}\n",
    "FS-27 a type that is misspelt": HEAD + "spec: {type: state.sqllite, version: v1}\n",
    "FS-27 a kind that Dapr does not have": HEAD.replace("Component", "Componet") + "spec: {}\n",
    "FS-27 a number that is too long": HEAD + f"spec: {{version: {'9' * 5_000}}}\n",
    "FS-27 a kind that is a list": HEAD.replace("kind: Component", "kind: []") + "spec: {}\n",
    "FS-27 a subscription without a topic": HEAD.replace("Component", "Subscription")
    + "spec: {pubsubname: pubsub, route: /a}\n",
    "FS-27 a policy with a bad duration": HEAD.replace("Component", "Resiliency")
    + "spec: {policies: {timeouts: {t: soon}}, targets: {}}\n",
}
FAULTS.update({name: of_file(text) for name, text in FILES.items()})


def of_component(kind: str, **metadata: str) -> Scenario:
    """Return a scenario of a component that does not open."""

    async def begin(folder: Path) -> Lines:
        made_from = context(folder, VirtualClock(), kind, **metadata)

        async def start() -> None:
            component = COMPONENTS[kind](made_from)
            try:
                await component.open()
            finally:
                await component.close()

        return await raised(ComponentError, start())

    return begin


FAULTS.update(
    {
        "FS-27 a secrets file that is not there": of_component(
            "secretstores.local.file", secretsFile="secrets.json"
        ),
        "FS-27 a secret store without its file": of_component("secretstores.local.file"),
        "FS-27 a schedule that is none": of_component("bindings.cron", schedule="@every soon"),
        "FS-27 a root that is not there": of_component("bindings.localstorage"),
        "FS-29 a server that is not there": of_component(
            "state.redis", redisHost="127.0.0.1:1", redisMaxRetries="0"
        ),
    }
)


@fault("R-02 a zone without a schedule")
async def _(folder: Path) -> Lines:
    async def read() -> None:
        parse_job_schedule("TZ=UTC")

    return await raised(ScheduleError, read())


@fault("R-02 a zone on an interval")
async def _(folder: Path) -> Lines:
    async def read() -> None:
        parse_job_schedule("CRON_TZ=UTC @every 1s")

    return await raised(ScheduleError, read())


@fault("I-SU a rule that is no CEL")
async def _(folder: Path) -> Lines:
    async def read() -> None:
        compile_expression("event.type ==")

    return await raised(ExpressionError, read())


# ---- the command --------------------------------------------------------------------------------


@fault("FS-11 a port that is taken")
async def _(folder: Path) -> Lines:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        async def take() -> None:
            listen(taken.getsockname()[1], flag="--dapr-http-port")

        return await raised(Exception, take())


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """The lines of the file."""
    if not SNAPSHOT.exists():
        return {}
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_one_line(name: str, known: dict[str, str], tmp_path: Path) -> None:
    """The fault is told in exactly one line, which is the one in the file."""
    async with asyncio.timeout(30):
        said = [plain(line, tmp_path) for line in await FAULTS[name](tmp_path)]
    assert len(said) == 1, said
    assert "\n" not in said[0]
    if os.environ.get("DAPRFLOW_TEST_UPDATE"):
        update(name, said[0])
        return
    assert said == [known.get(name)]


def update(name: str, line: str) -> None:
    """Put one line into the file."""
    found = SNAPSHOT.read_text(encoding="utf-8").splitlines() if SNAPSHOT.exists() else []
    lines = {**dict(each.split(": ", 1) for each in found), name: line}
    text = "".join(f"{each}: {lines[each]}\n" for each in sorted(lines) if each in FAULTS)
    SNAPSHOT.write_text(text, encoding="utf-8")


def test_each_fault_is_told_or_has_a_reason(known: dict[str, str]) -> None:
    """Each row of the catalogue has a line in the file, or stands on the page with a reason."""
    page = PAGE.read_text(encoding="utf-8")
    silent = table(page, "Faults that have no line here").keys()
    told = {name.split()[0] for name in known}
    faults = {row for row in ROWS if row[:3] in {"FA-", "FS-", "FC-"}}
    assert len(faults) == 100
    assert faults - told - silent == set()
    assert silent & told == set()
    assert silent <= faults


def test_the_file_has_what_is_tested(known: dict[str, str]) -> None:
    """Each line of the file belongs to a scenario, is one line, and holds no machine's folder."""
    assert known.keys() == FAULTS.keys()

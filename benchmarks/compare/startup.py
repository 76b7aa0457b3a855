"""Section: what it takes to start: imports, an app, an app with its sidecar."""

import http.client
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from benchmarks.client import FROM_RUNTIME, request_bytes
from benchmarks.compare import load
from benchmarks.compare.delivery import SERVED
from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    EMBEDDED,
    Peer,
    Ports,
    Stage,
    command,
    in_turn,
    resource,
    serving,
    sidecar_command,
)
from benchmarks.processes import BenchmarkError, Child, wait_until_served

IMPORTS: Mapping[str, tuple[str, str]] = {
    OURS: ("daprflow", "daprflow"),
    "dapr.ext.fastapi": ("dapr", "dapr.ext.fastapi"),
    "dapr.ext.grpc": ("dapr", "dapr.ext.grpc"),
    "dapr.ext.workflow": ("dapr", "dapr.ext.workflow"),
    "dapr.clients": ("dapr", "dapr.clients"),
    "FastStream": ("faststream", "faststream.redis"),
    "FastAPI": ("fastapi", "fastapi"),
    "Litestar": ("litestar", "litestar"),
    "Starlette": ("plain", "starlette.applications"),
}
PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
TOKEN = "bench"  # noqa: S105 - a token of this measurement alone
PATIENCE = 60.0
EVENTS = resource("events", "pubsub.in-memory")
OURS_REAL = "daprflow run, daprd"
OURS_EMBEDDED = "daprflow run"
THEIRS_EMBEDDED = "dapr.ext.fastapi, embedded sidecar"
THEIRS_REAL = "dapr.ext.fastapi, daprd"


def measure(stage: Stage) -> Comparison:
    """Measure all three, each time in fresh processes."""
    return Comparison(
        "start-up",
        "Start-up",
        "*Import*: in a fresh process, files in the system's cache, bytecode compiled. *App*: from "
        "the start of the process, under uvicorn, to the first answered event. *With a sidecar*: "
        "app and sidecar are started at the same moment, until the app has handled an event that "
        "was published through the sidecar (in memory).",
        [_imports(stage), _apps(stage), _pairs(stage)],
        stage.missing_runtime(),
    )


def _imports(stage: Stage) -> Group:
    notes = {name: stage.missing(environment) for name, (environment, _) in IMPORTS.items()}
    work = {
        name: partial(_import_ms, stage, *IMPORTS[name]) for name, why in notes.items() if not why
    }
    found = in_turn(work, stage.rounds(7), notes, warm_up=0)
    rows = [Row(name, found.get(name, ()), note=notes[name]) for name in IMPORTS]
    return Group("import", "ms", rows, more=False)


def _import_ms(stage: Stage, environment: str, module: str) -> float:
    python = stage.environments.python(environment) or ""
    done = subprocess.run(
        [python, "-c", PROGRAM.format(module)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1]) * 1e3


def _apps(stage: Stage) -> Group:
    notes = {name: stage.missing(peer.environment) for name, (peer, _) in SERVED.items()}
    work = {
        name: partial(_app_ms, stage, peer, path)
        for name, (peer, path) in SERVED.items()
        if not notes[name]
    }
    found = in_turn(work, stage.rounds(7), notes, warm_up=0)
    rows = [Row(name, found.get(name, ()), note=notes[name]) for name in SERVED]
    return Group("an app until its first event", "ms", rows, more=False)


def _app_ms(stage: Stage, peer: Peer, path: str) -> float:
    began = time.perf_counter()
    with serving(stage, peer) as server:
        wait_until_served(server.port, request_bytes(path, load.event(), FROM_RUNTIME))
        return (time.perf_counter() - began) * 1e3


def _pairs(stage: Stage) -> Group:
    notes = {OURS_EMBEDDED: stage.missing("daprflow"), THEIRS_EMBEDDED: stage.missing("dapr")}
    if stage.runtime:
        notes |= {OURS_REAL: stage.missing("daprflow"), THEIRS_REAL: stage.missing("dapr")}
    starts = {
        OURS_EMBEDDED: partial(_run, stage, EMBEDDED),
        OURS_REAL: partial(_run, stage, "daprd"),
        THEIRS_EMBEDDED: partial(_both, stage, EMBEDDED),
        THEIRS_REAL: partial(_both, stage, "daprd"),
    }
    work = {name: partial(_until_handled, starts[name]) for name, why in notes.items() if not why}
    found = in_turn(work, stage.rounds(7), notes, warm_up=0)
    beside = {THEIRS_EMBEDDED: OURS_EMBEDDED, THEIRS_REAL: OURS_EMBEDDED, OURS_REAL: OURS_EMBEDDED}
    rows = [
        Row(name, found.get(name, ()), beside.get(name, ""), why) for name, why in notes.items()
    ]
    return Group("app and sidecar until an event is handled", "ms", rows, more=False)


def _run(stage: Stage, kind: str, ports: Ports, resources: Path) -> list[list[str]]:
    """Return the one command of ours."""
    python = stage.environments.python("daprflow") or ""
    target = ["benchmarks.peers.boot_daprflow:app", "--resources-path", str(resources)]
    flags = ["--app-port", str(ports.app), "--dapr-http-port", str(ports.http)]
    flags += ["--dapr-grpc-port", str(ports.grpc)]
    flags += ["--sidecar", "embedded" if kind == EMBEDDED else "daprd"]
    if stage.runtime and kind != EMBEDDED:
        flags += ["--runtime-path", str(stage.runtime)]
    # With a real runtime there are tokens; these are given, so that this process knows them.
    tokens = (
        ["env", f"DAPR_API_TOKEN={TOKEN}", f"APP_API_TOKEN={TOKEN}"] if kind != EMBEDDED else []
    )
    return [[*tokens, python, "-m", "daprflow", "run", *target, *flags]]


def _both(stage: Stage, kind: str, ports: Ports, resources: Path) -> list[list[str]]:
    """Return the commands of an app and a sidecar."""
    peer = Peer("dapr", "serve", ("boot_official", str(ports.app)))
    served = command(stage, peer, ports.variables)
    return [served, sidecar_command(stage, kind, ports, resources)]


def _until_handled(commands: Callable[[Ports, Path], list[list[str]]]) -> float:
    """Start the processes at once; the milliseconds until the app has handled an event."""
    ports = Ports.free()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        resources = folder / "resources"
        resources.mkdir()
        (resources / "events.yaml").write_text(EVENTS, encoding="utf-8")
        given = commands(ports, resources)
        began = time.perf_counter()
        for each in given:
            child = Child(each, None, folder, quiet=True)
            child.start()
            stack.callback(child.stop)
        while time.perf_counter() < began + PATIENCE:
            # Again and again: a broker in memory forgets what nobody has subscribed to yet.
            if _ask(ports.http, "/v1.0/publish/events/orders", b'{"id":1}') is not None:
                said = _ask(ports.app, "/seen", b"")
                if said and int(said):
                    return (time.perf_counter() - began) * 1e3
            time.sleep(0.005)
    raise BenchmarkError("no event was handled within a minute")


def _ask(port: int, path: str, body: bytes) -> bytes | None:
    """Return the body of a good answer, None where there was none."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            headers = {"content-type": "application/json", "dapr-api-token": TOKEN}
            connection.request("POST", path, body, headers)
            done = connection.getresponse()
            content = done.read()
        finally:
            connection.close()
        return content if done.status < 300 else None
    return None

"""The program ``dapr`` of ``daprflow shim``, as tools use it: real processes, real apps."""

import json
import signal
import socket
import sys
from pathlib import Path

import pytest

from daprflow.launcher.exits import Exit
from tests.helpers.cli_run import Run, finish, write
from tests.helpers.own_ports import free_port

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

# An app without any library of Dapr: it answers what it is asked, and prints what it got.
APP = """
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/dapr/subscribe": [{"pubsubname": "pubsub", "topic": "orders", "route": "/got"}]}
        self.answer(200 if self.path in known else 404, known.get(self.path))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
        print(self.path, body, flush=True)
        self.answer(200, {"said": body})

    def answer(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), Handler).serve_forever()
"""
PUBLISH = """
import os, urllib.request

port = os.environ["DAPR_HTTP_PORT"]
urllib.request.urlopen(urllib.request.Request(
    f"http://127.0.0.1:{port}/v1.0/publish/pubsub/orders", b'{"id": 7}',
    {"content-type": "application/json"},
))
print("published")
raise SystemExit(5)
"""
SHOW = """
import json, os, signal
print(json.dumps({**os.environ, "PID": os.getpid()}))
signal.pause()
"""
STORE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: store}
spec:
  type: state.redis
  version: v1
  metadata: [{name: redisHost, value: "127.0.0.1:PORT"}]
"""
SECRETS = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: vault}
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{name: secretsFile, value: secrets.json}]
"""
READ = """
import os, urllib.request

url = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}/v1.0/secrets/vault/who"
print("secret", urllib.request.urlopen(url).read().decode())
"""
SERVICE = """
from daprflow import DaprFlow

app = DaprFlow("by-itself")


@app.topic("pubsub", "orders")
async def add(order: dict[str, int]) -> None:
    print("got", order, flush=True)
"""


class Dapr:
    """A ``dapr`` on a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "bin" / "dapr"
        assert finish(folder, "shim", "bin")[0] == 0

    def start(self, *words: str, folder: str = ".", env: dict[str, str] | None = None) -> Run:
        """Start one command line in a working folder."""
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        return Run(place, *words, env=env, program=(str(self.program),))

    def call(self, *words: str, folder: str = ".") -> tuple[int, str]:
        """Run one command line to its end; return its exit code and what it printed."""
        with self.start(*words, folder=folder) as run:
            return run.ended(), run.text

    def run_app(self, app_id: str, folder: str) -> Run:
        """Start the small app above."""
        write(self.folder / folder, {"app.py": APP})
        ports = ("--app-port", str(free_port()), "-H", str(free_port()))
        words = ("run", "-a", app_id, *ports, "--", sys.executable, "app.py")
        return self.start(*words, folder=folder)


@pytest.fixture
def dapr(tmp_path: Path) -> Dapr:
    """A fresh shim; its data are its own."""
    return Dapr(tmp_path)


def test_two_apps_of_two_folders_share_a_broker_and_find_each_other(dapr: Dapr) -> None:
    """Runs of different folders publish to each other and invoke each other by app id."""
    with dapr.run_app("one", "first") as one, dapr.run_app("two", "second") as two:
        one.until("You're up and running!")
        two.until("You're up and running!")
        words = ("publish", "-i", "one", "-p", "pubsub", "-t", "orders", "-d", '{"id": 7}')
        assert dapr.call(*words) == (0, "Event published successfully")
        for run in (one, two):
            assert '"data":{"id":7}' in run.until("== APP == /got")
        code, text = dapr.call("invoke", "--app-id", "two", "--method", "say", "-d", "[1]")
        assert (code, text.splitlines()) == (0, ['{"said": "[1]"}', "App invoked successfully"])
        assert two.until("== APP == /say") == "== APP == /say [1]"


@pytest.mark.row("FS-35")
def test_each_run_may_be_killed_and_the_others_go_on(dapr: Dapr) -> None:
    """No run has the sidecars of the others: the first one may go at any time."""
    with dapr.run_app("one", "first") as one:
        one.until("You're up and running!")
        with dapr.run_app("two", "second") as two:
            two.until("You're up and running!")
            one.send(signal.SIGKILL)
            assert dapr.call("invoke", "-a", "two", "-m", "say", "-d", "1")[0] == 0
            two.send(signal.SIGTERM)
            two.ended()
        assert two.all_gone()
    assert one.all_gone()


def test_a_template_runs_its_apps_until_it_is_stopped(dapr: Dapr) -> None:
    """``run -f`` runs commands as the official program does, ``stop -f`` ends all of them."""
    entry = f'{{appDirPath: APP, appPort: PORT, command: ["{sys.executable}", app.py]}}'
    apps = "\n".join(
        "- " + entry.replace("APP", name).replace("PORT", str(free_port()))
        for name in ("one", "two")
    )
    failing = APP.replace(
        "self.answer(200, {", 'self.answer(500 if self.path == "/got" else 200, {'
    )
    files = {"one/app.py": failing, "two/app.py": APP}
    write(dapr.folder, {**files, "dapr.yaml": f"version: 1\nname: both\napps:\n{apps}"})
    with dapr.start("run", "-f", ".", "-k") as refused:
        assert refused.ended() == 2
        assert "daprflow manifests" in refused.text
    with dapr.start("run", "-f", ".") as run:
        for _ in range(2):
            run.until("You're up and running!")
        listed = json.loads(dapr.call("list", "-o", "json")[1])
        template = str(dapr.folder / "dapr.yaml")
        assert {each["runTemplatePath"] for each in listed} == {template}
        assert dapr.call("invoke", "-a", "two", "-m", "say", "-d", "1")[0] == 0
        assert run.until("== APP - two == /say") == "== APP - two == /say 1"
        assert dapr.call("publish", "-i", "two", "-p", "pubsub", "-t", "orders", "-d", "1")[0] == 0
        run.until("for 'one' failed (attempt 1)")
        assert dapr.call("stop", "-f", "dapr.yaml")[0] == 0
        assert run.ended() == 0
        assert run.all_gone()
    (log,) = dapr.folder.glob("one/.dapr/logs/one_daprd_*.log")
    assert "for 'one' failed (attempt 1)" in log.read_text(encoding="utf-8")
    assert len(list(dapr.folder.glob("*/.dapr/logs/*_app_*.log"))) == 2


def test_a_run_ends_with_its_app_and_its_exit_code(dapr: Dapr) -> None:
    """A script is run to its end, its lines are marked, and nothing is left of it."""
    write(dapr.folder, {"publish.py": PUBLISH})
    with dapr.start("run", "--app-id=script", "--", sys.executable, "publish.py") as run:
        assert run.ended() == 5
        assert run.all_gone()
    assert "Exited App successfully" not in run.text
    marks = ("Starting Dapr with id script. HTTP Port: ", "dapr initialized. Status: Running.")
    shown = [line for line in run.lines if line.startswith((*marks, "You're up", "== APP =="))]
    assert [line[:20] for line in shown] == [
        "Starting Dapr with i",
        "dapr initialized. St",
        "You're up and runnin",
        "== APP == published",
    ]


def test_the_app_finds_what_the_official_program_gives_it(dapr: Dapr) -> None:
    """Id, ports and protocol are in the app's environment; list knows them, stop ends the run."""
    http, grpc = str(free_port()), str(free_port())
    words = ("-a", "x", "-H", http, "-G", grpc, "-M", "9777", "-P", "http", "--")
    with dapr.start("run", *words, sys.executable, "-uc", SHOW, folder="first") as run:
        env = json.loads(run.until("== APP == {").removeprefix("== APP == "))
        names = ("APP_ID", "APP_PROTOCOL", "DAPR_HTTP_PORT", "DAPR_GRPC_PORT", "DAPR_METRICS_PORT")
        assert [env[name] for name in names] == ["x", "http", http, grpc, "9777"]
        (listed,) = json.loads(dapr.call("list", "-o", "json", folder="second")[1])
        assert (listed["appId"], listed["httpPort"], listed["grpcPort"]) == (
            "x",
            int(http),
            int(grpc),
        )
        assert (listed["cliPid"], listed["appPid"]) == (run.process.pid, env["PID"])
        assert listed["command"].startswith(f"{sys.executable} -uc ")
        assert dapr.call("stop", "--app-id", "x") == (0, "app stopped successfully: x")
        assert run.ended() == 0
        assert run.all_gone()
    assert run.lines[-2:] == ["Exited App successfully", "Exited Dapr successfully"]
    code, text = dapr.call("stop", "x")
    assert (code, text) == (0, "failed to stop app id x: it does not run here")
    assert dapr.call("list") == (0, "No Dapr instances found.")


def test_a_sidecar_may_run_alone(dapr: Dapr) -> None:
    """Without a command there is a sidecar until somebody stops it."""
    with dapr.start("run", "--app-id", "alone", "-H", str(free_port())) as run:
        run.until("You're up and running! Dapr logs will appear here.")
        code, text = dapr.call("invoke", "-a", "alone", "-m", "x", "-v", "GET")
        assert (code, "ERR_DIRECT_INVOKE" in text) == (1, True)
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()
    assert run.lines[-1] == "Exited Dapr successfully"


def test_usual_ports_are_left_to_runs_that_name_them(dapr: Dapr) -> None:
    """A run without ports takes neither 3500 nor what a flag of its own names for another API."""
    port = str(free_port())
    words = ("run", "-a", "x", "--dapr-grpc-port", port, "--", sys.executable, "-uc", SHOW)
    with dapr.start(*words) as run:
        env = json.loads(run.until("== APP == {").removeprefix("== APP == "))
        assert env["DAPR_GRPC_PORT"] == port
        assert env["DAPR_HTTP_PORT"] not in {"3500", port}
        code, _ = dapr.call("run", "-a", "y", "--dapr-http-port", port, "--", "true")
        assert code == Exit.PORT_TAKEN
        run.send(signal.SIGTERM)
        assert run.ended() == 0


def test_a_run_may_be_stopped_while_its_sidecar_starts(dapr: Dapr) -> None:
    """A server that says nothing holds nobody: the app is never started, and nothing is left."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        write(dapr.folder, {"resources/store.yaml": STORE.replace("PORT", str(port))})
        words = ("run", "--resources-path", "resources", "--", "echo", "started")
        with dapr.start(*words) as run:
            with silent.accept()[0]:  # the sidecar is about to open the component
                run.send(signal.SIGTERM)
                assert run.ended() == 0
            assert run.all_gone()
    assert "== APP == started" not in run.text


def test_relative_paths_in_resources_start_in_the_folder_of_the_run(dapr: Dapr) -> None:
    """Two runs of different folders that name a file alike have each its own."""
    found = []
    for folder in ("first", "second"):
        files = {"resources/secrets.yaml": SECRETS, "secrets.json": json.dumps({"who": folder})}
        write(dapr.folder / folder, {**files, "read.py": READ})
    with dapr.run_app("keeper", "first") as keeper:  # holds the sidecars' process
        keeper.until("You're up and running!")
        for folder in ("first", "second"):
            words = ("run", "--resources-path", "resources", "--", sys.executable, "read.py")
            text = dapr.call(*words, folder=folder)[1]
            found.append(next(line for line in text.splitlines() if "secret {" in line))
    assert found == ['== APP == secret {"who":"first"}', '== APP == secret {"who":"second"}']


def test_a_service_of_ours_uses_the_sidecar_of_dapr_run(dapr: Dapr) -> None:
    """``dapr run -- daprflow run`` starts no second sidecar; ``-- uvicorn`` needs none either."""
    write(dapr.folder / "first", {"app.py": SERVICE})
    inner = (sys.executable, "-m", "daprflow", "run", "app:app")
    server = (sys.executable, "-m", "uvicorn", "app:app", "--port")
    ports = [str(free_port()), str(free_port())]
    one = ("run", "-a", "one", "-p", ports[0], "--", *inner)
    two = ("run", "-a", "two", "-p", ports[1], "--", *server, ports[1])
    with dapr.start(*one, folder="first") as ours, dapr.start(*two, folder="first") as served:
        ours.until("started by others (DAPR_HTTP_PORT names it, and it answers)")
        assert any("You're up and running!" in line for line in ours.lines)
        served.until("You're up and running!")
        words = ("publish", "-i", "one", "-p", "pubsub", "-t", "orders", "-d", '{"id": 7}')
        assert dapr.call(*words)[0] == 0
        for run in (ours, served):
            run.until("== APP == got {'id': 7}")
            run.send(signal.SIGTERM)
            run.ended()
        assert ours.all_gone()  # with the process of the sidecars, which one of them has started
        assert served.all_gone()


def test_wrong_words_are_told_in_one_line(dapr: Dapr) -> None:
    """What it cannot do, it says; nothing is started."""
    assert dapr.call("run", "--no-such-flag") == (
        2,
        "dapr: 'dapr run' has no flag '--no-such-flag'; see 'dapr run --help'",
    )
    code, text = dapr.call("run", "-a", "x", "--", "no-such-program")
    assert (code, text.splitlines()[-1].startswith("dapr: cannot run 'no-such-program'")) == (
        127,
        True,
    )
    assert dapr.call("dashboard")[0] == 2


def test_versions_and_init_answer_as_tools_expect(dapr: Dapr) -> None:
    """``--version`` has the lines of the official program, and ``init`` has nothing to do."""
    code, text = dapr.call("--version")
    assert (code, text.splitlines()[0].split(":")[0]) == (0, "CLI version")
    assert json.loads(dapr.call("version", "-o", "json")[1]).keys() == {
        "Cli version",
        "Runtime version",
    }
    assert dapr.call("init", "--slim")[0] == 0

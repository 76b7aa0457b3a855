"""``daprflow workflow`` against a sidecar that runs, and a history of it that becomes a test."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from daprflow import NonDeterminismError
from daprflow.cli.dapr.main import main as dapr
from daprflow.launcher.folder import DataFolder, RunningApp, record
from daprflow.testing import replay
from tests.helpers.cli_run import Run, finish, write
from tests.helpers.shell import Shell

APP = """
from datetime import timedelta

from daprflow import DaprFlow, ExternalEvent, RetryPolicy, WorkflowContext

app = DaprFlow("shop")
approved = ExternalEvent("approved", bool)
tried = set()


@app.activity
async def charge(amount: int) -> int:
    if amount > 100:
        raise ValueError("too much\\nfor this card")
    if amount > 50 and amount not in tried:
        tried.add(amount)
        raise ConnectionError("no line")
    return amount * 2


@app.workflow
async def pack(ctx: WorkflowContext, amount: int) -> str:
    await ctx.sleep(timedelta(milliseconds=1))
    return f"parcel-{amount}"


@app.workflow
async def checkout(ctx: WorkflowContext, amount: int) -> str:
    patience = RetryPolicy(attempts=2, first=timedelta(milliseconds=10))
    paid = await ctx.call(charge, amount, retry=patience)
    ctx.status(f"paid {paid}")
    if not await ctx.wait(approved, timeout=timedelta(days=1), default=False):
        return "rejected"
    return await ctx.start(pack, paid)


@app.workflow
async def greet(ctx: WorkflowContext, name: str) -> str:
    return f"hello {name}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder where a service with workflows runs."""
    folder = tmp_path_factory.mktemp("service")
    write(folder, {"recorded_shop.py": APP})
    with Run(folder, "run", "recorded_shop.py", "--sidecar", "embedded") as run:
        run.ready()
        yield folder


class WorkflowShell(Shell):
    """Runs ``daprflow workflow`` in this process, in the folder of the service."""

    def __call__(self, *words: str, given: bytes | None = None) -> int:
        return super().__call__("workflow", *words, given=given)

    def parked(self, instance: str, amount: int = 5) -> None:
        """Start an instance, and return when it waits for an event."""
        assert self("start", "checkout", str(amount), "--id", instance) == 0, self.err
        while "waits for event 'approved' until" not in self.out:
            assert self("show", instance) == 0, self.err


@pytest.fixture
def shell(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> WorkflowShell:
    monkeypatch.chdir(folder)
    return WorkflowShell(capfd, monkeypatch)


# ---- start, show, list


def test_start_prints_the_id_or_the_result(shell: WorkflowShell) -> None:
    """An id is made or given; with --wait the result is printed, as JSON."""
    assert shell("start", "greet", "ann") == 0
    assert len(shell.out.strip()) == 36
    assert shell("start", "greet", '"bob"', "--id", "g1", "--wait") == 0
    assert shell.out == '"hello bob"\n'
    assert shell("start", "checkout", "--id", "minus", "--", "-5") == 0
    assert shell.json("show", "minus")["input"] == -5
    found = shell.json("start", "greet", "eve", "--id", "g2", "--wait")
    assert (found["id"], found["state"], found["output"]) == ("g2", "COMPLETED", "hello eve")
    assert found["input"] == "eve"
    assert found["created"] < found["ended"]


def test_a_failure_is_an_exit_code_and_told_with_its_cause(shell: WorkflowShell) -> None:
    """What a workflow that is waited for failed with comes with the cause and its line."""
    assert shell("start", "checkout", "500", "--id", "f1", "--wait") == 1
    assert "'f1' ended as FAILED" in shell.err
    assert shell("show", "f1") == 0
    assert "failure   ActivityFailed: activity 'charge' failed: ValueError: too much\n" in shell.out
    assert "          because of ValueError: too much\n          for this card" in shell.out
    assert 'recorded_shop.py", line 14, in charge' in shell.out
    assert shell.json("show", "f1")["failure"]["cause"]["type"] == "ValueError"


def test_show_tells_what_an_instance_waits_for(shell: WorkflowShell) -> None:
    """State, custom status, input, and every step without an outcome."""
    shell.parked("s1")
    lines = shell.out.splitlines()
    assert lines[:4] == ["workflow  checkout", "id        s1", "state     RUNNING", lines[3]]
    assert lines[3] == "status    paid 10"
    assert "input     5" in lines
    assert "(step 2)" in lines[-1]


def test_a_start_in_the_future_is_pending(shell: WorkflowShell) -> None:
    """It is listed, and can be ended before it begins."""
    assert shell("start", "checkout", "5", "--in", "2h30m", "--id", "later") == 0
    assert [each["id"] for each in shell.json("list", "--state", "pending")] == ["later"]
    assert shell("terminate", "later") == 0
    assert shell.json("show", "later")["state"] == "TERMINATED"


def test_list_finds_by_state_name_and_time(shell: WorkflowShell) -> None:
    """Every filter counts, together; a program gets an array, and nothing is an empty one."""
    shell("start", "greet", "ann", "--id", "l1", "--wait")
    shell.parked("l2")
    assert shell("list", "--name", "greet", "--since", "1h") == 0
    head, *rows = shell.out.splitlines()
    assert head.split()[:4] == ["ID", "STATE", "STARTED", "WORKFLOW"]
    assert any(row.startswith("l1 ") and " COMPLETED " in row for row in rows)
    assert not any(row.startswith("l2 ") for row in rows)
    running = shell.json("list", "--state", "running", "--state", "suspended")
    assert {"l2"} <= {each["id"] for each in running}
    assert {each["state"] for each in running} == {"RUNNING"}
    assert len(shell.json("list", "--limit", "1")) == 1
    assert shell.json("list", "--before", "2020-01-01") == []
    assert shell("list", "--before", "1h") == 0
    assert "app 'shop' has no such workflow instances" in shell.err


# ---- events, holding, ending


def test_an_event_lets_an_instance_go_on(shell: WorkflowShell) -> None:
    """It is sent as JSON; an instance that has ended takes none, which is told."""
    shell.parked("e1")
    assert shell("raise", "e1", "approved", "true") == 0
    while "COMPLETED" not in shell.out:
        assert shell("show", "e1") == 0
    assert 'output    "parcel-10"' in shell.out
    assert shell("raise", "e1", "approved", "true") == 1
    assert "'e1' has ended already: COMPLETED" in shell.err


def test_an_instance_is_suspended_and_resumed(shell: WorkflowShell) -> None:
    """A suspended one says so; one that is not cannot be resumed."""
    shell.parked("h1")
    assert shell("suspend", "h1", "--reason", "lunch") == 0
    assert shell("show", "h1") == 0
    assert "state     SUSPENDED" in shell.out
    assert "waits for somebody who resumes it" in shell.out
    assert shell("resume", "h1") == 0
    assert shell("resume", "h1") == 1
    assert "'h1' is RUNNING, not SUSPENDED" in shell.err
    assert shell("history", "h1") == 0
    assert "suspended lunch" in " ".join(shell.out.split())


def test_an_instance_is_terminated_and_purged(shell: WorkflowShell) -> None:
    """What runs is not purged unasked; what was purged is not there."""
    shell.parked("t1")
    assert shell("purge", "t1") == 1
    assert "'t1' is RUNNING; end it with 'daprflow workflow terminate t1'" in shell.err
    assert shell("terminate", "t1", "--output", "enough") == 0
    found = shell.json("show", "t1")
    assert (found["state"], found["output"]) == ("TERMINATED", "enough")
    assert shell("purge", "t1") == 0
    assert shell.out == "purged 1 instance\n"
    assert shell("show", "t1") == 3
    shell.parked("t2")
    assert shell("purge", "t2", "--force") == 0
    assert shell("show", "t2") == 3


def test_many_are_purged_by_what_they_are(shell: WorkflowShell) -> None:
    """By state, name and age; a dry run tells which; what runs takes --force."""
    for each in ("m1", "m2"):
        shell("start", "checkout", "900", "--id", each, "--wait")
    shell.parked("m3")
    which = ("purge", "--state", "failed", "--name", "checkout")
    assert shell(*which, "--dry-run") == 0
    assert {"m1", "m2"} <= set(shell.out.split())
    assert shell(*which, "--older-than", "1h") == 0
    assert shell.out == "purged 0 instances\n"
    assert shell(*which) == 0
    assert shell("show", "m1") == 3
    assert shell("show", "m3") == 0
    assert shell("purge", "--state", "running") == 2
    assert "what is RUNNING has not ended; purge it with --force" in shell.err


def test_an_instance_is_run_again_from_a_step(shell: WorkflowShell) -> None:
    """A new instance does the step again, with another input where one is given."""
    shell.parked("r1")
    assert shell("rerun", "r1", "--from", "1") == 1
    assert "'r1' is RUNNING; only one that has ended is run again" in shell.err
    shell("terminate", "r1")
    assert shell("rerun", "r1", "--from", "1", "--new-id", "r2", "--input", "20") == 0
    assert shell.out == "r2\n"
    while "status    paid 40" not in shell.out:
        assert shell("show", "r2") == 0
    assert shell("rerun", "r1", "--from", "99") == 3
    assert "'r1' has no step 99" in shell.err


# ---- history


def test_a_history_is_a_timeline(shell: WorkflowShell) -> None:
    """One line for each event: what, name, value; retries and children stand further in."""
    shell.parked("y1", 70)
    shell("raise", "y1", "approved", "true")
    shell("show", "y1")
    while "COMPLETED" not in shell.out:
        shell("show", "y1")
    assert shell("history", "y1", "--children") == 0
    head, *lines = shell.out.splitlines()
    assert head == "checkout 'y1': COMPLETED"
    offsets = [float(line.split()[1]) for line in lines]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0.0
    said = [line.partition("+")[2].split(maxsplit=1)[1] for line in lines]
    kinds = [" ".join(line.split()[:3]) for line in said]
    assert kinds[:5] == [
        "started checkout 70",
        "#1 activity charge",
        "#1 failed charge",
        "#2 pauses 10",
        "#2 goes on",
    ]
    assert said[2].endswith("ConnectionError: no line")
    assert said[5] == "#3   activity  charge, attempt 2  70"
    assert said[6].startswith("#3   returned  charge after ")
    assert said[6].endswith("-> 140")
    assert said[7] == "#4 waits     approved for 1d at most"
    assert said[8] == "#4 event     approved  true"
    assert said[9] == "#5 workflow  pack 'y1:0005'  140"
    assert said[10] == "started   pack by 'y1'  140"
    assert said[11] == "#1   sleeps    1 ms"
    assert said[13] == 'completed  -> "parcel-140"'
    assert said[14].startswith("#5 returned  pack 'y1:0005' after ")
    assert said[15] == 'completed  -> "parcel-140"'
    assert len(said) == 16


def test_a_recorded_history_becomes_a_test(
    shell: WorkflowShell, folder: Path, tmp_path: Path
) -> None:
    """The file replays with the code that ran, and tells where changed code differs."""
    shell.parked("z1")
    file = tmp_path / "z1.json"
    assert shell("history", "z1", "--output", str(file)) == 0
    assert f"wrote 6 events to '{file}'" in shell.err
    assert shell("history", "z1", "--json") == 0
    assert shell.out == file.read_text()
    changed = APP.replace("paid = await", "await ctx.call(charge, 1)\n    paid = await")
    write(tmp_path, {"changed_shop.py": changed})
    sys.path[:0] = [str(folder), str(tmp_path)]
    try:
        replay(import_module("recorded_shop").checkout, file)
        says = r"step 1 gave activity 'charge' another input .*\(changed_shop\.checkout:\d+\)"
        with pytest.raises(NonDeterminismError, match=says):
            replay(import_module("changed_shop").checkout, file)
    finally:
        del sys.path[:2]


# ---- what goes wrong


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("start", "nope"), 1, "no workflow is named 'nope' in app 'shop'; it has 'pack', 'check"),
        (("start", "greet", '{"a": 1,}'), 2, "INPUT begins like JSON and is none"),
        (("start", "greet", "\udcff"), 2, "INPUT is no UTF-8"),
        (("show", "\udcff"), 2, "an id or a name that was typed is no UTF-8"),
        (("start", "greet", "x", "--at", "yesterday"), 2, "--at 'yesterday' is no point in time"),
        (("start", "greet", "x", "--in", "-5m"), 2, "--in '-5m' is no length of time"),
        (("start", "greet", "x", "--in", "9999999d"), 2, "--in '9999999d' is beyond the calendar"),
        (("start", "greet", "--in", "5m", "--at", "2027-01-01"), 2, "--at or --in, not both"),
        (("list", "--since", "1x"), 2, "--since '1x' is no point in time and no age"),
        (("list", "--state", "done"), 2, "'done' is not one of"),
        (
            ("list", "--app-id", "other"),
            3,
            "app 'other' does not run in '.daprflow'; there is 'sho",
        ),
        (("list", "--dapr-grpc-port", "1"), 4, "no sidecar answers on port 1: Connection refused"),
        (("list", "--data-dir", "nowhere"), 4, "nothing runs in 'nowhere'"),
        (("show", "nope"), 3, "there is no workflow instance 'nope' of app 'shop'"),
        (("history", "nope"), 3, "there is no workflow instance 'nope' of app 'shop'"),
        (("raise", "nope", "x"), 3, "there is no workflow instance 'nope'"),
        (("suspend", "nope"), 3, "there is no workflow instance 'nope'"),
        (("resume", "nope"), 3, "there is no workflow instance 'nope'"),
        (("terminate", "nope"), 3, "there is no workflow instance 'nope'"),
        (("purge", "nope"), 3, "there is no workflow instance 'nope'"),
        (("rerun", "nope", "--from", "1"), 3, "there is no workflow instance 'nope'"),
        (("rerun", "nope"), 2, "--from"),
        (("purge",), 2, "name one ID, or say which"),
        (("purge", "x", "--state", "failed"), 2, "name one ID, or say which"),
        (("sho", "x"), 2, "No such command 'sho'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    shell: WorkflowShell, words: tuple[str, ...], code: int, says: str
) -> None:
    """What is wrong, where, and what to do; nothing that is not there has the exit code 3."""
    assert shell(*words) == code
    assert says in " ".join(shell.err.split())


def test_an_id_in_use_is_told(shell: WorkflowShell) -> None:
    """Two instances cannot have one id while the first runs."""
    shell.parked("u1")
    assert shell("start", "checkout", "5", "--id", "u1") == 1
    assert "'u1' of app 'shop' has not ended" in shell.err


def test_a_file_that_cannot_be_written_is_told(shell: WorkflowShell) -> None:
    """The file and the reason."""
    shell("start", "greet", "ann", "--id", "w1", "--wait")
    assert shell("history", "w1", "-o", "nowhere/w1.json") == 1
    assert "cannot write 'nowhere/w1.json': No such file or directory" in shell.err


def test_settings_of_the_group_reach_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A table named as the group, and what counts for all, are the defaults of each command."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"daprflow.toml": 'data-dir = "there"\n[workflow]\nstate = "failed"\n'})
    shell = WorkflowShell(capfd, monkeypatch)
    assert shell("list") == 4
    assert "nothing runs in 'there'" in shell.err
    write(tmp_path, {"daprflow.toml": '[workflow]\nstate = "wrong"\n'})
    assert shell("list") == 2
    assert "'wrong' is not one of" in shell.err


def test_help_of_the_group_is_whole(tmp_path: Path) -> None:
    """Eighty columns are enough for every command's sentence."""
    for words in ((), ("purge",)):
        code, text = finish(tmp_path, "workflow", *words, "--help", env={"COLUMNS": "80"})
        assert code == 0
        assert "..." not in text.replace("[ARGS]...", "")


def test_of_several_apps_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Instances belong to an app; which one is not guessed."""
    monkeypatch.chdir(tmp_path)
    folder = DataFolder(Path(".daprflow"))
    folder.prepare()
    apps = (RunningApp("shop", 3500, grpc_port=1), RunningApp("other", 3501, api_token="t"))
    folder.publish(record(*apps))
    shell = WorkflowShell(capfd, monkeypatch)
    assert shell("list") == 2
    assert "several apps run in '.daprflow'; name one with --app-id: 'shop', 'other'" in shell.err
    assert shell("list", "--app-id", "shop") == 4
    assert "no sidecar answers on port 1" in shell.err
    assert shell("list", "--app-id", "other") == 1
    assert "the sidecar of app 'other' has no gRPC API" in shell.err


# ---- the names of the official command line


class Dapr:
    """Runs ``dapr workflow`` in this process, with the data folder of the service."""

    def __init__(self, data_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._data_dir = data_dir
        self._capfd = capfd
        self.out = ""
        self.err = ""

    def __call__(self, *words: str) -> int:
        code = dapr([str(self._data_dir), *words])
        self.out, self.err = self._capfd.readouterr()
        return code


def test_the_official_names_do_the_same(
    folder: Path, shell: WorkflowShell, capfd: pytest.CaptureFixture[str]
) -> None:
    """``dapr workflow`` runs, lists, holds, wakes, ends, reruns and purges what runs here."""
    run = Dapr(folder / ".daprflow", capfd)
    assert run("workflow", "run", "checkout", "-i", "d1", "--input", "5", "-a", "shop") == 0
    assert run.out == "Workflow instance started successfully: d1\n"
    while "waits for event" not in shell.out:
        shell("show", "d1")
    assert run("workflow", "list", "-o", "json", "-w", "checkout", "-s", "RUNNING", "-m", "1h") == 0
    (found,) = [each for each in msgspec.json.decode(run.out) if each["instanceID"] == "d1"]
    assert (found["appID"], found["runtimeStatus"], found["customStatus"]) == (
        ("shop", "RUNNING", "paid 10")
    )
    assert run("wf", "ls") == 0
    assert run.out.split()[:4] == ["NAME", "ID", "STATUS", "CUSTOM"]
    assert run("workflow", "suspend", "d1", "-r", "lunch") == 0
    assert run("workflow", "resume", "d1") == 0
    assert run("workflow", "raise-event", "d1/approved", "-x", "true") == 0
    assert run.out == "Workflow 'd1' raised event 'approved' successfully\n"
    assert run("workflow", "history", "d1") == 0
    assert "suspended" in run.out
    shell("show", "d1")
    while "COMPLETED" not in shell.out:
        shell("show", "d1")
    assert run("workflow", "rerun", "d1", "-e", "1", "--new-instance-id", "d2") == 0
    assert run.out == "Rerunning workflow instance: d2\n"
    assert run("workflow", "terminate", "d2", "--output", '"x"') == 0
    assert run("workflow", "purge", "d1", "d2") == 0
    assert run.out.splitlines()[1] == 'Purged workflow instance "d2"'
    assert run("workflow", "list", "-o", "ids") == 0
    assert not {"d1", "d2"} & set(run.out.split())


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("start", "x"), 2, "'dapr workflow' has no command 'start'; it has run, list,"),
        (("run",), 2, "write 'dapr workflow run NAME'"),
        (("run", "greet", "-s", "soon"), 2, "--start-time 'soon' is no length of time"),
        (("list", "-o", "yaml"), 2, "--output 'yaml' is none of short, wide, json, ids"),
        (("list", "-s", "DONE"), 2, "flag '--filter-status' is none of RUNNING"),
        (("list", "-k"), 2, "needs the official command line"),
        (("list", "-a", "nobody"), 1, "no such app runs here; 'dapr list' shows what does"),
        (("raise-event", "d1"), 2, "write 'dapr workflow raise-event ID/EVENT'"),
        (("purge",), 2, "name the instances to purge"),
        (("purge", "--all-older-than", "1h", "--all-filter-status", "RUNNING"), 2, "--force"),
        (("terminate", "nope"), 3, "there is no workflow instance 'nope'"),
    ],
)
def test_wrong_use_of_the_official_names_is_told(
    folder: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, says: str
) -> None:
    """What is wrong, and what to write."""
    run = Dapr(folder / ".daprflow", capfd)
    assert run("workflow", *words) == code
    assert says in run.err


def test_the_official_names_have_help(capfd: pytest.CaptureFixture[str]) -> None:
    """Each command lists its flags."""
    run = Dapr(Path("nowhere"), capfd)
    assert run("workflow", "--help") == 0
    assert "raise-event ID/EVENT" in run.out
    assert run("workflow", "list", "--help") == 0
    assert "-s, --filter-status" in run.out


def test_a_shell_completes_commands_and_states(tmp_path: Path) -> None:
    """What may follow is offered: commands, and values of options."""
    for typed, at, offered in (
        ("daprflow workflow his", "2", "history"),
        ("daprflow workflow list --state sus", "4", "suspended"),
    ):
        env = {"_DAPRFLOW_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": at}
        assert finish(tmp_path, env=env)[1] == offered

"""The pytest plugin, as a user's project sees it."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

APP = """
import msgspec
from daprflow import Client, DaprFlow, Topic

class Order(msgspec.Struct):
    id: str

app = DaprFlow("shop")
orders = Topic("pubsub", "orders", Order)

@app.topic(orders)
async def on_order(order: Order, *, client: Client) -> None:
    store = client.state("statestore")
    found = await store.get("last", Order)
    await store.set("last", order)
"""
TEST = """
import pytest
from daprflow import Status
from {app} import Order, app, orders

{more}
async def test_order({fixture}):
    assert await {fixture}.publish(orders, Order("a")) is Status.SUCCESS
    assert await {fixture}.saved("statestore", Order) == {{"last": Order("a")}}
"""
FIXTURE = """
@pytest.fixture
def dapr_app():
    return app
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project with an app."""
    pytester.makepyfile(shop_app=APP)
    pytester.syspathinsert()
    return pytester


def run(project: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run pytest in the project; the plugin is named where it is not installed yet."""
    installed = any(each.value == "pytest_daprflow" for each in entry_points(group="pytest11"))
    named = () if installed else ("-p", "pytest_daprflow")
    if "no:asyncio" not in words:  # pytest-asyncio itself warns where this is not set
        words = (*words, "-o", "asyncio_default_fixture_loop_scope=function")
    return project.runpytest_inprocess(*named, "-p", "no:cacheprovider", *words)


@pytest.mark.parametrize("fixture", ["dapr", "dapr_sockets"])
@pytest.mark.parametrize("how", ["auto", "strict", "without"])
def test_it_needs_no_setting_of_asyncio(project: pytest.Pytester, fixture: str, how: str) -> None:
    """Coroutines run in every mode of pytest-asyncio, and without it."""
    project.makepyfile(TEST.format(app="shop_app", more=FIXTURE, fixture=fixture))
    words = ("-p", "no:asyncio") if how == "without" else (f"--asyncio-mode={how}",)
    run(project, *words).assert_outcomes(passed=1)


def test_a_fixture_of_the_project_takes_the_place_of_ours(project: pytest.Pytester) -> None:
    """What a project itself calls 'dapr' is not entered, whatever it is."""
    project.makepyfile(
        "import pytest\n"
        "@pytest.fixture\n"
        "def dapr():\n"
        "    return 'ours'\n"
        "async def test_it(dapr):\n"
        "    assert dapr == 'ours'\n"
    )
    run(project, "--asyncio-mode=auto").assert_outcomes(passed=1)


def test_a_fixture_that_builds_on_ours_runs(project: pytest.Pytester) -> None:
    """A project changes the sidecar before its test, under the same name."""
    more = FIXTURE + "@pytest.fixture\ndef dapr(dapr):\n    return dapr\n"
    project.makepyfile(TEST.format(app="shop_app", more=more, fixture="dapr"))
    run(project, "--asyncio-mode=auto").assert_outcomes(passed=1)


def test_a_marked_test_of_pytest_asyncio_stays_its_own(project: pytest.Pytester) -> None:
    """With its mark in strict mode, asynchronous fixtures share the loop of test and sidecar."""
    more = FIXTURE + (
        "import asyncio\n"
        "import pytest_asyncio\n"
        "@pytest_asyncio.fixture(autouse=True)\n"
        "async def loop_of_fixtures():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    yield\n"
        "    assert asyncio.get_running_loop() is loop\n"
        "@pytest.mark.asyncio\n"
    )
    project.makepyfile(TEST.format(app="shop_app", more=more, fixture="dapr"))
    run(project, "--asyncio-mode=strict").assert_outcomes(passed=1)


def test_anyio_runs_it_on_asyncio_alone(project: pytest.Pytester) -> None:
    """A test of anyio runs on its asyncio backend."""
    more = FIXTURE + (
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n@pytest.mark.anyio\n"
    )
    project.makepyfile(TEST.format(app="shop_app", more=more, fixture="dapr"))
    run(project, "-p", "no:asyncio").assert_outcomes(passed=1)


def test_an_app_is_named_by_a_mark_or_a_setting(project: pytest.Pytester) -> None:
    """The marker's app and options count, then the setting's app."""
    marked = '@pytest.mark.dapr(app, secrets={"vault": {"key": "x"}})\n'
    text = TEST.format(app="shop_app", more=marked, fixture="dapr")
    text += '    assert await dapr.client.secret("vault", "key") == "x"\n'
    project.makepyfile(test_marked=text)
    project.makepyfile(test_named=TEST.format(app="shop_app", more="", fixture="dapr"))
    project.makeini("[pytest]\ndapr_app = shop_app:app\n")
    run(project, "--strict-markers").assert_outcomes(passed=2)


def test_without_an_app_it_says_what_to_do(project: pytest.Pytester) -> None:
    """The error names the three ways to say which app is meant."""
    project.makepyfile(TEST.format(app="shop_app", more="", fixture="dapr"))
    result = run(project)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*define a fixture 'dapr_app'*"])


def test_a_plain_function_is_told_to_be_a_coroutine(project: pytest.Pytester) -> None:
    """A test that cannot await anything is refused, with its name."""
    project.makepyfile(
        "import pytest\nfrom shop_app import app\n"
        "@pytest.mark.dapr(app)\ndef test_plain(dapr): ...\n"
    )
    result = run(project)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*write 'async def test_plain'*"])


RACE = """
import asyncio
import msgspec, pytest
from daprflow import Client, DaprFlow, Topic

class Bid(msgspec.Struct):
    amount: int

bids = Topic("pubsub", "bids", Bid)
app = DaprFlow("auction")

@app.topic(bids)
async def on_bid(bid: Bid, *, client: Client) -> None:
    store = client.state("statestore")
    best = await store.get("best", Bid)
    if best is None or best.value.amount < bid.amount:
        await store.set("best", bid)

@pytest.mark.dapr(app)
async def test_the_highest_bid_wins(dapr_explore):
    async def scenario(dapr):
        await asyncio.gather(*(dapr.publish(bids, Bid(n)) for n in (10, 20)))
        assert (await dapr.saved("statestore", Bid))["best"].amount == 20
    await dapr_explore(scenario)
"""


def test_a_race_is_shown_with_its_smallest_schedule(project: pytest.Pytester) -> None:
    """An auction's race fails as a unit test, with the seed, the steps and how to repeat it."""
    project.makepyfile(RACE)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*seed * fails with AssertionError*", "*state statestore write best*", "*run it alone*"]
    )
    run(project, "--dapr-seeds=0").assert_outcomes(passed=1)


def test_a_missing_runtime_skips_with_the_reason(project: pytest.Pytester) -> None:
    """Where --dapr-runtime names no runtime, tests are skipped, and the text says what lacks."""
    project.makepyfile(TEST.format(app="shop_app", more=FIXTURE, fixture="dapr"))
    result = run(project, "--dapr-runtime=nowhere", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*nowhere*daprd*dapr init*"])


def test_the_plugin_loads_nothing_of_daprflow() -> None:
    """Pytest imports it in every project, so it costs no more than pytest itself."""
    code = "import sys, pytest, pytest_daprflow; print('daprflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("fixture", ["dapr_redis", "dapr_postgresql", "dapr_kafka"])
def test_servers_in_containers_skip_without_an_engine(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fixture: str
) -> None:
    """Where no engine answers, the test is skipped with that message."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{project.path}/none.sock")
    project.makepyfile(f"def test_server({fixture}): ...")
    result = run(project, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*no container engine answers*"])

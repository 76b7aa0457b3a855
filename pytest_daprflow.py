"""The pytest plugin of daprflow: fixtures that run an app beside its sidecar.

pytest imports it at every start, in every project of an environment: it loads nothing of daprflow
before a test asks for one of its fixtures.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from daprflow import DaprFlow
    from daprflow.testing import TestSidecar

RUNTIME = "--dapr-runtime"
SEED = "--dapr-seed"
SEEDS = "--dapr-seeds"
MARK = "dapr"
TARGET = "dapr_app"
DAPR = "dapr"
SOCKETS = "dapr_sockets"
ORDERS = "dapr_explore"
RUNNING = (DAPR, SOCKETS)
DEFAULT_SEEDS = 100
NO_APP = (
    "no app to test: define a fixture 'dapr_app' that returns it, mark the test with "
    "@pytest.mark.dapr(app), or set 'dapr_app = \"module:app\"' in the section of pytest in "
    "pyproject.toml"
)
NOT_ASYNC = "'{name}' is for tests that are coroutines; write 'async def {test}'"
NO_RUNTIME = "{name} needs the embedded engine, so it does not run with {option}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the folder of a real runtime, and seeds."""
    group = parser.getgroup("daprflow")
    group.addoption(
        RUNTIME,
        metavar="PATH",
        help="run tests that use 'dapr' against the real runtime in PATH/.dapr/bin, which "
        "'DAPR_RUNTIME_PATH=PATH dapr init --slim' brings, or in containers: docker[:RELEASE]",
    )
    group.addoption(
        SEED, type=int, metavar="N", help="let calls in tests that use 'dapr' go on in this order"
    )
    group.addoption(
        SEEDS, type=int, metavar="COUNT", help=f"how many orders '{ORDERS}' runs ({DEFAULT_SEEDS})"
    )
    parser.addini(TARGET, "the app under test, as module:name")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(app, **options): the app that '{DAPR}' runs, and what TestSidecar takes besides",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the coroutines of tests start and stop what their fixtures made."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        used = _ours(item, RUNNING)
        if used and inspect.iscoroutinefunction(item.obj):
            item.obj = _running(item, item.obj, used)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine that uses our fixtures where nobody else would: without any setting.

    pytest-asyncio has made a plain function of it by now where it is in charge, and anyio's are
    marked.
    """
    ours = _ours(pyfuncitem, (*RUNNING, ORDERS))
    if not ours or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if pyfuncitem.get_closest_marker("anyio") is not None:
        return None
    import asyncio  # noqa: PLC0415 - see above

    names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 - as pytest's own call does
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    with asyncio.Runner() as runner:
        runner.run(pyfuncitem.obj(**arguments))
    return True


def _ours(item: pytest.Function, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of ``names`` that a test uses and that are fixtures of this module.

    A fixture of that name in the project itself takes the place of ours, and is left alone, unless
    it builds on ours.
    """
    found = item._fixtureinfo.name2fixturedefs  # noqa: SLF001 - which of them wins says nobody else
    return tuple(
        name
        for name in names
        if name in found
        and (found[name][-1].func.__module__ == __name__ or name in found[name][-1].argnames)
    )


def _running(
    item: pytest.Function, test: Callable[..., Awaitable[None]], names: Sequence[str]
) -> Any:
    """Return a test that runs inside the sidecars it asks for, in its own event loop."""

    @functools.wraps(test)
    async def run(*args: Any, **named: Any) -> None:
        _refuse_trio()
        async with AsyncExitStack() as stack:
            for name in names:
                sidecar: Any = item.funcargs.get(name)
                if sidecar is not None:
                    await stack.enter_async_context(sidecar)
            await test(*args, **named)

    return run


def _refuse_trio() -> None:
    """Say that another library's loop does not do."""
    import asyncio  # noqa: PLC0415 - see above

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pytest.fail(
            "daprflow needs asyncio, and this test runs in another loop; have anyio's fixture "
            "'anyio_backend' return 'asyncio'",
            pytrace=False,
        )


# ---- fixtures -----------------------------------------------------------------------------------


@pytest.fixture
def dapr_app(request: pytest.FixtureRequest) -> "DaprFlow":
    """The app under test: the marker's, or the one that the setting names; override it at will."""
    marker = request.node.get_closest_marker(MARK)
    app: Any = marker.args[0] if marker is not None and marker.args else ""
    app = app or request.config.getini(TARGET)
    if not app:
        raise pytest.UsageError(NO_APP)
    found: DaprFlow = resolve_name(app) if isinstance(app, str) else app
    return found


@pytest.fixture
def dapr_options() -> Mapping[str, Any]:
    """What `TestSidecar` is given besides the app; override it for a module or a project."""
    return {}


@pytest.fixture
def dapr(
    request: pytest.FixtureRequest, dapr_app: "DaprFlow", dapr_options: Mapping[str, Any]
) -> "TestSidecar":
    """The app, running in process beside a sidecar on a virtual clock: a `TestSidecar`.

    With ``--dapr-runtime`` it runs beside a real one.
    """
    return _make(request, DAPR, dapr_app, dapr_options)


@pytest.fixture
def dapr_sockets(
    request: pytest.FixtureRequest, dapr_app: "DaprFlow", dapr_options: Mapping[str, Any]
) -> "TestSidecar":
    """The same over connections: the app under uvicorn and the sidecar listen on free ports."""
    return _make(request, SOCKETS, dapr_app, {**dapr_options, "sockets": True})


@pytest.fixture
def dapr_explore(
    request: pytest.FixtureRequest, dapr_app: "DaprFlow", dapr_options: Mapping[str, Any]
) -> Callable[..., Awaitable[int]]:
    """A function that runs a scenario in many orders of its calls, deliveries and turns.

    The scenario takes a `TestSidecar`, one of its own for each order; a failure shows the smallest
    schedule that fails.
    """
    from daprflow.testing import TestSidecar, explore  # noqa: PLC0415 - see above

    config = request.config
    if config.getoption(RUNTIME):
        pytest.skip(NO_RUNTIME.format(name=ORDERS, option=RUNTIME))
    options = {**dapr_options, **_marked(request)}
    one, many = config.getoption(SEED), config.getoption(SEEDS)

    async def run(
        scenario: Callable[["TestSidecar"], Awaitable[Any]], *, seeds: int = DEFAULT_SEEDS
    ) -> int:
        wanted = (one,) if one is not None else seeds if many is None else many
        return await explore(
            lambda seed: TestSidecar(dapr_app, **{**options, "seed": seed}), scenario, wanted
        )

    return run


@pytest.fixture(scope="session")
def dapr_services(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Placement and scheduler of a real runtime, for all tests of a session."""
    from daprflow.testing import real_services  # noqa: PLC0415 - see above

    named = str(request.config.getoption(RUNTIME))
    word, _, release = named.partition(":")
    if word == "docker":
        containers = _containers()
        release = release or containers.RELEASE
        with containers.services(_engine(request), release) as running:
            yield running
        return
    try:
        home = real_services.home_of(named)
    except real_services.NoRuntime as missing:
        pytest.skip(f"{RUNTIME}: {missing}")
    with real_services.services(home, tmp_path_factory.mktemp("dapr")) as running:
        yield running


@pytest.fixture(scope="session")
def dapr_containers() -> Any:
    """The container engine of this machine; tests that need it are skipped where none answers."""
    from daprflow.errors import MissingExtra  # noqa: PLC0415 - see above

    containers = _containers()
    try:
        return containers.engine()
    except (containers.NoEngine, MissingExtra) as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def dapr_redis(dapr_containers: Any) -> Iterator[Any]:
    """Redis in a container: ``dapr_redis.component(folder, "statestore", "state.redis")``."""
    with _containers().redis(dapr_containers) as server:
        yield server


@pytest.fixture(scope="session")
def dapr_postgresql(dapr_containers: Any) -> Iterator[Any]:
    """PostgreSQL in a container."""
    with _containers().postgresql(dapr_containers) as server:
        yield server


@pytest.fixture(scope="session")
def dapr_kafka(dapr_containers: Any) -> Iterator[Any]:
    """Kafka in a container, for a real runtime: the embedded sidecar has a stand-in."""
    with _containers().kafka(dapr_containers) as server:
        yield server


def _containers() -> Any:
    from daprflow.testing import containers  # noqa: PLC0415 - see above

    return containers


def _engine(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("dapr_containers")


def _make(
    request: pytest.FixtureRequest, name: str, app: "DaprFlow", options: Mapping[str, Any]
) -> "TestSidecar":
    """Return a sidecar that the test's coroutine starts."""
    test = request.function
    if not inspect.iscoroutinefunction(inspect.unwrap(test)):
        raise pytest.UsageError(NOT_ASYNC.format(name=name, test=test.__name__))
    options = {**options, **_marked(request)}
    if request.config.getoption(RUNTIME):
        running = request.getfixturevalue("dapr_services")
        from daprflow.testing.real_sidecar import RealSidecar  # noqa: PLC0415 - see above

        return RealSidecar(app, services=running, skip=pytest.skip, **options)
    from daprflow.testing import TestSidecar  # noqa: PLC0415 - see above

    seed = request.config.getoption(SEED)
    return TestSidecar(app, **({"seed": seed} if seed is not None else {}), **options)


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of the markers, the nearest one's first."""
    found: dict[str, Any] = {}
    for marker in request.node.iter_markers(MARK):
        found = {**marker.kwargs, **found}
    return found

"""G10: with a token, nothing of Dapr's in an app answers who does not show it."""

import ast
import itertools
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from daprflow import Actor, DaprFlow
from daprflow.settings import Settings
from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.raw import Pairs
from tests.helpers.app_calls import Caller, event, running

RIGHT, FORMER = "right-canary-token", "former-canary-token"
PACKAGE = Path(__file__).parents[3] / "daprflow"
EXCEPT = frozenset({PACKAGE / "sidecar" / "workflows", PACKAGE / "manifests"})
"""There a token is the number of a turn, a digest tells of a file's edits: neither is secret."""
_SUSPICIOUS = re.compile(r"(token|digest|secret)\)? *[!=]=|[!=]= *\S*(token|digest|secret)")
TOKEN = "dapr-api-token"
VERBS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
OPEN = ("/healthz", "/readyz")
UNAUTHORIZED, NOT_FOUND = 401, 404
EXTRA = (
    "/dapr/config", "/dapr/subscribe", "/dapr/none", "/dapr/topics/none/none", "/job/none",
    "/configuration/none/none", "/actors/Cart/ann", "/actors/Cart/ann/method/add",
    "/actors/Cart/ann/method/none", "/actors/Cart/ann/method/timer/none",
    "/actors/Cart/ann/method/remind/none", "/actors/None/ann/method/x",
)  # fmt: skip
REFUSED: tuple[Pairs, ...] = (
    (),
    ((TOKEN, ""),),
    ((TOKEN, "wrong"),),
    ((TOKEN, RIGHT[:-1]),),
    ((TOKEN, RIGHT + "x"),),
    ((TOKEN, RIGHT + " "),),
    ((TOKEN, RIGHT.upper()),),
    ((TOKEN, f"{RIGHT},{RIGHT}"),),
    ((TOKEN, "wrong"), (TOKEN, RIGHT)),
    ((TOKEN, RIGHT), (TOKEN, "wrong")),
    ((TOKEN, RIGHT), (TOKEN, RIGHT)),
    ((TOKEN, f"Bearer {RIGHT}"),),
    (("authorization", f"Bearer {RIGHT}"),),
    (("x-dapr-api-token", RIGHT),),
)


def shop() -> DaprFlow:
    """Return an app with an endpoint of every kind."""
    app = DaprFlow("shop", settings=Settings(app_api_token=RIGHT, app_api_token_previous=FORMER))

    @app.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None: ...

    @app.binding("sms")
    async def on_sms() -> None: ...

    @app.cron("sweep", "@every 1h")
    async def sweep() -> None: ...

    @app.job("report")
    async def report() -> None: ...

    @app.configuration("settings", "limit")
    async def on_limit(data: str) -> None: ...

    @app.invoke
    async def quote() -> int:
        return 1

    @app.actor
    class Cart(Actor[list[int]]):
        async def add(self) -> int:
            return 1

    return app


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Caller, list[str]]]:
    """Start it; give who calls it, and every path that it has."""
    app = shop()
    async with running(app) as call:
        paths = {row.path for row in app.table() if row.path.startswith("/")}
        yield call, sorted({*paths, *EXTRA} - {*OPEN})


def compared() -> Iterator[str]:
    """Yield where the package compares something called a token with an equals sign."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if EXCEPT & {*path.parents} or not _SUSPICIOUS.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Compare):
                continue
            signs = any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops)
            names = [
                ast.unparse(each).rpartition(".")[2] for each in (node.left, *node.comparators)
            ]
            if signs and any(name.endswith(("token", "digest", "secret")) for name in names):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"


async def run(most: int, folder: Path, seed: int) -> Result:
    """Call every path by every verb with everything that is no token, then with the two."""
    del folder
    problems = [f"compared in the open: {text}" for text in compared()]
    chance = random.Random(seed)  # noqa: S311 - it repeats
    number = 0
    async with served() as (call, paths):
        nothing = [
            (path, verb)
            for path, verb in itertools.product(paths, VERBS)
            if (await call.request(verb, path, event("x"), [(TOKEN, RIGHT)])).status == NOT_FOUND
        ]
        tried = list(itertools.product(paths, VERBS, REFUSED))
        chance.shuffle(tried)
        for path, verb, headers in tried[:most]:
            number += 1
            answer = await call.request(verb, path, event("x"), headers)
            allowed = {UNAUTHORIZED, NOT_FOUND} if (path, verb) in nothing else {UNAUTHORIZED}
            if answer.status not in allowed or RIGHT.encode() in answer.body:
                problems.append(f"{verb} {path} with {headers}: {answer.status}")
        for path, token in itertools.product(paths, (RIGHT, FORMER)):
            number += 1
            answer = await call.request("POST", path, event("x"), [(TOKEN, token)])
            if answer.status == UNAUTHORIZED:
                problems.append(f"POST {path} refuses a token that is right")
    return Result({"paths": len(paths), "calls": number}, problems)


GOAL = Goal(
    "G10",
    "with a token, nothing of Dapr's in an app answers who does not show it",
    {Size.QUICK: 400, Size.FULL: 1_000_000},
    run,
)

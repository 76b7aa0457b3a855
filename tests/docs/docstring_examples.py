"""The examples that docstrings show in an editor, as one module that type checkers read."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent

from tests.docs.public_names import documented

PREAMBLE = """# mypy: disable-error-code="empty-body"
# pyright: reportMissingParameterType=false, reportUnusedVariable=false
# pyright: reportUnusedFunction=false, reportUnusedClass=false
# pyright: reportWildcardImportFromLibrary=false
import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware

from daprflow import *
from daprflow.client import *
from daprflow.components import *
from daprflow.health import *
from daprflow.middleware import *
from daprflow.reliability import *
from daprflow.settings import *
from daprflow.testing import *


class Order(msgspec.Struct):
    id: str
    total: int = 0


class Receipt(msgspec.Struct):
    order: str


class Cart(msgspec.Struct):
    items: list[str] = msgspec.field(default_factory=list[str])


class Limits(msgspec.Struct):
    daily: int


class Table:
    def __init__(self, text: str) -> None:
        self.text: str = text


app, client, fastapi_app = DaprFlow("shop"), Client(), Starlette()
dapr = TestSidecar(app)
orders = Topic("pubsub", "orders", Order)
price = Endpoint("pricing", "price", Order, int)
approved = ExternalEvent("approved", bool)
document: bytes = b""


async def pieces() -> AsyncIterator[bytes]:
    yield b""


chunks = pieces()
router = Router()


async def free(order: Order) -> int: ...


@app.activity
async def charge(order: Order) -> Receipt: ...


@app.activity
async def refund(receipt: Receipt) -> None: ...


@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> str: ...


@app.actor
class CartActor(Actor[Cart]):
    async def add(self, sku: str) -> int: ...
"""
"""What every example may use: all public names, and those of a shop."""

LINE = re.compile(r"^Example: ``(?P<code>.+)``$", re.MULTILINE)
BLOCK = re.compile(r"^Example:\n +```python\n(?P<code>.*?)^ +```$", re.MULTILINE | re.DOTALL)


AS_ANOTHER = re.compile(r"^As ``\S+``")
"""How a docstring begins that refers to another, which has an example."""

PARTS_ONLY = frozenset(
    {
        "actors.part.Part.make",
        "app.DaprFlow.actor_hosts",
        "app.DaprFlow.crons",
        "app.DaprFlow.features",
        "app.DaprFlow.jobs_scheduled",
        "app.DaprFlow.providers",
        "app.DaprFlow.work",
        "app.DaprFlow.workflow_problem",
        "app.DaprFlow.works",
        "client.configuring.Configuring.receive",
        "client.interception.Attempts.add",
        "client.open_stream.OpenStream.finish",
        "client.subscribing.Subscribing.watch_messages",
        "client.subscription.Subscription.next",
        "handlers.codecs.Codecs.content_of",
        "handlers.codecs.Codecs.decoder",
        "handlers.codecs.Codecs.knows",
        "handlers.codecs.Codecs.undecodable",
        "handlers.codecs.Codecs.unencodable",
        "handlers.codecs.ContentCodec.read",
        "handlers.codecs.ContentCodec.write",
        "handlers.declaring.ResourceDeclarations.declaration_problems",
        "handlers.declaring.ResourceDeclarations.declarations_in",
        "handlers.own_workflows.OwnActivityHandle.belong_to",
        "handlers.router.Router.collect",
        "handlers.router.Router.endpoints",
        "handlers.router.Router.own",
        "handlers.router.Router.register",
        "handlers.router.Router.seal",
        "handlers.router.Router.surroundings",
        "handlers.router.Router.workflow_handles",
        "middleware.rate_limit.RateLimit.passes",
        "middleware.rate_rules.SlidingWindow.passes",
        "middleware.rate_rules.SlidingWindow.take",
        "middleware.rate_rules.TokenBucket.passes",
        "middleware.rate_rules.TokenBucket.take",
        "middleware.rate_store.SharedCounts.take",
        "observability.options.Observability.resolved",
        "protocol.http.HttpResponse.header",
        "testing.faults.Fault.hit",
        "workflows.retry.RetryPolicy.delay",
        "workflows.tasks.Task.described",
        "workflows.tasks.Task.fail",
        "workflows.tasks.Task.leave",
        "workflows.tasks.Task.observe",
        "workflows.tasks.Task.settle",
        "workflows.tasks.Task.settle_text",
    }
)
"""Methods of public classes that other parts of daprflow call, and users do not."""

OVERRIDDEN = re.compile(
    r"(components\.\w+\.\w+\.(problems|lacking))"
    r"|(observability\.(watches|watching)\.Watch(er)?\.\w+)"
)
"""Methods whose class says how they are meant: what checks components, what watchers override."""


@dataclass(frozen=True, slots=True)
class Example:
    """An example in a docstring.

    Attributes:
        name: of what it is about.
        code: as it stands there, not indented.
    """

    name: str
    code: str


def example_of(value: object) -> str:
    """The code of the example in a docstring; empty without one."""
    text = inspect.cleandoc(getattr(value, "__doc__", None) or "")
    match = BLOCK.search(text) or LINE.search(text)
    return inspect.cleandoc("\n" + match["code"]) if match else ""


def examples() -> Iterator[Example]:
    """Every example in a docstring of a public name."""
    for each in documented():
        code = example_of(each.value)
        if code:
            yield Example(each.name, code)


@dataclass(frozen=True, slots=True)
class Module:
    """All examples.

    Attributes:
        text: a module with a function for each.
        about: what its lines are about, by their numbers.
    """

    text: str
    about: Mapping[int, str]


def module() -> Module:
    """All examples as one module, each in a function of its own."""
    text = PREAMBLE
    about: dict[int, str] = {}
    for number, each in enumerate(examples()):
        first = text.count("\n") + 1
        text += f"\n\nasync def example_{number}(ctx: WorkflowContext) -> None:\n"
        text += indent(each.code, "    ") + "\n"
        about |= dict.fromkeys(range(first, text.count("\n") + 1), each.name)
    return Module(text, about)


def lacking() -> Iterator[str]:
    """Public names whose docstring shows no example, but for those that need none."""
    for each in documented():
        name = each.name.removeprefix("daprflow.")
        text = each.value.__doc__ or ""
        if name in PARTS_ONLY or OVERRIDDEN.fullmatch(name) or AS_ANOTHER.match(text):
            continue
        if not example_of(each.value):
            yield name

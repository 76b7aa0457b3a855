"""Resiliency, access policies and configuration in code, as the sidecar understands them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from daprflow import Actor, AppDefinitionError, DaprFlow, Endpoint, Router, Topic
from daprflow.components import (
    ActorTarget,
    ApiRule,
    AppTarget,
    Caller,
    CircuitBreaker,
    Component,
    ComponentTarget,
    InMemoryState,
    Mtls,
    Operation,
    Otlp,
    Policies,
    Retries,
    SecretScope,
    Timeout,
    Tracing,
)
from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.configuration_tree import configuration_spec
from daprflow.protocol.resiliency import PolicyNames
from daprflow.protocol.resource_trees import resiliency_tree
from daprflow.sidecar.access import may_invoke
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resiliency_document import read_resiliency
from daprflow.sidecar.resource_yaml import read_document

price = Endpoint("pricing", "price", int, int)
orders = Topic("pubsub", "orders", int)
quick = Timeout("quick", timedelta(seconds=2))
again = Retries("again", max_retries=3, http_status_codes=(429, (500, 599)))
fuse = CircuitBreaker("fuse", trip="consecutiveFailures > 2", timeout=timedelta(seconds=9))


class Cart(Actor[None]):
    """An actor."""


def test_targets_are_named_by_handles() -> None:
    """An endpoint names its app, a topic its component, a class its actors."""
    app = DaprFlow("shop")
    app.resiliency(
        AppTarget(price, Policies(timeout=quick, retry=again, circuit_breaker=fuse)),
        ComponentTarget(orders, inbound=Policies(retry=again)),
        ComponentTarget(InMemoryState("statestore"), outbound=Policies(timeout=quick)),
        ActorTarget(Cart, Policies(circuit_breaker=fuse), "id"),
    )
    (found,) = app.declared("dev").resiliencies
    assert (found.name, found.scopes) == ("shop-resiliency", ("shop",))
    assert found.apps["pricing"].policies == PolicyNames("quick", "again", "fuse")
    assert found.components["pubsub"].inbound == PolicyNames(retry="again")
    assert found.components["statestore"].outbound == PolicyNames(timeout="quick")
    assert found.actors["Cart"].scope == "id"
    assert found.timeouts == {"quick": 2.0}


def test_a_resiliency_reads_as_it_was_declared(tmp_path: Path) -> None:
    """Written as a document and read again it is the same."""
    app = DaprFlow("shop")
    app.resiliency(AppTarget(price, Policies(timeout=quick, retry=again, circuit_breaker=fuse)))
    (found,) = app.declared().resiliencies
    text = msgspec.json.encode(resiliency_tree(found)).decode()
    document = read_document(text, tmp_path / "x.yaml", 1)
    assert document is not None
    read = read_resiliency(document)
    assert msgspec.structs.replace(read, source="") == msgspec.structs.replace(found, source="")


def test_callers_may_call_what_they_are_allowed() -> None:
    """By endpoint, by path, and by default; parameters of a path stand for any part."""
    app, router = DaprFlow("shop"), Router()

    @router.invoke("GET", "/orders/{id}")
    async def show(*, id: str) -> str:  # noqa: A002 - as in the path
        return id

    @app.invoke
    async def place(order: int) -> None:
        pass

    app.include(router)
    app.access_policy(
        Caller("website", allow=[show, place]),
        Caller("admin", deny=[Operation("/internal/**")]),
        Caller("friend"),
    )
    access = app.declared("dev").access_policy
    assert access is not None

    def may(caller: str, verb: str, path: str) -> bool:
        return may_invoke(access, caller, "default", verb, path)

    assert may("website", "GET", "orders/7")
    assert not may("website", "DELETE", "orders/7")
    assert may("website", "POST", "place")
    assert not may("website", "POST", "other")
    assert may("admin", "POST", "other")
    assert not may("admin", "POST", "internal/keys")
    assert may("friend", "POST", "anything")
    assert not may("stranger", "POST", "place")


def test_a_configuration_reads_as_it_was_declared() -> None:
    """What the sidecar reads of its document is what the code says."""
    app = DaprFlow("shop")
    upper = app.component(Component("upper", "middleware.http.uppercase"))
    app.sidecar_configuration(
        tracing=Tracing(sampling_rate=0.5, otlp=Otlp(endpoint="collector:4317", is_secure=False)),
        http_pipeline=[upper],
        api_allowed=[ApiRule("state"), ApiRule("publish", protocol="grpc")],
        secret_scopes=[SecretScope("vault", "deny", allowed=("dsn",))],
        denied_components=("bindings.smtp",),
        features={"HotReload": False},
    )
    app.access_policy(Caller("website"))
    found = app.declared("dev").configuration
    assert found is not None
    read = load_configuration((), {}, configuration_spec(found))
    assert isinstance(read, ConfigurationResource)
    assert read.tracing == found.tracing
    assert read.access_control is not None
    assert [each.namespace for each in read.access_control.policies] == ["default"]
    assert (read.api_allowed, read.secret_scopes) == (found.api_allowed, found.secret_scopes)
    assert [each.type for each in read.http_pipeline] == ["middleware.http.uppercase"]
    assert read.denied_components == ("bindings.smtp",)
    assert not read.hot_reload


WRONG: dict[str, tuple[Callable[[DaprFlow], object], str]] = {
    "an empty resiliency": (
        lambda app: app.resiliency(), "it has no targets and no policies",
    ),
    "two policies of one name": (
        lambda app: app.resiliency(
            AppTarget("a", Policies(timeout=quick)),
            AppTarget("b", Policies(timeout=Timeout("quick", timedelta(seconds=3)))),
        ),
        "there are two different policies of the name 'quick'",
    ),
    "a policy in the place of policies": (
        lambda app: app.resiliency(ComponentTarget("broker", inbound=Retries("x"))),  # type: ignore[arg-type]
        "such as Policies(retry=Retries(…)), not a value of type 'Retries'",
    ),
    "a policy of another kind": (
        lambda app: app.resiliency(AppTarget("a", Policies(retry=quick))),  # type: ignore[arg-type]
        "'retry' takes a Retries, not a 'Timeout'",
    ),
    "two targets for one app": (
        lambda app: app.resiliency(AppTarget("a", Policies()), AppTarget("a", Policies())),
        "there are two targets for app 'a'",
    ),
    "a breaker without a scope": (
        lambda app: app.resiliency(ActorTarget("Cart", Policies(circuit_breaker=fuse))),
        "the circuit breaker of actor 'Cart' needs a 'circuit_breaker_scope'",
    ),
    "a trip that is no expression": (
        lambda app: app.resiliency(policies=[CircuitBreaker("x", trip="5 >")]),
        "policy 'x': 'trip':",
    ),
    "a code that is none": (
        lambda app: app.resiliency(policies=[Retries("x", http_status_codes=(7000,))]),
        "'http_status_codes' has codes from 100 to 599",
    ),
    "no time at all": (
        lambda app: app.resiliency(policies=[Timeout("x", timedelta())]),
        "'duration' must be above zero",
    ),
    "a target that is none": (
        lambda app: app.resiliency("pricing"),  # type: ignore[arg-type]
        "a target is an AppTarget, ComponentTarget or ActorTarget",
    ),
    "a method of somebody else": (
        lambda app: app.access_policy(Caller("website", allow=[price])),
        "is a method of app 'pricing', and a policy is about the methods of its own app, 'shop'",
    ),
    "a caller twice": (
        lambda app: app.access_policy(Caller("a"), Caller("a")), "caller 'a' is there twice",
    ),
    "allowed and denied": (
        lambda app: app.access_policy(Caller("a", allow=["/x"], deny=["/x"])),
        "'/x' is both allowed and denied",
    ),
    "a caller that is none": (
        lambda app: app.access_policy("website"),  # type: ignore[arg-type]
        "it takes callers, Caller(…), not a value of type 'str'",
    ),
    "more than all traces": (
        lambda app: app.sidecar_configuration(tracing=Tracing(sampling_rate=2)),
        "'sampling_rate' must be from 0 to 1",
    ),
    "a certificate for no time": (
        lambda app: app.sidecar_configuration(mtls=Mtls(workload_cert_ttl=timedelta())),
        "'workload_cert_ttl' must be above zero",
    ),
    "a pipeline of stores": (
        lambda app: app.sidecar_configuration(http_pipeline=[InMemoryState("x")]),
        "'http_pipeline' has 'x' of type 'state.in-memory', which is no middleware",
    ),
    "a list of texts for rules": (
        lambda app: app.sidecar_configuration(api_allowed=["state"]),  # type: ignore[list-item]
        "'api_allowed' takes a list of ApiRule",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_its_place(case: str) -> None:
    """Each says what is wrong and where it stands."""
    declare, text = WRONG[case]
    app = DaprFlow("shop")
    declare(app)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    (problem,) = caught.value.problems
    assert text in problem
    assert f"({__name__}:" in problem

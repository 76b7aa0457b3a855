"""Resources of the code beside those of files and of the run itself."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from daprflow.components.declarations import Declarations
from daprflow.launcher import defaults
from daprflow.launcher.configuration import read_configuration
from daprflow.launcher.declared import Shadows, beside, for_daprd, shadowed, with_declared
from daprflow.launcher.exits import LaunchError
from daprflow.protocol.configuration_file import (
    AccessControl,
    ConfigurationResource,
    MtlsSpec,
    TracingSpec,
)
from daprflow.protocol.resiliency import ComponentTarget, PolicyNames, ResiliencyResource
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.resources import Resources

IN_CODE = ComponentResource("store", "state.in-memory", source="app:3")
IN_FILE = ComponentResource("store", "state.sqlite", source="store.yaml:1")
ACTORS = (MetadataItem("actorStateStore", "true"),)


def test_what_is_loaded_counts() -> None:
    """A component of the code is added where no file has its name."""
    other = ComponentResource("other", "state.in-memory", source="app:4")
    merged = with_declared(Resources(components=(IN_FILE,)), Declarations("dev", (IN_CODE, other)))
    assert merged.components == (IN_FILE, other)
    assert merged.problems == ()


def test_a_type_that_nobody_has_is_a_problem_with_its_line() -> None:
    """As in a file; a strict run takes stand-ins for problems, too."""
    unknown = ComponentResource("x", "nothing.atall", source="app:3")
    kafka = ComponentResource("y", "pubsub.kafka", source="app:4")
    declared = Declarations("dev", (unknown, kafka))
    (problem,) = with_declared(Resources(), declared).problems
    assert problem.startswith("app:3: component 'x' has type 'nothing.atall'")
    assert len(with_declared(Resources(), declared, strict=True).problems) == 2


def test_a_breaker_that_nobody_defines_is_a_problem() -> None:
    """As in a file: the real runtime dies of it."""
    target = ComponentTarget(outbound=PolicyNames(circuit_breaker="gone"))
    policy = ResiliencyResource("r", components={"store": target}, source="app:9")
    (problem,) = with_declared(Resources(), Declarations("dev", resiliencies=(policy,))).problems
    assert "uses circuit breaker 'gone', which no document defines" in problem


def test_a_shadowed_declaration_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """However often the files are read."""
    shadows = Shadows()
    loaded = Resources(components=(IN_FILE,))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            shadows.tell(shadowed(Declarations("dev", (IN_CODE,)), loaded))
    (told,) = caplog.messages
    assert told.startswith("component 'store' is declared at app:3 and in store.yaml:1; the file's")


def test_what_a_run_makes_gives_way() -> None:
    """To a component of its name, and the store of actors to another one."""
    made = defaults.durable(None)
    bus = ComponentResource("pubsub", "pubsub.redis")
    kept = {each.name for each in beside(made, (bus, IN_CODE))}
    assert kept == {"statestore", "configstore", "lockstore"}
    actors = ComponentResource("own", "state.redis", metadata=ACTORS)
    assert "statestore" not in {each.name for each in beside(made, (actors,))}


def test_a_real_runtime_gets_what_it_can_have() -> None:
    """The built-in broker becomes one in memory, other built-in types are left out."""
    bus = ComponentResource("bus", "pubsub.daprflow", source="app:1")
    lock = ComponentResource("locks", "lock.daprflow", source="app:2")
    kept, lines = for_daprd((bus, lock, IN_CODE))
    assert [each.type for each in kept] == ["pubsub.in-memory", "state.in-memory"]
    assert "a failed event is lost" in lines[0]
    assert "'locks' (app:2) is left out" in lines[1]


def test_a_configuration_file_goes_before_the_code(tmp_path: Path) -> None:
    """Section by section: what the file does not say is as the code has it."""
    file = tmp_path / "config.yaml"
    file.write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: x}\n"
        "spec:\n  tracing: {samplingRate: '0'}\n",
        encoding="utf-8",
    )
    declared = ConfigurationResource(
        tracing=TracingSpec(sampling_rate="1", zipkin="http://z"),
        access_control=AccessControl("deny"),
    )
    merged = read_configuration((file,), declared)
    assert merged.tracing == TracingSpec(sampling_rate="0", zipkin="http://z")
    assert merged.access_control == AccessControl("deny")


def test_the_embedded_sidecar_refuses_mtls() -> None:
    """As it does for a file: nobody is to believe that calls are protected."""
    with pytest.raises(LaunchError, match="the embedded sidecar has no mTLS"):
        read_configuration((), ConfigurationResource(mtls=MtlsSpec()))


def test_a_line_that_moves_changes_no_policy() -> None:
    """A reload then leaves deliveries alone."""
    one, two = (
        with_declared(
            Resources(), Declarations("dev", resiliencies=(ResiliencyResource("r", source=source),))
        )
        for source in ("app:3", "app:4")
    )
    assert replace(one, components=()) == replace(two, components=())

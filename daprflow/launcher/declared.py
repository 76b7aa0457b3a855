"""The resources that an app declares in its code, beside those of files and of the run itself."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec

from daprflow.components.declarations import Declarations
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.resources import Resources, problems_of

logger = logging.getLogger(__name__)

R = TypeVar("R", ComponentResource, ResiliencyResource)
_BUILT_IN = ".daprflow"
_ACTOR_STORE = "actorStateStore"


class Shadows:
    """Says once what a file takes the place of."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, lines: Iterable[str]) -> None:
        """Log each line that was not logged before."""
        for line in lines:
            if line not in self._told:
                self._told.add(line)
                logger.warning("%s", line)


def with_declared(loaded: Resources, declared: Declarations, *, strict: bool = False) -> Resources:
    """Return ``loaded`` with what is declared beside it; of one name, what is loaded counts."""
    components = left(declared.components, loaded.components)
    resiliencies = tuple(map(_unplaced, left(declared.resiliencies, loaded.resiliencies)))
    added = Resources(
        components=(*loaded.components, *components),
        resiliencies=(*loaded.resiliencies, *resiliencies),
    )
    problems = tuple(
        each for each in problems_of(added, strict=strict) if each not in loaded.problems
    )
    return replace(
        loaded,
        components=added.components,
        resiliencies=added.resiliencies,
        problems=(*loaded.problems, *problems),
    )


def left(declared: Iterable[R], loaded: Iterable[R]) -> tuple[R, ...]:
    """Return what is declared under no name that is loaded."""
    named = {each.name for each in loaded}
    return tuple(each for each in declared if each.name not in named)


def shadowed(declared: Declarations, loaded: Resources) -> tuple[str, ...]:
    """Return a sentence for each declaration that a file takes the place of."""
    components = {each.name: each for each in loaded.components}
    resiliencies = {each.name: each for each in loaded.resiliencies}
    return (
        *_pairs("component", declared.components, components),
        *_pairs("resiliency", declared.resiliencies, resiliencies),
    )


def beside(
    made: Sequence[ComponentResource], declared: Sequence[ComponentResource]
) -> tuple[ComponentResource, ...]:
    """Return what a run makes by itself, without what is declared in its place.

    That is what has the name of a component that is made, or keeps the state of actors.
    """
    names = {each.name for each in declared}
    keeps = any(_keeps_actors(each) for each in declared)
    return tuple(
        each for each in made if each.name not in names and not (keeps and _keeps_actors(each))
    )


def for_daprd(
    declared: Sequence[ComponentResource],
) -> tuple[tuple[ComponentResource, ...], tuple[str, ...]]:
    """Return the components that a real runtime can have, and a sentence on each other one."""
    kept, lines = [], []
    for each in declared:
        if not each.type.endswith(_BUILT_IN):
            kept.append(each)
        elif each.kind == "pubsub":
            kept.append(msgspec.structs.replace(each, type="pubsub.in-memory"))
            lines.append(
                f"component '{each.name}' ({each.source}) is pubsub.in-memory here, since daprd "
                f"has no {each.type}: a failed event is lost"
            )
        else:
            lines.append(
                f"component '{each.name}' ({each.source}) is left out: daprd has no {each.type}"
            )
    return tuple(kept), tuple(lines)


def _keeps_actors(component: ComponentResource) -> bool:
    return component.kind == "state" and any(
        item.name.lower() == _ACTOR_STORE.lower() and item.value == "true"
        for item in component.metadata
    )


def _pairs(what: str, declared: Iterable[R], loaded: dict[str, R]) -> Iterable[str]:
    for each in declared:
        if each.name in loaded:
            file = loaded[each.name].source
            yield (
                f"{what} '{each.name}' is declared at {each.source} and in {file}; the file's "
                "counts; take one of them out"
            )


def _unplaced(resiliency: ResiliencyResource) -> ResiliencyResource:
    """Return it without its line: one that moves in its file is no other."""
    module = resiliency.source.rpartition(":")[0]
    return msgspec.structs.replace(resiliency, source=module)

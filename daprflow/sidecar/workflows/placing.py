"""Where an app has its workflows: what its resources say of it."""

from typing import TYPE_CHECKING

from daprflow.protocol.resources import GENERATED, TEST_KIT
from daprflow.sidecar.actors.state import actor_store
from daprflow.sidecar.workflows.component_home import ComponentHome, as_store
from daprflow.sidecar.workflows.homes import NOWHERE, Place

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

_OWN = frozenset({GENERATED, TEST_KIT})


def place_of(runtime: "Runtime") -> Place | None:
    """Return where an app has its workflows; None for the engine's own tables.

    That is the state store with ``actorStateStore`` in the files of the user. Where there are files
    and none names such a store there is no place, as with a real runtime. Where there are none the
    run has a store all the same, and the engine does better without it.

    Raises:
        ComponentError: two stores say that they are for actors.
    """
    loaded = actor_store(runtime.components)
    if loaded is None:
        named = any(each.source not in _OWN for each in runtime.resources.components)
        return NOWHERE if named else None
    if loaded.resource.source in _OWN:
        return None
    store = as_store(loaded.instance)
    namespace = runtime.options.namespace
    return ComponentHome(loaded.resource.name, store, runtime.app_id, namespace)

"""Every method of the service, by its name."""

from collections.abc import Mapping

from daprflow.sidecar.grpc_api import (
    bindings,
    configuration,
    conversation,
    invoke,
    locks,
    metadata,
    publish,
    secrets,
    shutdown,
    state,
    subscribe,
    workflows,
)
from daprflow.sidecar.grpc_api.call import Method

METHODS: Mapping[str, Method] = {
    **bindings.METHODS,
    **configuration.METHODS,
    **conversation.METHODS,
    **invoke.METHODS,
    **locks.METHODS,
    **metadata.METHODS,
    **publish.METHODS,
    **secrets.METHODS,
    **shutdown.METHODS,
    **state.METHODS,
    **subscribe.METHODS,
    **workflows.METHODS,
}

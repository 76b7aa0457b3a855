"""Every method of the service, by its name."""

from collections.abc import Mapping

from daprflow.sidecar.grpc_api import (
    actors,
    bindings,
    configuration,
    conversation,
    cryptography,
    invoke,
    jobs,
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
    **actors.METHODS,
    **bindings.METHODS,
    **configuration.METHODS,
    **conversation.METHODS,
    **cryptography.METHODS,
    **invoke.METHODS,
    **jobs.METHODS,
    **locks.METHODS,
    **metadata.METHODS,
    **publish.METHODS,
    **secrets.METHODS,
    **shutdown.METHODS,
    **state.METHODS,
    **subscribe.METHODS,
    **workflows.METHODS,
}

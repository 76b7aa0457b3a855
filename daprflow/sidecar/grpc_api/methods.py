"""Every method of the service, by its name."""

from collections.abc import Mapping

from daprflow.sidecar.grpc_api import state
from daprflow.sidecar.grpc_api.call import Method

SERVICE = "/dapr.proto.runtime.v1.Dapr/"

METHODS: Mapping[str, Method] = {
    **state.METHODS,
}

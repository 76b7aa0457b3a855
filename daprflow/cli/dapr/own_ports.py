"""How ``dapr run`` gives out ports and time, for one app and for several."""

import contextlib
from dataclasses import replace

from daprflow.launcher.options import RunOptions
from daprflow.launcher.ports import promised_port

PATIENCE = 24 * 3600.0
"""Seconds that an app has to open its port: ``dapr run`` waits for ever."""


def own_ports(options: RunOptions, promises: contextlib.ExitStack) -> RunOptions:
    """Give the sidecar ports of its own where none are named.

    The usual ones are left to the runs that ask for them, and may come later.
    """
    sidecar = options.sidecar
    given = (sidecar.app_port, sidecar.dapr_http_port, sidecar.dapr_grpc_port)
    named = {port for port in given if port is not None}
    http = sidecar.dapr_http_port or promises.enter_context(promised_port(named))
    grpc = sidecar.dapr_grpc_port or promises.enter_context(promised_port({*named, http}))
    return replace(options, sidecar=replace(sidecar, dapr_http_port=http, dapr_grpc_port=grpc))

"""Chooses how an app is spoken to, by the options its sidecar was started with."""

from daprflow.sidecar.app.base import App
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.connect import make_channel
from daprflow.sidecar.options import RuntimeOptions


def make_app(options: RuntimeOptions) -> App | None:
    """Return the app to call, None where ``options`` name no port.

    Raises:
        ProtocolNotOffered: the app protocol is none of the embedded sidecar's.
    """
    channel = make_channel(options)
    return None if channel is None else HttpApp(channel)

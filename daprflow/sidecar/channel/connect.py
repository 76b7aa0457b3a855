"""Chooses the app channel for the options a sidecar was started with."""

from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.tls import TlsChannel
from daprflow.sidecar.options import RuntimeOptions


class ProtocolNotOffered(Exception):  # noqa: N818 - named for what is missing
    """The app protocol is not one of the embedded sidecar's."""


def make_channel(options: RuntimeOptions) -> AppChannel | None:
    """Return the channel to the app, None where ``options`` name no port.

    Raises:
        ProtocolNotOffered: the app protocol is neither ``http`` nor ``https``; those of gRPC are
            `daprflow.sidecar.app.connect.make_app`'s.
    """
    if options.app_port is None:
        return None
    if options.app_protocol not in {"http", "https"}:
        raise ProtocolNotOffered(
            f"app protocol '{options.app_protocol}' is not offered by the embedded sidecar; "
            "use 'http', 'https', 'grpc' or 'grpcs', or a real runtime"
        )
    kind = HttpChannel if options.app_protocol == "http" else TlsChannel
    return kind(
        options.app_channel_address,
        options.app_port,
        app_token=options.app_token,
        max_concurrency=options.app_max_concurrency,
        head_limit=options.read_buffer_size,
    )

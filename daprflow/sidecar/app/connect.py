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
    if options.app_port is not None and options.app_protocol in {"grpc", "grpcs"}:
        from daprflow.sidecar.app.grpc import GrpcApp  # noqa: PLC0415 - costs 0.2 s
        from daprflow.sidecar.channel.grpc import GrpcChannel  # noqa: PLC0415 - as above

        return GrpcApp(
            GrpcChannel(
                options.app_channel_address,
                options.app_port,
                tls=options.app_protocol == "grpcs",
                app_token=options.app_token,
                max_concurrency=options.app_max_concurrency,
                message_limit=options.max_body_size,
            )
        )
    channel = make_channel(options)
    return None if channel is None else HttpApp(channel)

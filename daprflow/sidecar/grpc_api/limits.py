"""What the gRPC API allows a connection: sizes, streams, pings, silence."""

from daprflow.sidecar.options import RuntimeOptions

MAX_STREAMS = 100_000
"""Calls at one time on one connection; the real runtime has no limit of its own."""
PENDING = 1_000_000
LONGEST_WAIT = 3600
"""Seconds that a call may wait until it is begun with."""
_METADATA_FACTOR = 1024
"""The real runtime counts its limit on headers in KiB here, of a number that is bytes already."""

Options = tuple[tuple[str, int], ...]


def server_options(options: RuntimeOptions) -> Options:
    """Return the settings of the server; keep-alive as the real runtime's."""
    size = options.max_body_size if options.max_body_size >= 0 else -1
    metadata = options.read_buffer_size * _METADATA_FACTOR
    return (
        ("grpc.max_receive_message_length", size),
        ("grpc.max_send_message_length", size),
        ("grpc.max_metadata_size", metadata),
        ("grpc.absolute_max_metadata_size", metadata),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        # The library drops calls by chance from 1,000 waiting ones on, and each after 30 s; a
        # real runtime has them wait, and a worker whose answer was dropped would not be asked.
        ("grpc.server.max_pending_requests", PENDING),
        ("grpc.server.max_pending_requests_hard_limit", PENDING),
        ("grpc.server_max_unrequested_time_in_server", LONGEST_WAIT),
        ("grpc.http2.min_ping_interval_without_data_ms", 8_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),  # else a silent stream is pinged twice at most
        ("grpc.http2.ping_timeout_ms", 5_000),  # it is what ends a silent peer, after 60 s else
        ("grpc.max_connection_idle_ms", 180_000),
        ("grpc.so_reuseport", 1),  # the launcher holds the port until it is taken here
    )

"""The gRPC API of the embedded sidecar, ``dapr.proto.runtime.v1.Dapr``, on the same blocks as HTTP.

Whatever is in here is imported late: gRPC and its messages take 0.3 s, which no start waits for.
"""

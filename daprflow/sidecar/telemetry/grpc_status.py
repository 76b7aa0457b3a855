"""The names of gRPC's status codes as the real runtime's metrics have them."""

from daprflow.protocol.grpc_codes import Code


def name_of(code: int) -> str:
    """Return the name of a code."""
    if code == Code.OK:
        return "OK"
    if code == Code.CANCELLED:
        return "Canceled"
    try:
        return "".join(word.capitalize() for word in Code(code).name.split("_"))
    except ValueError:
        return f"Code({code})"

"""Writes the page about the calls of a sidecar: ``python -m tests.docs.sidecar_calls_page``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from daprflow.protocol import messages
from daprflow.protocol import workflow_messages as hub
from daprflow.sidecar.grpc_api import task_hub
from daprflow.sidecar.grpc_api.methods import METHODS
from tests.docs.sidecar_calls import INVOCATION, LATER, PATHS, WITH_CLIENT
from tests.docs.sidecar_calls import Path as Route

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sidecar-calls.md"
HEAD = """# Calls of the sidecar

Made from the code by `python -m tests.docs.sidecar_calls_page`. These are all calls that a
runtime of 1.18 takes; the embedded sidecar takes each of them. The last column says what of
`daprflow.Client` does it. What is answered differently on purpose stands under
[differences](differences.md), error codes under [errors](errors.md#codes-of-the-sidecar).
"""
GRPC = """## gRPC: dapr.proto.runtime.v1.Dapr

The client of daprflow calls over HTTP, but for streams, workflows and channels of generated stubs.
"""
HUB = """## gRPC: TaskHubSidecarService

What workers and clients of workflows speak; the workflows of an app and of `Client` use it.
"""


def methods() -> Sequence[str]:
    """Every method of Dapr's service, by the messages that are installed."""
    return _methods(messages.InvokeActorRequest.DESCRIPTOR.file.pool, "dapr.proto.runtime.v1.Dapr")


def hub_methods() -> Sequence[str]:
    """Every method of the task hub."""
    return sorted(task_hub.METHODS)


def _methods(pool: object, name: str) -> Sequence[str]:
    service = pool.FindServiceByName(name)  # type: ignore[attr-defined]  # of protobuf
    return [each.name for each in service.methods]


def declared_hub_methods() -> Sequence[str]:
    """Every method of the task hub, by the messages that are installed."""
    pool = hub.CreateInstanceRequest.DESCRIPTOR.file.pool
    return sorted(_methods(pool, "TaskHubSidecarService"))


def kinds() -> Mapping[str, str]:
    """Which methods are streams, by name."""
    return {name: method.shape.value for name, method in METHODS.items()}


def page() -> str:
    """The text of the page."""
    columns = "| call | what it does | client |\n|---|---|---|"
    parts = [HEAD, "## HTTP\n", columns, *map(_route, (*PATHS, INVOCATION)), ""]
    parts += ["Every other path is an invocation, where a header `dapr-app-id` names the app.\n"]
    parts += [GRPC, "| method | shape | embedded | besides |\n|---|---|---|---|"]
    shapes = kinds()
    for name in methods():
        if name not in LATER:
            parts += [f"| `{name}` | {shapes[name]} | yes | {WITH_CLIENT.get(name, '')} |"]
    parts += ["", f"Not of 1.18, and answered as unknown: {', '.join(f'`{e}`' for e in LATER)}.\n"]
    parts += [HUB, "| method | embedded |\n|---|---|"]
    parts += [f"| `{name}` | yes |" for name in hub_methods()]
    return "\n".join([*parts, ""])


def _route(route: Route) -> str:
    client = f"`{route.client}`" if route.client else ""
    return f"| {route.verbs} `{route.path}` | {route.what} | {client} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

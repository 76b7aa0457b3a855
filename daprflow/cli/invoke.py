"""``daprflow invoke``: a method of the running service."""

import sys
from typing import Annotated
from urllib.parse import quote

import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR, DataDir, HttpPort, call, content_type, find


def invoke(
    app_id: Annotated[str, typer.Argument(help="Id of the app.")],
    method: Annotated[str, typer.Argument(help="Method, such as total.")],
    data: Annotated[str | None, typer.Argument(help="The argument; JSON, else text.")] = None,
    *,
    verb: Annotated[str, typer.Option(help="HTTP verb.")] = "POST",
    dapr_http_port: HttpPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Invoke a method through the sidecar of the service that runs here; print the answer."""
    place = find(dapr_http_port, data_dir, app_id)
    path = f"/v1.0/invoke/{quote(app_id, safe='')}/method/{quote(method, safe='/?=&%')}"
    body = None if data is None else data.encode()
    answer = call(place, verb.upper(), path, body, content_type(data or ""))
    sys.stdout.flush()
    sys.stdout.buffer.write(answer)
    if answer and not answer.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()

"""Pokes at the running service: which sidecar to call, and one HTTP call to it."""

import http.client
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.flags import PORT
from daprflow.cli.voice import printable
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import NAME, DataFolder

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
CALL_SECONDS = 60.0
ERRORS = 400

HttpPort = Annotated[
    int | None,
    typer.Option("--dapr-http-port", help="The sidecar to call; else the one run here.", **PORT),
]
DataDir = Annotated[
    Path,
    typer.Option("--data-dir", help="Data folder of the run to call.", envvar="DAPRFLOW_DATA_DIR"),
]
DEFAULT_DATA_DIR = Path(NAME)


@dataclass(frozen=True, slots=True)
class Place:
    """A sidecar's HTTP API; ``token`` is what it asks for."""

    port: int
    token: str | None


def find(
    http_port: int | None, data_dir: Path, app_id: str | None = None, *, only: bool = False
) -> Place:
    """Return the sidecar to call: the named port, else one of those with the data folder.

    Args:
        http_port: the port, where the user named it.
        data_dir: where ``run.json`` lies.
        app_id: the app whose own sidecar is preferred; else the first.
        only: take no other app's.

    Raises:
        LaunchError: nothing runs there, or not that app.
    """
    token = os.environ.get("DAPR_API_TOKEN")
    if http_port is not None:
        return Place(http_port, token)
    running = DataFolder(data_dir).running()
    if running is None or not running.apps:
        raise LaunchError(
            f"nothing runs in '{data_dir}'; start it with 'daprflow run', "
            "or name a sidecar with --dapr-http-port"
        )
    named = [app for app in running.apps if app.app_id == app_id]
    if only and app_id is not None and not named:
        known = ", ".join(f"'{app.app_id}'" for app in running.apps)
        raise LaunchError(f"app '{app_id}' does not run in '{data_dir}'; there is {known}")
    chosen = (*named, *running.apps)[0]
    return Place(chosen.http_port, chosen.api_token or token)


def content_type(text: str) -> str:
    """Return the type of what was typed: JSON where it is JSON, else text."""
    try:
        json.loads(text)
    except ValueError:
        return TEXT
    return JSON


def call(place: Place, verb: str, path: str, body: bytes | None, kind: str) -> bytes:
    """Call the sidecar and return the body of its answer.

    Raises:
        LaunchError: nobody answers, or the answer is an error; its text is the sidecar's.
    """
    headers = {"content-type": kind} if body is not None else {}
    if place.token:
        headers["dapr-api-token"] = place.token
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=CALL_SECONDS)
    try:
        connection.request(verb, path, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise LaunchError(f"no sidecar answers on port {place.port}: {reason}") from None
    finally:
        connection.close()
    if response.status >= ERRORS:
        raise LaunchError(f"{response.status}: {_message(answer)}", Exit.FAILED)
    return answer


def _message(answer: bytes) -> str:
    text = answer.decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        return printable(text) or "without a text"
    if isinstance(document, dict) and isinstance(document.get("message"), str):
        code = document.get("errorCode")
        return f"{code}: {document['message']}" if code else str(document["message"])
    return printable(text)

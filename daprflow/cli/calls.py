"""Pokes at a running service: which sidecar to call, one HTTP call to it, what its errors mean."""

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import typer

from daprflow.cli.flags import PORT
from daprflow.cli.voice import printable
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import NAME, DataFolder, RunningApp
from daprflow.protocol.fault import decode
from daprflow.protocol.http import HttpRequest, HttpResponse

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
CALL_SECONDS = 60.0
ERRORS = 400
LOOPBACK = "127.0.0.1"
HTTPS_PORT = 443
HTTP_PORT = 80

AWAY = "SIDECAR_AWAY"
SILENT = "SIDECAR_SILENT"
NOTHING = "NOTHING_RUNS"
"""Codes of our own, beside those that a sidecar gives."""

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
    """A sidecar's HTTP API.

    Attributes:
        token: what it asks for.
        host: where it is.
        tls: whether it is called by HTTPS.
        prefix: of its paths, behind a proxy; without a slash at the end.
        named_by: the variable that named it; empty where that was no variable.
        grpc: address of its gRPC API; None where nobody said.
    """

    port: int
    token: str | None
    host: str = LOOPBACK
    tls: bool = False
    prefix: str = ""
    named_by: str = ""
    grpc: str | None = None

    @property
    def where(self) -> str:
        """Its address, for messages."""
        named = f" ({self.named_by})" if self.named_by else ""
        return f"port {self.port}" if self.host == LOOPBACK else f"{self.host}:{self.port}{named}"


class Refused(LaunchError):  # noqa: N818 - named for what happened
    """A sidecar refused a call, or there is none to call.

    Attributes:
        message: the text alone.
        error_code: the sidecar's, such as ``ERR_STATE_GET``, or one of ours; empty for none.
        status: of its answer; 0 where there was none.
    """

    def __init__(
        self, message: str, code: Exit = Exit.FAILED, error_code: str = "", status: int = 0
    ) -> None:
        told = [str(status)] if status else []
        named = [error_code] if status and error_code else []
        super().__init__(": ".join((*told, *named, message)), code)
        self.message = message
        self.error_code = error_code
        self.status = status


def nothing_runs(data_dir: Path, flag: str = "") -> str:
    """Say that nothing runs with a data folder, and what to do.

    Args:
        data_dir: the folder.
        flag: the one that names a sidecar elsewhere; empty where the command has none.
    """
    other = f", or name a sidecar with {flag}" if flag else ""
    return (
        f"nothing runs in '{data_dir}'; start it with 'daprflow run'{other}; "
        "'daprflow list --all' shows what runs elsewhere"
    )


def find(
    http_port: int | None,
    data_dir: Path,
    app_id: str | None = None,
    *,
    only: bool = False,
    alone: bool = False,
) -> Place:
    """Return the sidecar to call.

    That is the named port; else the one that ``DAPR_HTTP_ENDPOINT`` or ``DAPR_HTTP_PORT`` names,
    unless an app or another data folder is asked for; else one of those with the data folder.

    Args:
        http_port: the port, where the user named it.
        data_dir: where ``run.json`` lies.
        app_id: the app whose own sidecar is preferred; else the first.
        only: take no other app's.
        alone: refuse to choose where several apps run and none is named.

    Raises:
        LaunchError: nothing runs there, or not that app.
    """
    running = DataFolder(data_dir).running()
    apps = running.apps if running is not None else ()
    if http_port is not None:
        app = next((app for app in apps if app.http_port == http_port), None)
        return Place(http_port, _token(http_port, apps), grpc=_grpc(app))
    if not (only and app_id is not None) and data_dir == DEFAULT_DATA_DIR:
        place = _from_environment(os.environ, apps)
        if place is not None:
            return place
    if not apps:
        raise Refused(nothing_runs(data_dir, "--dapr-http-port"), Exit.AWAY, NOTHING)
    chosen = _choose(apps, app_id, data_dir, only=only, alone=alone)
    token = chosen.api_token or _token(chosen.http_port, ())
    return Place(chosen.http_port, token, grpc=_grpc(chosen))


def _choose(
    apps: tuple[RunningApp, ...], app_id: str | None, data_dir: Path, *, only: bool, alone: bool
) -> RunningApp:
    known = ", ".join(f"'{name}'" for name in dict.fromkeys(app.app_id for app in apps))
    named = [app for app in apps if app.app_id == app_id]
    if only and app_id is not None and not named:
        text = f"app '{app_id}' does not run in '{data_dir}'; there is {known}"
        raise LaunchError(text, Exit.MISSING)
    if alone and not named and len({app.app_id for app in apps}) > 1:
        raise LaunchError(
            f"several apps run in '{data_dir}'; name one with --app-id: {known}", Exit.USAGE
        )
    return (*named, *apps)[0]


def _from_environment(env: Mapping[str, str], apps: tuple[RunningApp, ...]) -> Place | None:
    """Return the sidecar that the variables of Dapr's SDKs name; None where they name none."""
    name = next((n for n in ("DAPR_HTTP_ENDPOINT", "DAPR_HTTP_PORT") if env.get(n)), "")
    if not name:
        return None
    text = env[name]
    if name == "DAPR_HTTP_PORT":
        text = f"http://{LOOPBACK}:{text}"
    try:
        url = urlsplit(text)
        port = url.port or (HTTPS_PORT if url.scheme == "https" else HTTP_PORT)
        host = url.hostname
    except ValueError:
        url, port, host = SplitResult("", "", "", "", ""), 0, None
    if url.scheme not in {"http", "https"} or not host:
        raise Refused(
            f"{name} is '{env[name]}', which names no sidecar; write for example "
            + ("3500" if name == "DAPR_HTTP_PORT" else "http://127.0.0.1:3500"),
            Exit.USAGE,
        )
    token = _token(port, apps if host in {LOOPBACK, "localhost"} else ())
    grpc_port = env.get("DAPR_GRPC_PORT")
    grpc = env.get("DAPR_GRPC_ENDPOINT") or (f"{LOOPBACK}:{grpc_port}" if grpc_port else None)
    return Place(port, token, host, url.scheme == "https", url.path.rstrip("/"), name, grpc)


def _grpc(app: RunningApp | None) -> str | None:
    return f"{LOOPBACK}:{app.grpc_port}" if app is not None and app.grpc_port else None


def _token(port: int, apps: tuple[RunningApp, ...]) -> str | None:
    """Return what the sidecar on a port asks for, as the run says or the environment."""
    ours = next((app.api_token for app in apps if app.http_port == port), None)
    return ours or os.environ.get("DAPR_API_TOKEN")


def content_type(data: str | bytes) -> str:
    """Return the type of what was given: JSON where it is JSON, else text, else bytes."""
    try:
        json.loads(data)
    except UnicodeDecodeError:
        return BYTES
    except (ValueError, RecursionError):
        return TEXT if isinstance(data, str) or _is_text(data) else BYTES
    return JSON


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def call(place: Place, verb: str, path: str, body: bytes | None, kind: str) -> bytes:
    """Call the sidecar and return the body of its answer.

    Raises:
        Refused: nobody answers, or the answer is an error; its text is the sidecar's.
    """
    headers = (("content-type", kind),) if body is not None else ()
    return send(place, HttpRequest(verb, path, headers, body or b"")).body


def send(place: Place, request: HttpRequest, seconds: float = CALL_SECONDS) -> HttpResponse:
    """Call the sidecar and return its answer.

    Args:
        place: the sidecar.
        request: what is asked.
        seconds: how long each part of it may take.

    Raises:
        Refused: nobody answers, or the answer is an error; its text is the sidecar's.
    """
    response = exchange(place, request, seconds)
    if response.status >= ERRORS:
        raise refusal(response)
    return response


def exchange(place: Place, request: HttpRequest, seconds: float = CALL_SECONDS) -> HttpResponse:
    """Call the sidecar and return its answer, whatever it says.

    Raises:
        Refused: nobody answers.
    """
    headers = dict(request.headers)
    if place.token:
        headers["dapr-api-token"] = place.token
    kind = http.client.HTTPSConnection if place.tls else http.client.HTTPConnection
    connection = kind(place.host, place.port, timeout=seconds)
    try:
        connection.request(
            request.method, place.prefix + request.target, request.body or None, headers
        )
        response = connection.getresponse()
        body = response.read()
    except TimeoutError:
        text = f"the sidecar on {place.where} did not answer within {seconds:g} s"
        raise Refused(text, Exit.AWAY, SILENT) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"no sidecar answers on {place.where}: {reason}"
        raise Refused(text, Exit.AWAY, AWAY) from None
    finally:
        connection.close()
    pairs = tuple((name.lower(), value) for name, value in response.getheaders())
    return HttpResponse(response.status, pairs, body)


def refusal(response: HttpResponse) -> Refused:
    """Return the error for an answer that is one; the exit code tells the kinds apart."""
    from daprflow.client import failures, hints  # noqa: PLC0415 - only where something went wrong
    from daprflow.errors import EtagMismatch, NotFound  # noqa: PLC0415 - see above

    kind = failures.of(response)
    exits = {NotFound: Exit.MISSING, EtagMismatch: Exit.CONFLICT}
    fault = decode(response.status, response.body)
    text = printable(fault.message)
    meant = exits.get(type(kind), Exit.FAILED)
    if fault.code.endswith("_NOT_CONFIGURED") or hints.NO_APP.search(fault.message):
        meant = Exit.MISSING  # there is no component of that kind at all, or no such app
    return Refused(text, meant, fault.code, response.status)

"""``daprflow invoke``: a method of the running service."""

from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from daprflow.cli.calls import content_type
from daprflow.cli.completion import app_ids
from daprflow.cli.poke import Poke, poke
from daprflow.cli.typed import DATA, UNSET, carried, data_of, named
from daprflow.protocol.http import Headers, HttpRequest


class Invoked(msgspec.Struct, frozen=True, rename="camel"):
    """What ``--json`` prints: the answer, as JSON, text or base64."""

    status: int
    content_type: str
    data: msgspec.Raw | msgspec.UnsetType = UNSET
    text: str | msgspec.UnsetType = UNSET
    base64: str | msgspec.UnsetType = UNSET


@poke
def invoke(
    app: Annotated[str, typer.Argument(help="Id of the app.", autocompletion=app_ids)],
    method: Annotated[str, typer.Argument(help="Method, such as total, or a path with a query.")],
    data: Annotated[str | None, typer.Argument(help=f"The argument: {DATA}")] = None,
    *,
    verb: Annotated[str, typer.Option(help="HTTP verb.")] = "POST",
    kind: Annotated[
        str | None, typer.Option("--content-type", help="Content type of the argument.")
    ] = None,
    headers: Annotated[
        list[str] | None, typer.Option("--header", help="name: value, for the app; may repeat.")
    ] = None,
    to: Poke,
) -> None:
    """Invoke a method of an app through the sidecar that runs here; print the answer.

    \b
    daprflow invoke shop total
    daprflow invoke shop 'orders?least=100' --verb GET --json
    daprflow invoke shop quote @order.json --timeout 5
    """  # noqa: D301 - the backspace is for the help's layout
    owner = quote(named(app, "APP"), safe="")
    target = f"/v1.0/invoke/{owner}/method/{quote(method, safe='/?=&%')}"
    body = b"" if data is None else data_of(data)
    sent = _headers(headers)
    if data is not None:
        sent = (("content-type", kind or content_type(body)), *sent)
    request = HttpRequest(verb.upper(), target, sent, body)
    answer = to.ask(to.place(prefer=app), request)
    shown = Invoked(answer.status, answer.header("content-type"), *carried(answer.body))
    to.give(answer.body, shown)


def _headers(items: list[str] | None) -> Headers:
    found = []
    for item in items or ():
        name, colon, value = item.partition(":")
        text = f"{name}{value}"
        if not colon or not name.strip() or not text.isprintable() or not text.isascii():
            raise typer.BadParameter(f"--header '{item}' is not 'name: value'")
        found.append((name.strip().lower(), value.strip()))
    return tuple(found)

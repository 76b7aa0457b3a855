"""``daprflow publish``: an event for the running service."""

from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR, DataDir, HttpPort, call, content_type, find


def publish(
    pubsub: Annotated[str, typer.Argument(help="Name of the pub/sub component.")],
    topic: Annotated[str, typer.Argument(help="Topic.")],
    data: Annotated[str, typer.Argument(help="The event's data; JSON, else sent as text.")],
    *,
    kind: Annotated[
        str | None, typer.Option("--content-type", help="Content type of the data.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="name=value, such as ttlInSeconds=10; may repeat.")
    ] = None,
    app_id: Annotated[
        str | None, typer.Option(help="The app that publishes, where several run; else the first.")
    ] = None,
    dapr_http_port: HttpPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Publish one event through the sidecar of the service that runs here."""
    pairs = []
    for item in metadata or ():
        name, equals, value = item.partition("=")
        if not equals:
            raise typer.BadParameter(f"--metadata '{item}' is not name=value")
        pairs.append((f"metadata.{name}", value))
    path = f"/v1.0/publish/{quote(pubsub, safe='')}/{quote(topic, safe='')}"
    if pairs:
        path += f"?{urlencode(pairs)}"
    place = find(dapr_http_port, data_dir, app_id, only=True)
    call(place, "POST", path, data.encode(), kind or content_type(data))
    typer.echo(f"published to {pubsub}/{topic}")

"""``daprflow publish``: an event for the running service."""

from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import content_type
from daprflow.cli.completion import components, topics
from daprflow.cli.poke import Poke, poke
from daprflow.cli.typed import DATA, Metadata, data_of, named, pairs
from daprflow.protocol import operations


class Published(msgspec.Struct, frozen=True, rename="camel"):
    """What ``--json`` prints."""

    pubsub: str
    topic: str
    content_type: str
    bytes: int


@poke
def publish(
    pubsub: Annotated[
        str,
        typer.Argument(help="Name of the pub/sub component.", autocompletion=components("pubsub")),
    ],
    topic: Annotated[str, typer.Argument(help="Topic.", autocompletion=topics)],
    data: Annotated[str, typer.Argument(help=f"The event's data: {DATA}")],
    *,
    kind: Annotated[
        str | None, typer.Option("--content-type", help="Content type of the data.")
    ] = None,
    metadata: Metadata = None,
    ttl: Annotated[
        str | None, typer.Option(help="How long the event is worth delivering, such as 90s or 2h.")
    ] = None,
    to: Poke,
) -> None:
    """Publish one event through the sidecar of the service that runs here.

    \b
    daprflow publish pubsub orders '{"id": "7"}'
    daprflow publish pubsub orders @order.json --ttl 1h --json
    echo hello | daprflow publish pubsub notes -
    """  # noqa: D301 - the backspace is for the help's layout
    asked = pairs(metadata, ttl)
    named(pubsub, "PUBSUB")
    named(topic, "TOPIC")
    body = data_of(data)
    chosen = kind or content_type(body)
    to.ask(to.place(), operations.publish(pubsub, topic, body, chosen, asked))
    told = Published(pubsub, topic, chosen, len(body))
    to.tell(f"published to {pubsub}/{topic}", told)

"""What a shell completes: ids of apps, names of components, topics, keys and actor types.

A sidecar that runs here is asked, for half a second at most; where none answers, nothing is
completed and nothing is said.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR, Place, find, send
from daprflow.errors import DaprFlowError
from daprflow.launcher import runs
from daprflow.launcher.folder import DataFolder
from daprflow.protocol import operations
from daprflow.protocol.metadata import Metadata
from daprflow.protocol.own import KeysPage, list_state_keys

SECONDS = 0.5
MANY = 100

Complete = Callable[[typer.Context, str], list[str]]


def app_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of the apps with the data folder."""
    return _beginning(incomplete, _ids([_folder(context)]))


def all_app_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of every app of this user."""
    return _beginning(incomplete, _ids([_folder(context), *runs.noted()]))


def components(kind: str) -> Complete:
    """Return what completes the names of components of a building block, such as ``state``."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        loaded = _metadata(context).components
        names = (each.name for each in loaded if each.type.startswith(f"{kind}."))
        return _beginning(incomplete, names)

    return complete


def topics(context: typer.Context, incomplete: str) -> list[str]:
    """Return the topics of the pub/sub component that somebody subscribes to."""
    pubsub = context.params.get("pubsub")
    found = _metadata(context).subscriptions
    return _beginning(incomplete, (each.topic for each in found if each.pubsubname == pubsub))


def actor_types(context: typer.Context, incomplete: str) -> list[str]:
    """Return the types of the actors that the app hosts."""
    return _beginning(incomplete, (each.type for each in _metadata(context).actors))


def keys(context: typer.Context, incomplete: str) -> list[str]:
    """Return keys of the state store, where the embedded sidecar lists them."""
    store = context.params.get("store")
    if not store:
        return []
    try:
        answer = send(_place(context), list_state_keys(store, incomplete, MANY), SECONDS)
        return list(msgspec.json.decode(answer.body, type=KeysPage).keys)
    except (DaprFlowError, msgspec.MsgspecError, ValueError):
        return []


def _ids(folders: Iterable[Path]) -> list[str]:
    records = (DataFolder(folder).running() for folder in folders)
    return [app.app_id for record in records if record is not None for app in record.apps]


def _metadata(context: typer.Context) -> Metadata:
    try:
        answer = send(_place(context), operations.METADATA, SECONDS)
        return msgspec.json.decode(answer.body, type=Metadata)
    except (DaprFlowError, msgspec.MsgspecError):
        return Metadata()


def _place(context: typer.Context) -> Place:
    given = context.params
    return find(given.get("dapr_http_port"), _folder(context), given.get("app_id"))


def _folder(context: typer.Context) -> Path:
    return Path(context.params.get("data_dir") or DEFAULT_DATA_DIR)


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})

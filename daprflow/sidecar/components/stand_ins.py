"""What stands in for component types that only a real runtime has."""

from collections.abc import Container
from dataclasses import dataclass, replace

from daprflow.sidecar.components.base import Component, ComponentContext
from daprflow.sidecar.components.own_files import own_file
from daprflow.sidecar.components.registry import COMPONENTS, Factory, lazily, versions

_FOLDERS = ("aws.s3", "azure.blobstorage", "gcp.bucket", "alicloud.oss", "huawei.obs")


@dataclass(frozen=True, slots=True)
class StandIn:
    """Something that takes a component's place.

    Attributes:
        text: what it is and what that means, for one line after the component's name and type.
    """

    factory: Factory
    text: str


def stand_in_for(type_name: str, version: str = "", wanted: Container[str] = ()) -> StandIn | None:
    """Return what takes the place of a type that the embedded sidecar does not have.

    None where it has the type, or where the type belongs to no building block.

    Args:
        type_name: as a component has it.
        version: as a component has it.
        wanted: types whose place is taken although they are here.
    """
    known = type_name in COMPONENTS and type_name not in wanted
    if known and version in versions(type_name):
        return None
    kind, _, rest = type_name.partition(".")
    if kind == "bindings":
        return _FOLDER if rest in _FOLDERS else _QUEUE
    if kind == "state" and version in {"", "v1"} and known:
        return StandIn(_state, f"{_KEPT_IN_SQLITE}; the tables of v1 are not read")
    return None if known else _OF_KIND.get(kind)


def _state(context: ComponentContext) -> Component:
    """Return a store in a file of its own, which can be searched where the declared type can."""
    from daprflow.sidecar.components import state_querying  # noqa: PLC0415 - few runs need it

    where = ":memory:"
    if context.data_dir is not None:
        where = str(own_file(context.data_dir, "stand-ins", context.name, ".db"))
    own = replace(context, metadata={"connectionstring": where})
    if state_querying.ALIASES.get(context.type, context.type) in state_querying.QUERYING:
        return lazily("state_querying", "QueryingSqliteState")(own)
    return lazily("state_sqlite", "SqliteState")(own)


def _pubsub(context: ComponentContext) -> Component:
    return COMPONENTS["pubsub.daprflow"](replace(context, metadata={}))


def _plain(type_name: str) -> Factory:
    def make(context: ComponentContext) -> Component:
        return COMPONENTS[type_name](replace(context, metadata={}))

    return make


_KEPT_IN_SQLITE = "its place takes a SQLite file in the data folder"
_FOLDER = StandIn(
    lazily("binding_folder", "FolderBinding"), "its place takes a folder in the data folder"
)
_QUEUE = StandIn(
    lazily("binding_queue", "QueueBinding"),
    "its place takes a durable queue: what is created comes back to whoever handles it",
)
_OF_KIND = {
    "configuration": StandIn(
        _plain("configuration.daprflow"),
        "its place takes the built-in store; fill it with 'daprflow config set'",
    ),
    "conversation": StandIn(_plain("conversation.echo"), "its place takes an echo"),
    "crypto": StandIn(
        lazily("crypto_generated", "GeneratedCrypto"),
        "its place take keys of its own, made when first used, in the data folder",
    ),
    "lock": StandIn(_plain("lock.daprflow"), "its place take the built-in locks"),
    "pubsub": StandIn(_pubsub, "its place takes the built-in durable broker"),
    "secretstores": StandIn(
        lazily("secret_json", "JsonSecrets"), "its place takes the file 'secrets.json'"
    ),
    "state": StandIn(_state, _KEPT_IN_SQLITE),
}

"""The base of every component's model: its fields become metadata entries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import msgspec

from daprflow.components.values import Value

INIT_TIMEOUT = timedelta(seconds=5)


class Key(msgspec.Struct, frozen=True):
    """How a field is written: under another name than its own in camel case, in another unit.

    Attributes:
        name: of the metadata entry; empty takes the field's.
        unit: of a duration: ``go`` for Go's form such as ``5s``, else ``s`` or ``ms`` for a number.
    """

    name: str = ""
    unit: str = "go"


@dataclass(frozen=True)
class Model:
    """One component, declared in code.

    Attributes:
        name: the component's name, which handlers and calls use.
    """

    TYPE: ClassVar[str] = ""

    name: str

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together, beyond what each field says by itself."""
        yield from ()

    def lacking(self, reason: str, *fields: str) -> Iterator[str]:
        """Yield one problem when some of ``fields`` are not set."""
        unset = [f"'{each}'" for each in fields if getattr(self, each) in (None, "", ())]
        if unset:
            yield f"{reason} needs {' and '.join(unset)}"


@dataclass(frozen=True, kw_only=True)
class Options(Model):
    """What every component may say beside the fields of its type.

    Attributes:
        metadata: further entries, under their names in Dapr.
        scopes: the app ids it is for; empty means every app.
        version: of the component's type.
        ignore_errors: whether the sidecar starts without it when it cannot be opened.
        init_timeout: how long it may take to open.
    """

    metadata: Mapping[str, Value] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    version: str = "v1"
    ignore_errors: bool = False
    init_timeout: timedelta = INIT_TIMEOUT


@dataclass(frozen=True)
class Component(Options):
    """A component of a type that has no model here: ``Component("x", "state.etcd", metadata=…)``.

    Its metadata are not checked, but for this: an entry whose name says that it is a secret
    (password, token, access key, connection string …) takes no plain text.

    Attributes:
        type: such as ``state.etcd``.

    Example:
        ```python
        app.component(Component("mail", "bindings.smtp", metadata={"host": "mail", "port": 25}))
        ```
    """

    type: str

"""Parameters of an invocation beside its body: where they stand, and how values become text."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from daprflow.handlers.codecs import Codecs


@dataclass(frozen=True, slots=True)
class Query:
    """Marks what stands in the query: ``page: Annotated[int, Query()] = 1``.

    A list takes every value of a repeated key.

    Attributes:
        name: the key, where it is not the parameter's own name.

    Example:
        ```python
        @app.invoke("GET", "/orders")
        async def listed(*, page: Annotated[int, Query()] = 1) -> list[Order]: ...
        ```
    """

    name: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """Marks what stands in a header: ``tenant: Annotated[str, Header("x-tenant")]``.

    Attributes:
        name: the header's name; the parameter's own with dashes, where it is left out.

    Example:
        ```python
        @app.invoke("GET", "/orders")
        async def listed(*, tenant: Annotated[str, Header("x-tenant")]) -> list[Order]: ...
        ```
    """

    name: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """Marks a field of a payload that stands in the path: ``id: Annotated[str, Path()]``.

    A keyword-only parameter needs no mark: it is found by its name.

    Attributes:
        name: the name in the path's template, where it is not the field's own.

    Example:
        ```python
        @app.invoke("GET", "/orders/{id}")
        async def shown(*, id: Annotated[str, Path()]) -> Order: ...
        ```
    """

    name: str = ""


Marker = Query | Header | Path


class Place(StrEnum):
    """Where a parameter stands in a request."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a function, or one field of a payload.

    Attributes:
        name: of the function's parameter or the field.
        key: what it is called in the request.
        type: without its marker; None where nobody says it.
        many: whether it takes every value that is given for it.
        required: whether a request without it is refused.
    """

    name: str
    place: Place
    key: str
    type: Any
    many: bool = False
    required: bool = True

    @property
    def title(self) -> str:
        """How messages call it."""
        noun = "header" if self.place is Place.HEADER else f"{self.place} parameter"
        return f"{noun} '{self.key}'"


def made(name: str, marker: Marker, kind: Any, *, many: bool, required: bool) -> Parameter:
    """Return the parameter that a marker describes."""
    match marker:
        case Path():
            return Parameter(name, Place.PATH, marker.name or name, kind)
        case Header():
            key = (marker.name or name.replace("_", "-")).lower()
            return Parameter(name, Place.HEADER, key, kind, many, required)
        case Query():
            return Parameter(name, Place.QUERY, marker.name or name, kind, many, required)


def texts_of(parameter: Parameter, value: Any, codecs: Codecs) -> tuple[str, ...]:
    """Return the texts that stand for a value in a request; none where it is None.

    Raises:
        TypeError: the value has no such form.
        ValueError: it cannot stand where the parameter does.
    """
    values = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    if value is None:
        values = ()
    elif values is value and not parameter.many:
        raise TypeError(f"{parameter.title} takes one value, not several")
    return tuple(_text(parameter, each, codecs) for each in values)


def _text(parameter: Parameter, value: Any, codecs: Codecs) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    if type(value) is float:
        return repr(value)
    plain = msgspec.to_builtins(value, enc_hook=codecs.encode_other)
    if isinstance(plain, bool):
        plain = "true" if plain else "false"
    if not isinstance(plain, str | int | float):
        raise TypeError(f"{parameter.title} takes text, a number or the like, not this value")
    text = str(plain)
    if parameter.place is Place.HEADER and any(char in text for char in "\r\n\0"):
        raise ValueError(f"{parameter.title} cannot hold a line break")
    return text

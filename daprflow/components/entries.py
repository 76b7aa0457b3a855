"""From a model's fields to metadata entries, each checked against its annotation."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from daprflow.addresses import type_name
from daprflow.components.model import Component, Key, Model, Options
from daprflow.components.values import EnvRef, Plain, SecretRef
from daprflow.protocol.periods import go_duration
from daprflow.protocol.resources import MetadataItem, SecretKeyRef

NAMED_SECRETS = re.compile(
    r"password|passphrase|secret(?!store|name|file)|token|credential|privatekey|private_key"
    r"|accesskey|accountkey|sharedkey|masterkey|encryptionkey|signingkey|apikey|connectionstring|clientkey",
    re.IGNORECASE,
)
"""What the name of a metadata entry has that holds a secret."""
NO_SECRETS = re.compile(
    r"(url|endpoint|file|path|type|audience|ttl|enabled|name|id|header)$", re.IGNORECASE
)
"""How such names end all the same where they hold none, as ``oidcTokenEndpoint``."""
_PLAIN_TEXT = (
    "holds a secret and takes no plain text; refer to one with secret('store', 'name') or "
    "env_ref('VARIABLE'), or write Plain(…) if it may be read by everybody"
)


class Field(msgspec.Struct, frozen=True):
    """A field of a model that becomes a metadata entry.

    Attributes:
        name: of the field.
        key: its entry's name and unit.
        annotation: what it takes, without its `Key`.
        required: whether it has no default.
    """

    name: str
    key: Key
    annotation: Any
    required: bool

    @property
    def secret(self) -> bool:
        """Whether it holds a secret."""
        return Plain in _parts(self.annotation)


def fields_of(model: type[Model]) -> tuple[Field, ...]:
    """Return the fields of a model that become metadata entries, in their order."""
    framing = {each.name for each in dataclasses.fields(Component)}
    return tuple(
        Field(each.name, *_read(each.name, each.type), each.default is MISSING)
        for each in dataclasses.fields(model)
        if each.name not in framing
    )


def entries(model: Options) -> tuple[MetadataItem, ...]:
    """Return the metadata of a component whose fields are sound; what is not set is left out."""
    values = ((each, getattr(model, each.name)) for each in fields_of(type(model)))
    items = [_item(each.key, value) for each, value in values if value is not None]
    items += [_item(Key(name), value) for name, value in model.metadata.items()]
    return tuple(items)


def mistakes(model: Options) -> Iterator[str]:
    """Yield what is wrong with each field by itself."""
    fields = fields_of(type(model))
    for field in fields:
        value = getattr(model, field.name)
        if value is None and not field.required:
            continue
        if field.secret and isinstance(value, str):
            yield f"'{field.name}' {_PLAIN_TEXT}"
        elif not fits(value, field.annotation):
            yield f"'{field.name}' takes {described(field.annotation)}, not {_shown(value)}"
    known = {field.key.name.lower(): field.name for field in fields}
    for name, value in model.metadata.items():
        if own := known.get(name.lower()):
            yield f"'metadata' has '{name}', which is the field '{own}'"
        elif isinstance(value, str) and value and names_secret(name):
            yield f"metadata '{name}' {_PLAIN_TEXT}"
        elif not isinstance(value, str | int | float | SecretRef | EnvRef | Plain):
            yield f"metadata '{name}' takes text, a number, a truth value or a reference"


def names_secret(name: str) -> bool:
    """Tell whether the name of a metadata entry says that it holds a secret."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    return NAMED_SECRETS.search(plain) is not None and NO_SECRETS.search(plain) is None


def fits(value: object, annotation: Any) -> bool:
    """Tell whether a value is what an annotation of a model says."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments and type(value) is type(arguments[0])
    if origin is Sequence or origin is tuple:
        return isinstance(value, list | tuple) and all(fits(each, arguments[0]) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(name, arguments[0]) and fits(each, arguments[1]) for name, each in value.items()
        )
    wider = int | float if annotation is float else annotation
    return isinstance(value, wider) and (annotation is bool or not isinstance(value, bool))


def described(annotation: Any) -> str:
    """Return what an annotation takes, in words."""
    parts = [each for each in _parts(annotation) if each is not NoneType]
    words = [_word(each) for each in parts]
    return " or ".join(dict.fromkeys(words))


def _word(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(repr(each) for each in arguments)
    if origin is Mapping:
        return "a mapping"
    if origin in (Sequence, tuple):
        return f"a list of {type_name(arguments[0])}"
    return type_name(annotation)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return f"a value of type '{type_name(type(value))}'"


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, also of one in another."""
    if get_origin(annotation) not in (Union, UnionType):
        return (annotation,)
    return tuple(part for each in get_args(annotation) for part in _parts(each))


def _read(name: str, hint: Any) -> tuple[Key, Any]:
    key = Key()
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        key = next((each for each in extras if isinstance(each, Key)), key)
    return (key if key.name else Key(_camel(name), key.unit)), hint


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)


def _item(key: Key, value: object) -> MetadataItem:
    match value:
        case SecretRef():
            return MetadataItem(key.name, secret_key_ref=SecretKeyRef(value.name, value.key))
        case EnvRef():
            return MetadataItem(key.name, env_ref=value.variable)
        case Plain():
            return MetadataItem(key.name, value.value)
    return MetadataItem(key.name, _text(value, key.unit))


def _text(value: object, unit: str) -> str:
    """Return a value as a component file has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case timedelta():
            return _duration(value, unit)
        case list() | tuple():
            return ",".join(str(each) for each in value)
        case Mapping():
            return ";".join(f"{app}={_text(topics, unit)}" for app, topics in value.items())
    return str(value)


def _duration(value: timedelta, unit: str) -> str:
    if unit == "go":
        return go_duration(value)
    return str(round(value / timedelta(**{"seconds" if unit == "s" else "milliseconds": 1})))

"""What an invocation gives its handler: parameters from path, query and headers, and the body."""

from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect as types
from starlette.responses import FileResponse, Response, StreamingResponse

from daprflow.addresses import type_name
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.decoding import BodyDecoder, Undecodable
from daprflow.handlers.handler import Delivery, text
from daprflow.handlers.parameters import Parameter, Place
from daprflow.protocol.cloudevents import reason_of

Inputs = Callable[[Delivery], tuple[Any, ...]]
"""Makes the arguments of a call: the parameters' values where there are any, then the payload."""

_TEXTUAL = (
    types.AnyType,
    types.BoolType,
    types.CustomType,
    types.DateTimeType,
    types.DateType,
    types.DecimalType,
    types.EnumType,
    types.FloatType,
    types.IntType,
    types.LiteralType,
    types.NoneType,
    types.StrType,
    types.TimeDeltaType,
    types.TimeType,
    types.UUIDType,
)
_COLLECTIONS = (types.ListType, types.SetType, types.FrozenSetType, types.VarTupleType)


class BadParameter(Undecodable):
    """A parameter is missing or does not fit; the text names it, never its value."""


class ParameterReader:
    """Reads the parameters of one handler, or of one payload's fields, from a request."""

    def __init__(self, parameters: Sequence[Parameter], codecs: Codecs) -> None:
        self._read = [(each, _converter(each, codecs)) for each in parameters]
        self._has_query = any(each.place is Place.QUERY for each in parameters)

    def read(self, delivery: Delivery) -> dict[str, Any]:
        """Return the values by name; what is left out and need not be given is not there.

        Raises:
            BadParameter: one is missing, given twice, or does not fit.
        """
        scope = delivery.scope or {}
        path: Mapping[str, str] = scope.get("path_params") or {}
        query = _query(scope.get("query_string") or b"") if self._has_query else {}
        found: dict[str, Any] = {}
        for parameter, convert in self._read:
            given: Sequence[str] = ()
            match parameter.place:
                case Place.PATH:
                    given = (path[parameter.key],) if parameter.key in path else ()
                case Place.QUERY:
                    given = query.get(parameter.key, ())
                case Place.HEADER:
                    wanted = parameter.key.encode()
                    given = [text(value) for name, value in delivery.raw_headers if name == wanted]
            if given:
                found[parameter.name] = convert(given)
            elif parameter.required:
                raise BadParameter(f"{parameter.title} is missing")
        return found


def arguments(
    parameters: Sequence[Parameter], codecs: Codecs, payload: Callable[[Delivery], Any] | None
) -> Inputs:
    """Return what makes a dict of parameters, where there are any, and the payload, likewise."""
    reader = ParameterReader(parameters, codecs)
    with_values = bool(parameters)

    def make(delivery: Delivery) -> tuple[Any, ...]:
        values = (reader.read(delivery),) if with_values else ()
        return values if payload is None else (*values, payload(delivery))

    return make


def whole_body(body: BodyDecoder) -> Callable[[Delivery], Any]:
    """Return what decodes a request's body."""
    if body.content_type:
        return body.read
    decode = body.decode
    return lambda delivery: decode(delivery.body)


def spread_payload(
    payload: Any, fields: Sequence[Parameter], codecs: Codecs
) -> Callable[[Delivery], Any]:
    """Return what makes a payload of which some fields stand in path, query and headers."""
    reader = ParameterReader(fields, codecs)
    rest = BodyDecoder(dict[str, Any], codecs)
    has_rest = has_body(payload, fields)
    names = {each.name for each in fields}  # the body cannot give what stands elsewhere

    def make(delivery: Delivery) -> Any:
        beside = reader.read(delivery)
        body = rest.decode(delivery.body or b"{}") if has_rest else {}
        body = {name: value for name, value in body.items() if name not in names}
        try:
            return msgspec.convert(
                {**body, **beside}, payload, dec_hook=codecs.decode_other, str_keys=True
            )
        except (ValueError, RecursionError) as error:
            raise Undecodable(reason_of(error)) from None

    return make


def has_body(payload: Any, fields: Sequence[Parameter]) -> bool:
    """Whether something of a payload stands in the body."""
    return not fields or len(types.type_info(payload).fields) > len(fields)  # type: ignore[attr-defined]  # read_fields saw them


def is_response(answer: Any) -> bool:
    """Whether what a handler is annotated to answer is, or may be, a Starlette response."""
    return _may_be(answer, (Response,))


def is_streamed(answer: Any) -> bool:
    """Whether what a handler is annotated to answer is a response without a body at hand."""
    return _may_be(answer, (StreamingResponse, FileResponse))


def _may_be(answer: Any, kinds: tuple[type, ...]) -> bool:
    members = get_args(answer) if get_origin(answer) in (Union, UnionType) else (answer,)
    return any(isinstance(each, type) and issubclass(each, kinds) for each in members)


def untextual(parameter: Parameter, codecs: Codecs) -> str:
    """Return why no text can become a parameter; empty when one can."""
    if parameter.type is bytes:
        return ""
    reason = codecs.undecodable(parameter.type)
    if not reason and not _fits(types.type_info(parameter.type), many=parameter.many):
        reason = "it takes text, numbers, dates, enums and the like, and lists of these"
    if not reason:
        return ""
    return f"takes {parameter.title} as '{type_name(parameter.type)}', which no text fits: {reason}"


def _fits(found: types.Type, *, many: bool) -> bool:
    if isinstance(found, types.UnionType):
        return all(_fits(each, many=many) for each in found.types)
    if isinstance(found, types.Metadata):
        return _fits(found.type, many=many)
    if many and isinstance(found, _COLLECTIONS):
        return _fits(found.item_type, many=False)
    return isinstance(found, _TEXTUAL)


def _converter(parameter: Parameter, codecs: Codecs) -> Callable[[Sequence[str]], Any]:
    kind, title, hook = parameter.type, parameter.title, codecs.decode_other

    def convert(given: Sequence[str]) -> Any:
        if len(given) > 1 and not parameter.many:
            raise BadParameter(f"{title} is given {len(given)} times")
        try:
            "".join(given).encode()
            if kind is str:
                return given[0]
            if kind is bytes:
                return given[0].encode()
            value = list(given) if parameter.many else given[0]
            return msgspec.convert(value, kind, strict=False, dec_hook=hook)
        except UnicodeEncodeError:
            raise BadParameter(f"{title} is not UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise BadParameter(f"{title}: {reason_of(error)}") from None

    return convert


def _query(raw: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found

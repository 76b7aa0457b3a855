"""Where a call of an endpoint goes: verb, path, query and headers, from values given by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from daprflow.addresses import Endpoint
from daprflow.client import payload
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.endpoint import OwnEndpoint
from daprflow.handlers.parameters import Parameter, Place, texts_of
from daprflow.handlers.signature import SignatureError, read_fields
from daprflow.handlers.templates import TemplateError, is_parameter, parse
from daprflow.protocol.http import Headers, HttpRequest
from daprflow.protocol.operations import segment

_LOST = frozenset("/?#%")


@dataclass(frozen=True, slots=True)
class Call:
    """How an endpoint is called, worked out once; it keeps no endpoint alive.

    Attributes:
        title: how messages call the endpoint.
        parts: of the path; ``{name}`` is a parameter.
        named: what the caller gives by name.
        fields: what is taken out of the payload.
        open: whether further names go into the query: of an endpoint that another team answers,
            nobody here knows them.
    """

    title: str
    app_id: str
    verb: str
    is_route: bool
    parts: tuple[str, ...]
    named: Mapping[str, Parameter]
    fields: tuple[Parameter, ...]
    open: bool

    @property
    def is_plain(self) -> bool:
        """Whether a body is all that it takes."""
        return not (self.named or self.fields or self.open)


def call_of(endpoint: Endpoint[Any, Any]) -> Call:
    """Work out how ``endpoint`` is called.

    Raises:
        TypeError: its path or its types cannot be used.
    """
    try:
        template = parse(endpoint.method) if endpoint.is_route else None
        fields = read_fields(endpoint.takes)
    except (TemplateError, SignatureError) as error:
        raise TypeError(f"{endpoint!r} {error}") from None
    names = () if template is None else template.names
    if isinstance(endpoint, OwnEndpoint):
        known = endpoint.parameters
    else:
        inside = {each.key for each in fields if each.place is Place.PATH}
        known = tuple(
            Parameter(name, Place.PATH, name, Any) for name in names if name not in inside
        )
    parts = tuple(endpoint.method.split("/")) if template is None else template.parts
    is_open = endpoint.is_route and not isinstance(endpoint, OwnEndpoint)
    return Call(
        repr(endpoint),
        endpoint.app_id,
        endpoint.verb,
        endpoint.is_route,
        parts,
        {each.name: each for each in known},
        fields,
        is_open,
    )


def request(call: Call, data: Any, given: Mapping[str, Any], codecs: Codecs) -> HttpRequest:
    """Return the request of a call.

    Raises:
        TypeError: a parameter is unknown, missing, or has no form as text.
        ValueError: a value cannot stand where it has to.
    """
    found = [(each, given.get(each.name)) for each in call.named.values()]
    found += [(_further(call, name), given[name]) for name in given if name not in call.named]
    if call.fields:
        data, values = _taken_out(call, data, codecs)
        found += [(each, values.get(each.name)) for each in call.fields]
    path: dict[str, str] = {}
    query: list[str] = []
    headers: list[tuple[str, str]] = []
    for parameter, value in found:
        texts = texts_of(parameter, value, codecs)
        if not texts and parameter.required:
            raise TypeError(f"{call.title} needs {parameter.title}: '{parameter.name}=...'")
        match parameter.place:
            case Place.PATH:
                path[parameter.key] = _path_segment(parameter, texts[0])
            case Place.QUERY:
                query += [
                    f"{quote(parameter.key, safe='')}={quote(text, safe='')}" for text in texts
                ]
            case Place.HEADER:
                headers += [(parameter.key, text) for text in texts]
    sent = payload.Payload(b"", "") if data is None else payload.encode(data, None, codecs)
    if sent.content_type:
        headers.insert(0, ("content-type", sent.content_type))
    return _request(call, path, query, tuple(headers), sent.body)


def _request(
    call: Call, values: Mapping[str, str], query: list[str], headers: Headers, body: bytes
) -> HttpRequest:
    routed = call.is_route
    path = "/".join(
        values[part[1:-1]] if routed and is_parameter(part) else segment(part)
        for part in call.parts
        if part
    )
    target = f"/v1.0/invoke/{segment(call.app_id)}/method/{path}"
    if query:
        target += "?" + "&".join(query)
    return HttpRequest(call.verb, target, headers, body)


def _further(call: Call, name: str) -> Parameter:
    if call.open:
        return Parameter(name, Place.QUERY, name, Any, many=True, required=False)
    known = ", ".join(f"'{each}'" for each in call.named) or "none"
    raise TypeError(f"{call.title} has no parameter '{name}'; it has {known}")


def _taken_out(call: Call, data: Any, codecs: Codecs) -> tuple[Any, Mapping[str, Any]]:
    """Split a payload into its body, None where nothing is left, and what stands elsewhere."""
    plain = msgspec.to_builtins(
        data, builtin_types=(bytes,), str_keys=True, enc_hook=codecs.encode_other
    )
    if not isinstance(plain, dict):
        raise TypeError(
            f"{call.title} has fields beside its body, and this value is none of its type"
        )
    names = {each.name for each in call.fields}
    rest = {name: value for name, value in plain.items() if name not in names}
    return rest or None, plain


def _path_segment(parameter: Parameter, text: str) -> str:
    """Percent-encode a value of the path.

    Raises:
        ValueError: a sidecar decodes and cleans the path (1.18.3 lets the app decode it a second
            time), so that the value would not arrive as it is.
    """
    lost = any(char in _LOST or char < " " or char == "\x7f" for char in text)
    if lost or text in {"", ".", ".."}:
        raise ValueError(
            f"{parameter.title} is empty, '.' or '..', or holds '/', '?', '#', '%' or a control "
            "character, which does not pass a sidecar in a path; take it by query or body"
        )
    return segment(text)

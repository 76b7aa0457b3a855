"""What is wrong with a handler's signature for what it was declared for."""

from dataclasses import dataclass
from typing import Any

from daprflow.addresses import type_name
from daprflow.handlers.agreement import contradicts
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.envelopes import Batch, BindingEvent, ConfigItem
from daprflow.handlers.inputs import has_body, is_response, is_streamed, untextual
from daprflow.handlers.parameters import Parameter, Place
from daprflow.handlers.registration import InvokeOptions, Kind, Options, Registration, TopicOptions
from daprflow.handlers.requests import STREAM_INSTEAD
from daprflow.handlers.signature import MISSING, Calling, Signature, answer_of, verdict_allowed
from daprflow.handlers.templates import Template, TemplateError, parse
from daprflow.protocol.cloudevents import CloudEvent

_WITHOUT_BODY = frozenset({"GET", "HEAD"})


_UNANSWERED = frozenset({Kind.BINDING, Kind.CRON, Kind.JOB, Kind.CONFIGURATION})
"""Kinds of handlers whose return value nobody looks at."""


@dataclass(frozen=True, slots=True)
class Read:
    """A registration with its signature; one that is not ``sound`` is only looked at further.

    Attributes:
        fields: the fields of its payload that stand beside the body of an invocation.
    """

    registration: Registration
    signature: Signature
    sound: bool
    fields: tuple[Parameter, ...] = ()


def signature_problems(read: Read, codecs: Codecs) -> list[str]:
    """Return what is wrong with a handler's payload, answer or way of running."""
    kind, signature = read.registration.kind, read.signature
    problems = [*_payload_problems(read, codecs), *_parameter_problems(read, codecs)]
    if signature.calling in (Calling.GENERATOR, Calling.ASYNC_GENERATOR):
        problems.append("is a generator; return a value instead of yielding")
    elif kind is Kind.TOPIC and not verdict_allowed(signature.returns):
        problems.append(
            f"returns {type_name(signature.returns)}; return None or a Status, "
            "or raise Retry or Drop"
        )
    elif kind in _UNANSWERED and not _returns_nothing(signature.returns):
        problems.append(
            f"returns {type_name(signature.returns)}; the runtime ignores what a binding handler "
            "answers: return None and call the client instead"
        )
    elif kind is Kind.INVOKE:
        problems += _answer_problems(signature, codecs)
    return problems


def _answer_problems(signature: Signature, codecs: Codecs) -> list[str]:
    """Return why what an invoke handler answers cannot be sent."""
    answer = answer_of(signature)
    if is_streamed(answer):
        return [f"returns {type_name(answer)}, which is sent in pieces; {STREAM_INSTEAD}"]
    if is_response(answer):
        return []
    reason = "" if answer is MISSING else codecs.unencodable(answer)
    return [f"returns {type_name(answer)}, which cannot be sent: {reason}"] if reason else []


def _returns_nothing(annotation: Any) -> bool:
    return verdict_allowed(annotation) and "Status" not in str(annotation)


def _parameter_problems(read: Read, codecs: Codecs) -> list[str]:
    """Return what is wrong with the parameters of an invocation, and with those of others."""
    found = (*read.signature.parameters, *read.fields)
    options = read.registration.options
    if not isinstance(options, InvokeOptions):
        return [f"takes {each.title}, which only invoke handlers are given" for each in found]
    problems = [text for each in found if (text := untextual(each, codecs))]
    template = template_of(options)
    names = () if template is None else template.names
    taken = [each.key for each in found if each.place is Place.PATH]
    problems += [
        f"takes path parameter '{key}', which its path does not name"
        for key in taken
        if key not in names
    ]
    problems += [
        f"has '{{{name}}}' in its path and does not take it; write '*, {name}: str'"
        for name in names
        if name not in taken
    ]
    payload = read.signature.payload
    if (
        payload is not None
        and options.verb in _WITHOUT_BODY
        and has_body(payload.type, read.fields)
    ):
        problems.append(
            f"takes '{payload.name}', but a {options.verb} has no body; take parameters by name, "
            "'*, page: Annotated[int, Query()]', or mark every field of the payload's class with "
            "Path, Query or Header"
        )
    return problems


def _payload_problems(read: Read, codecs: Codecs) -> list[str]:
    payload, kind = read.signature.payload, read.registration.kind
    if payload is None:
        return []
    allowed = {
        Kind.TOPIC: (None, CloudEvent, Batch),
        Kind.BINDING: (None, BindingEvent),
        Kind.CRON: (None, BindingEvent),
        Kind.INVOKE: (None,),
        Kind.JOB: (None,),
        Kind.CONFIGURATION: (None, ConfigItem),
    }[kind]
    if payload.envelope not in allowed:
        return [f"takes a {type_name(payload.envelope)}, which {kind} handlers are not given"]
    wanted = payload_type(read)
    if wanted is MISSING:
        return [f"has the payload '{payload.name}' without a type; annotate it"]
    problems = []
    reason = codecs.undecodable(wanted)
    if reason:
        # A class is most often meant to be injected, a composed type is not.
        hint = "; what is injected comes after '*' in the signature"
        problems.append(
            f"takes '{payload.name}: {type_name(wanted)}', which no JSON fits: {reason}"
            f"{hint if isinstance(wanted, type) else ''}"
        )
    options = read.registration.options
    if isinstance(options, TopicOptions) and contradicts(wanted, options.payload):
        problems.append(
            f"takes {type_name(wanted)}, but its topic carries {type_name(options.payload)}"
        )
    return problems


def payload_type(read: Read) -> Any:
    """Return the payload's type: as annotated, else as the topic's handle says."""
    payload, options = read.signature.payload, read.registration.options
    if payload is None:
        return Any
    if payload.type is not MISSING:
        return payload.type
    if isinstance(options, TopicOptions) and options.payload is not None:
        return options.payload
    return Any if payload.envelope is not None else MISSING


def template_of(options: Options) -> Template | None:
    """Return the path of an invoke handler with a verb; None where it cannot be read."""
    if not isinstance(options, InvokeOptions) or not options.verb:
        return None
    try:
        return parse(options.name)
    except TemplateError:  # reported with the options
        return None

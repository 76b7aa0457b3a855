"""What a decorator's own arguments may be; whoever writes no type hints learns it at freeze."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from daprflow.addresses import type_name
from daprflow.handlers.registration import (
    ActivityOptions,
    ActorOptions,
    BindingOptions,
    ConfigurationOptions,
    CronOptions,
    InvokeOptions,
    JobOptions,
    Options,
    ProviderOptions,
    TopicOptions,
    WorkflowOptions,
)
from daprflow.handlers.templates import TemplateError, is_parameter, parse
from daprflow.policies import ConstantFailurePolicy, DropFailurePolicy, encode_policy
from daprflow.protocol import jobs
from daprflow.protocol.schedules import ScheduleError, parse_job_schedule, parse_schedule

_OUR_PREFIX = "dapr/"
_SCOPES = ("app", "call")
_ADDRESS = "a Topic handle, or the names of a pub/sub component and a topic"
_TEXT = "a string"
_SIDECARS_OWN = frozenset({"actors", "configuration", "job"})
_LOWEST = 200
_FIRST_ERROR = 400
_VERB = re.compile("[A-Z]+")
_NOT_INVOKED = frozenset({"CONNECT", "TRACE"})
_SHORTEST = timedelta(milliseconds=1)


def mistyped(options: Options) -> str:
    """Return which argument has a wrong type; empty when nothing has."""
    problem = ""
    match options:
        case TopicOptions():
            problem = _mistyped_topic(options)
        case CronOptions(name=name, schedule=schedule):
            problem = _wrong("name", name, str, _TEXT) or _wrong("schedule", schedule, str, _TEXT)
        case InvokeOptions():
            problem = _mistyped_invoke(options)
        case BindingOptions(name=name):
            problem = _wrong("name", name, str, _TEXT)
        case JobOptions():
            problem = _mistyped_job(options)
        case ConfigurationOptions(store=store, keys=keys):
            problem = _wrong_names(store, keys)
        case ActorOptions():
            problem = _mistyped_actor(options)
        case ActivityOptions() | WorkflowOptions():
            problem = _mistyped_workflow(options)
        case ProviderOptions():
            pass
    return problem


def unusable(options: Options) -> str:
    """Return which argument, of the right type, has a value that cannot be; empty when none."""
    problem = ""
    match options:
        case TopicOptions():
            problem = _topic_problem(options)
        case ProviderOptions(scope=scope):
            known = scope in _SCOPES
            problem = "" if known else f"sets scope={scope!r}; it must be 'app' or 'call'"
        case CronOptions(name=name, schedule=schedule):
            problem = _name_problem(name) or _schedule_problem(schedule)
        case ConfigurationOptions():
            problem = _configuration_problem(options)
        case JobOptions():
            problem = _job_problem(options)
        case InvokeOptions():
            name = options.name
            problem = _name_problem(name) or _taken_problem(name) or _invoke_problem(options)
        case BindingOptions(name=name):
            problem = _name_problem(name)
        case ActorOptions():
            problem = _actor_problem(options)
        case ActivityOptions(name=name) | WorkflowOptions(name=name):
            problem = "" if name else "has an empty name"
    return problem


def _mistyped_actor(options: ActorOptions) -> str:
    checks: tuple[tuple[str, Any, Callable[[Any], bool], str], ...] = (
        ("idle", options.idle, _is(timedelta), "a timedelta"),
        ("drain", options.drain, _is(timedelta), "a timedelta"),
        ("reentrant", options.reentrant, _is(bool), "True or False"),
        ("max_depth", options.max_depth, _is_count, "a number"),
    )
    for name, value, fits, wanted in checks:
        if value is not None and not fits(value):
            return f"sets {name}={value!r}; it must be {wanted}"
    return ""


def _mistyped_workflow(options: ActivityOptions | WorkflowOptions) -> str:
    version = options.version if isinstance(options, WorkflowOptions) else ""
    return _wrong("name", options.name, str, _TEXT) or _wrong("version", version, str, _TEXT)


def _actor_problem(options: ActorOptions) -> str:
    if options.idle is not None and options.idle < _SHORTEST:
        return f"sets idle={options.idle}; it must be at least a millisecond"
    if options.drain is not None and options.drain < timedelta():
        return f"sets drain={options.drain}; it takes 0 or more"
    if options.max_depth is None:
        return ""
    if options.reentrant is False:
        return "sets 'max_depth' without 'reentrant'; a turn has one call then"
    return (
        "" if options.max_depth > 0 else f"sets max_depth={options.max_depth}; it takes 1 or more"
    )


def _mistyped_topic(options: TopicOptions) -> str:
    if not (isinstance(options.pubsub, str) and isinstance(options.topic, str)):
        return f"does not say its topic; write {_ADDRESS}"
    if isinstance(options.payload, str):
        return (
            f"is for a Topic whose payload is the text {options.payload!r}; "
            "give the Topic the type itself, without quotes"
        )
    checks: tuple[tuple[str, Any, Callable[[Any], bool], str], ...] = (
        ("match", options.match, _is(str), "a string, a CEL rule"),
        ("dead_letter", options.dead_letter, _is(str), "a string, a topic's name"),
        ("max_messages", options.max_messages, _is_count, "a number"),
        ("max_wait", options.max_wait, _is(timedelta), "a timedelta"),
        ("raw", options.raw, _is(bool), "True or False"),
        ("metadata", options.metadata, _is_text_map, "a mapping of strings to strings"),
    )
    for name, value, fits, wanted in checks:
        if value is not None and not fits(value):
            return f"sets {name}={value!r}; it must be {wanted}"
    return ""


def _is(wanted: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, wanted)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text_map(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(part, str) for pair in value.items() for part in pair
    )


def _wrong(name: str, value: Any, wanted: type, described: str) -> str:
    if isinstance(value, wanted):
        return ""
    return f"has a {name} of type '{type_name(type(value))}'; it must be {described}"


def _topic_problem(options: TopicOptions) -> str:
    if not options.pubsub or not options.topic:
        return "has an empty pub/sub or topic name"
    if options.max_messages is not None and options.max_messages < 1:
        return f"sets max_messages={options.max_messages}; it must be at least 1"
    if options.max_wait is not None and options.max_wait < _SHORTEST:
        return "sets a 'max_wait' that is not positive, at least a millisecond"
    if options.dead_letter is not None and not options.dead_letter:
        return "has an empty 'dead_letter'; leave it out instead"
    if options.dead_letter == options.topic:
        return f"names its own topic '{options.topic}' as 'dead_letter': events would go in circles"
    return ""


def _mistyped_invoke(options: InvokeOptions) -> str:
    if not options.verb:
        wrong = _wrong("name", options.name, str, _TEXT)
        if wrong:
            return wrong
    if not (isinstance(options.name, str) and isinstance(options.verb, str)):
        return 'does not say how it is invoked; write \'@app.invoke("GET", "/orders/{id}")\''
    if options.status is not None and not _is_count(options.status):
        return f"sets status={options.status!r}; it must be a number"
    return ""


def _taken_problem(name: str) -> str:
    first, _, rest = name.strip("/").partition("/")
    if not rest or first not in _SIDECARS_OWN:
        return ""
    return (
        f"has the path '{name}', below '/{first}', where a sidecar calls handlers of other kinds; "
        "choose another one"
    )


def _invoke_problem(options: InvokeOptions) -> str:
    if options.status is not None and not _LOWEST <= options.status < _FIRST_ERROR:
        return f"sets status={options.status}; a good answer's is from 200 to 399"
    if not options.verb:
        return _braces_problem(options.name)
    if not _VERB.fullmatch(options.verb) or options.verb in _NOT_INVOKED:
        return f"has the verb '{options.verb}'; it must be one a sidecar passes on, such as 'GET'"
    if not options.name.startswith("/"):
        return f"has the path '{options.name}'; it must begin with '/'"
    try:
        parse(options.name)
    except TemplateError as error:
        return str(error)
    return ""


def _mistyped_job(options: JobOptions) -> str:
    if wrong := _wrong("name", options.name, str, _TEXT):
        return wrong
    if options.schedule is not None and (wrong := _wrong("schedule", options.schedule, str, _TEXT)):
        return wrong
    policy = options.failure_policy
    if policy is not None and not isinstance(policy, ConstantFailurePolicy | DropFailurePolicy):
        return (
            f"sets failure_policy={policy!r}; it must be a ConstantFailurePolicy or a "
            "DropFailurePolicy"
        )
    return ""


def _job_problem(options: JobOptions) -> str:
    if problem := jobs.name_problem(options.name):
        return f"has the name '{options.name}', which no job can have: {problem}"
    try:
        encode_policy(options.failure_policy)
    except ValueError as error:
        return f"sets a failure_policy that cannot be: {error}"
    if options.schedule is None:
        return ""
    try:
        parse_job_schedule(options.schedule)
    except ScheduleError as error:
        return f"has the schedule '{options.schedule}', which cannot be read: {error}"
    return ""


def _braces_problem(name: str) -> str:
    if not any(is_parameter(part) for part in name.split("/")):
        return ""
    path = name.strip("/")
    return (
        f"has the name '{name}'; a path with parameters needs a verb: '@app.invoke(\"POST\", "
        f'"/{path}")\''
    )


def _wrong_names(store: Any, keys: tuple[Any, ...]) -> str:
    if isinstance(store, str) and all(isinstance(key, str) for key in keys):
        return ""
    return 'does not name its store and items; write \'@app.configuration("settings", "limits")\''


def _configuration_problem(options: ConfigurationOptions) -> str:
    if not options.store or not all(options.keys):
        return "has an empty name of a configuration store or of an item"
    if "/" in options.store:
        return f"names configuration store '{options.store}'; a component's name has no '/'"
    if options.default is not None and not options.keys:
        return "has a default and names no items; name those that the default is for"
    return ""


def _name_problem(name: str) -> str:
    bare = name.strip("/")
    if not bare or f"{bare}/".startswith(_OUR_PREFIX):
        return f"has the name '{name}', which is empty or below '/dapr'"
    return ""


def _schedule_problem(schedule: str) -> str:
    try:
        parse_schedule(schedule)
    except ScheduleError as error:
        return f"has the schedule '{schedule}', which cannot be read: {error}"
    return ""

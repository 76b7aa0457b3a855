"""The components that handlers name."""

from collections.abc import Iterable, Iterator, Mapping

from daprflow.handlers.registration import (
    BindingOptions,
    ConfigurationOptions,
    Registration,
    TopicOptions,
)


def wanted_by(registrations: Iterable[Registration]) -> Mapping[str, str]:
    """Return the names of components, each with the first handler that has it, in words."""
    found: dict[str, str] = {}
    for registration in registrations:
        for name in _named(registration):
            found.setdefault(name, registration.title)
    return found


def _named(registration: Registration) -> Iterator[str]:
    match registration.options:
        case TopicOptions(pubsub=name) | BindingOptions(name=name):
            yield name
        case ConfigurationOptions(store=name):
            yield name
    once = registration.own.once
    if once is not None:
        yield once if isinstance(once, str) else str(getattr(once, "store", ""))

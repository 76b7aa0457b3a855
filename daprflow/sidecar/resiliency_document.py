"""A Resiliency document: from its YAML to its value, with every mistake named where it stands."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from daprflow.protocol.expressions import ExpressionError, compile_counts
from daprflow.protocol.resiliency import (
    ACTOR_BREAKERS,
    APP_BREAKERS,
    ActorTarget,
    AppTarget,
    BreakerSpec,
    CodeRange,
    ComponentTarget,
    PolicyNames,
    ResiliencyResource,
    RetrySpec,
)
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.resiliency.catalog import BUILT_IN, FEWEST_BUILT_IN, PROTECTED, merge
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_count,
    read_mapping,
    read_name,
    read_scopes,
    read_section,
    read_text,
)
from daprflow.sidecar.resource_yaml import YamlMapping

logger = logging.getLogger(__name__)

T = TypeVar("T")

_HTTP = CodeRange(100, 599)
_GRPC = CodeRange(0, 16)
_code = re.compile(r"[+-]?\d+")
_SCOPES = ("type", "id", "both")
_DEFAULT_RETRY = RetrySpec()
_DEFAULT_BREAKER = BreakerSpec()


class PolicyError(DocumentError):
    """A Resiliency document has mistakes: a line for each.

    As with the real runtime such a document is left out and stops no start.
    """


def read_resiliency(document: YamlMapping) -> ResiliencyResource:
    """Return the policies and targets that ``document`` defines.

    Raises:
        PolicyError: something is wrong; the text names every mistake.
    """
    reader = _Reader()
    resource = reader.resource(document)
    if reader.problems:
        raise PolicyError("\n".join(reader.problems))
    return resource


def unknown_policies(resources: Sequence[ResiliencyResource]) -> Iterator[str]:
    """Find breakers of component targets that no document defines: the real runtime dies of them.

    Any other name without a policy stands for none, there as here, which is said in the log.
    """
    catalog = merge(resources)
    for resource in resources:
        for name, target in resource.components.items():
            for names in (target.inbound, target.outbound):
                breaker = names.circuit_breaker
                if breaker and breaker not in catalog.breakers:
                    yield (
                        f"{resource.source}: target '{name}' of resiliency '{resource.name}' uses "
                        f"circuit breaker '{breaker}', which no document defines; define it, or "
                        "take it out"
                    )
                _tell_unknown(resource, name, "timeout", names.timeout, catalog.timeouts)
                _tell_unknown(resource, name, "retry", names.retry, catalog.retries)
        calls = [(n, t.policies) for n, t in resource.apps.items()]
        calls += [(n, t.policies) for n, t in resource.actors.items()]
        for name, names in calls:
            _tell_unknown(resource, name, "timeout", names.timeout, catalog.timeouts)
            _tell_unknown(resource, name, "retry", names.retry, catalog.retries)
            breakers = catalog.breakers
            _tell_unknown(resource, name, "circuit breaker", names.circuit_breaker, breakers)


class _Reader:
    """Reads one document and collects its mistakes."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def resource(self, document: YamlMapping) -> ResiliencyResource:
        head = self._try(lambda: read_mapping(document, "metadata", _NEEDS_NAME), document)
        spec = self._section(document, "spec")
        policies = self._section(spec, "policies")
        targets = self._section(spec, "targets")
        return ResiliencyResource(
            name=self._try(lambda: read_name(head, "resiliency"), "")
            if head is not document
            else "",
            scopes=self._try(lambda: read_scopes(document), ()),
            timeouts=self._each(policies, "timeouts", self._timeout),
            retries=self._retries(policies),
            circuit_breakers=self._each(policies, "circuitBreakers", _sectioned(self._breaker)),
            apps=self._each(targets, "apps", _sectioned(self._app)),
            actors=self._each(targets, "actors", _sectioned(self._actor)),
            components=self._each(targets, "components", _sectioned(self._component)),
            namespace=self._try(lambda: read_text(head, "namespace"), ""),
            source=document.place("kind"),
        )

    # ---- policies -------------------------------------------------------------------------------

    def _timeout(self, policies: YamlMapping, name: str) -> float:
        return _duration(policies, name, None)

    def _retries(self, policies: YamlMapping) -> dict[str, RetrySpec]:
        found = self._each(policies, "retries", _sectioned(self._retry))
        if found.pop(PROTECTED, None) is not None:
            logger.warning(
                "retry policy '%s' cannot be replaced; the built-in one stays", PROTECTED
            )
        for name, spec in found.items():
            if name in BUILT_IN and spec.max_retries < FEWEST_BUILT_IN:
                logger.warning(
                    "retry policy '%s' is built in and keeps at least %d retries",
                    name,
                    FEWEST_BUILT_IN,
                )
                found[name] = msgspec.structs.replace(spec, max_retries=FEWEST_BUILT_IN)
        return found

    def _retry(self, section: YamlMapping) -> RetrySpec:
        matching = self._section(section, "matching")
        retries = self._try(lambda: read_count(section, "maxRetries"), None)
        return RetrySpec(
            exponential=self._try(lambda: _grows(section), otherwise=False),
            duration=self._seconds(section, "duration", _DEFAULT_RETRY.duration),
            max_interval=self._seconds(section, "maxInterval", _DEFAULT_RETRY.max_interval),
            max_retries=_DEFAULT_RETRY.max_retries if retries is None else retries,
            http_codes=self._try(lambda: _codes(matching, "httpStatusCodes", _HTTP), None),
            grpc_codes=self._try(lambda: _codes(matching, "gRPCStatusCodes", _GRPC), None),
        )

    def _breaker(self, section: YamlMapping) -> BreakerSpec:
        return BreakerSpec(
            max_requests=self._try(lambda: _probes(section), 1),
            interval=self._seconds(section, "interval", _DEFAULT_BREAKER.interval),
            timeout=self._seconds(section, "timeout", _DEFAULT_BREAKER.timeout),
            trip=self._try(lambda: _trip(section), ""),
        )

    def _seconds(self, section: YamlMapping, key: str, default: float) -> float:
        return self._try(lambda: _duration(section, key, default), default)

    # ---- targets --------------------------------------------------------------------------------

    def _app(self, section: YamlMapping) -> AppTarget:
        return AppTarget(_names(section), _cache_size(section, APP_BREAKERS))

    def _actor(self, section: YamlMapping) -> ActorTarget:
        names = _names(section)
        scope = read_text(section, "circuitBreakerScope")
        if names.circuit_breaker and scope not in _SCOPES:
            raise DocumentError(
                f"{section.place('circuitBreakerScope')}: an actor target with a circuit breaker "
                f"needs 'circuitBreakerScope': {', '.join(_SCOPES)}"
            )
        return ActorTarget(names, scope, _cache_size(section, ACTOR_BREAKERS))

    def _component(self, section: YamlMapping) -> ComponentTarget:
        inbound, outbound = read_section(section, "inbound"), read_section(section, "outbound")
        return ComponentTarget(
            inbound=PolicyNames() if inbound is None else _names(inbound),
            outbound=PolicyNames() if outbound is None else _names(outbound),
        )

    # ---- reading on after a mistake -------------------------------------------------------------

    def _try(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except DocumentError as error:
            self.problems.append(str(error))
            return otherwise

    def _section(self, parent: YamlMapping, key: str) -> YamlMapping:
        empty = YamlMapping(parent.file, parent.line)
        return self._try(lambda: read_section(parent, key), None) or empty

    def _each(
        self, parent: YamlMapping, key: str, read: Callable[[YamlMapping, str], T]
    ) -> dict[str, T]:
        found: dict[str, T] = {}
        section = self._section(parent, key)
        for name in section:
            try:
                found[name] = read(section, name)
            except DocumentError as error:
                self.problems.append(str(error))
        return found


_NEEDS_NAME = "the resiliency needs 'metadata' with a 'name'"


def _sectioned(read: Callable[[YamlMapping], T]) -> Callable[[YamlMapping, str], T]:
    """Return what reads the mapping under a name; nothing there is an empty mapping."""

    def read_named(parent: YamlMapping, name: str) -> T:
        return read(read_section(parent, name) or YamlMapping(parent.file, parent.lines[name]))

    return read_named


def _grows(section: YamlMapping) -> bool:
    policy = read_text(section, "policy").lower() or "constant"
    if policy not in {"constant", "exponential"}:
        raise DocumentError(
            f"{section.place('policy')}: policy '{policy}' must be 'constant' or 'exponential'"
        )
    return policy == "exponential"


def _probes(section: YamlMapping) -> int:
    requests = read_count(section, "maxRequests") or _DEFAULT_BREAKER.max_requests
    if requests < 0:
        raise DocumentError(f"{section.place('maxRequests')}: 'maxRequests' must not be negative")
    return requests


def _trip(section: YamlMapping) -> str:
    trip = read_text(section, "trip")
    if trip:
        try:
            compile_counts(trip)
        except ExpressionError as error:
            raise DocumentError(f"{section.place('trip')}: 'trip': {error}") from error
    return trip


def _names(section: YamlMapping) -> PolicyNames:
    return PolicyNames(
        timeout=read_text(section, "timeout"),
        retry=read_text(section, "retry"),
        circuit_breaker=read_text(section, "circuitBreaker"),
    )


def _cache_size(section: YamlMapping, default: int) -> int:
    size = read_count(section, "circuitBreakerCacheSize") or default
    if size < 0:
        place = section.place("circuitBreakerCacheSize")
        raise DocumentError(f"{place}: 'circuitBreakerCacheSize' must be above 0")
    return size


def _duration(section: YamlMapping, key: str, default: float | None) -> float:
    """Return seconds: Go's form, a bare number in quotes is milliseconds."""
    value = section.get(key)
    if default is not None and value in (None, ""):
        return default
    if not isinstance(value, str) or not value:
        raise DocumentError(f"{section.place(key)}: '{key}' must be a text such as \"5s\"")
    if _code.fullmatch(value):
        return int(value) / 1000
    try:
        return parse_duration(value).total_seconds()
    except ScheduleError as error:
        raise DocumentError(f"{section.place(key)}: '{key}': {error}") from error


def _codes(section: YamlMapping, key: str, valid: CodeRange) -> tuple[CodeRange, ...] | None:
    """Return the codes of a list such as ``429,500-599``; None where there is none."""
    value = section.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise DocumentError(f"{section.place(key)}: '{key}' must be a text such as \"429,500-599\"")
    return tuple(_range(part, section, key, valid) for part in value.split(",") if part)


def _range(text: str, section: YamlMapping, key: str, valid: CodeRange) -> CodeRange:
    first, dash, last = text.partition("-")
    if _code.fullmatch(first) and (not dash or _code.fullmatch(last)):
        codes = CodeRange(int(first), int(last) if dash else int(first))
        if codes.first in valid and codes.last in valid and codes.first <= codes.last:
            return codes
    raise DocumentError(
        f"{section.place(key)}: '{text}' in '{key}' is no code from {valid.first} to {valid.last} "
        'and no range of them; write them as "429,500-599", without blanks'
    )


def _tell_unknown(
    resource: ResiliencyResource, target: str, what: str, name: str, known: Mapping[str, object]
) -> None:
    if name and name not in known:
        logger.warning(
            "%s: target '%s' of resiliency '%s' uses %s '%s', which no document defines; there is "
            "none then",
            resource.source,
            target,
            resource.name,
            what,
            name,
        )

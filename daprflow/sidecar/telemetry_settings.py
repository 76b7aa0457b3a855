"""The sections of a Configuration document about traces, metrics and the log of API calls."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from daprflow.protocol.configuration_file import (
    ApiLogging,
    MetricsLabel,
    MetricsRule,
    MetricsSpec,
    OtelSpec,
    TracingSpec,
)
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_entries,
    read_flag,
    read_pairs,
    read_seconds,
    read_section,
    read_text,
    read_texts,
)
from daprflow.sidecar.resource_yaml import YamlMapping

_METRICS: Mapping[str, Any] = {
    "enabled": {},
    "recordErrorCodes": {},
    "latencyDistributionBuckets": {},
    "http": {"increasedCardinality": {}, "pathMatching": {}, "excludeVerbs": {}},
    "rules": {"name": {}, "labels": {"name": {}, "regex": {"*": {}}}},
}
TELEMETRY_FIELDS: Mapping[str, Any] = {
    "tracing": {
        "samplingRate": {},
        "stdout": {},
        "zipkin": {"endpointAddress": {}},
        "otel": {
            "endpointAddress": {},
            "isSecure": {},
            "protocol": {},
            "timeout": {},
            "headers": {"name": {}, "value": {}},
        },
    },
    "metric": _METRICS,
    "metrics": _METRICS,
    "logging": {"apiLogging": {"enabled": {}, "obfuscateURLs": {}, "omitHealthChecks": {}}},
}
"""The fields that are read."""

_GROUP = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read_tracing(whole: YamlMapping) -> TracingSpec:
    """Read ``spec.tracing``.

    Raises:
        DocumentError: a value makes no sense.
    """
    section = read_section(whole, "tracing")
    if section is None:
        return TracingSpec()
    zipkin = read_section(section, "zipkin")
    return TracingSpec(
        sampling_rate=read_text(section, "samplingRate"),
        stdout=read_flag(section, "stdout"),
        zipkin="" if zipkin is None else read_text(zipkin, "endpointAddress"),
        otel=_otel(section),
    )


def _otel(section: YamlMapping) -> OtelSpec:
    otel = read_section(section, "otel")
    if otel is None:
        return OtelSpec()
    protocol = read_text(otel, "protocol")
    if protocol not in {"", "grpc", "http"}:
        raise DocumentError(
            f"{otel.place('protocol')}: 'protocol' must be grpc or http, not '{protocol}'"
        )
    timeout = read_seconds(otel, "timeout", 0.0)
    return OtelSpec(
        endpoint=read_text(otel, "endpointAddress"),
        protocol=protocol,
        is_secure=read_flag(otel, "isSecure", default=True),
        headers=tuple(
            (read_text(entry, "name", required=True).lower(), read_text(entry, "value"))
            for entry in read_entries(otel, "headers")
        ),
        timeout=timeout or None,
    )


def read_metrics(whole: YamlMapping) -> MetricsSpec:
    """Read ``spec.metric`` and ``spec.metrics``; what the latter says counts.

    Raises:
        DocumentError: a value makes no sense.
    """
    spec = MetricsSpec()
    for key in ("metric", "metrics"):
        section = read_section(whole, key)
        if section is not None:
            spec = _metrics(section, spec)
    return spec


def _metrics(section: YamlMapping, before: MetricsSpec) -> MetricsSpec:
    http = read_section(section, "http") or YamlMapping(section.file, section.line)
    return MetricsSpec(
        enabled=read_flag(section, "enabled", default=before.enabled),
        latency_buckets=_buckets(section) or before.latency_buckets,
        increased_cardinality=read_flag(
            http, "increasedCardinality", default=before.increased_cardinality
        ),
        path_matching=read_texts(http, "pathMatching") or before.path_matching,
        exclude_verbs=read_flag(http, "excludeVerbs", default=before.exclude_verbs),
        rules=tuple(map(_rule, read_entries(section, "rules"))) or before.rules,
        record_error_codes=read_flag(
            section, "recordErrorCodes", default=before.record_error_codes
        ),
    )


def _buckets(section: YamlMapping) -> tuple[float, ...]:
    key = "latencyDistributionBuckets"
    try:
        limits = tuple(float(text) for text in read_texts(section, key))
    except ValueError:
        raise DocumentError(f"{section.place(key)}: '{key}' must be a list of numbers") from None
    if any(low >= high for low, high in pairwise(limits)):
        raise DocumentError(f"{section.place(key)}: '{key}' must grow from one to the next")
    return limits


def _rule(entry: YamlMapping) -> MetricsRule:
    labels = tuple(map(_label, read_entries(entry, "labels")))
    return MetricsRule(read_text(entry, "name", required=True), labels)


def _label(entry: YamlMapping) -> MetricsLabel:
    patterns = read_pairs(entry, "regex")
    for pattern in patterns.values():
        try:
            re.compile(pattern)
        except re.error as error:
            raise DocumentError(
                f"{entry.place('regex')}: '{pattern}' is no regular expression: {error}"
            ) from None
    pairs = tuple((_GROUP.sub(_as_group, text), pattern) for text, pattern in patterns.items())
    return MetricsLabel(read_text(entry, "name", required=True), pairs)


def _as_group(found: re.Match[str]) -> str:
    """Return a reference to a group as Python writes it."""
    return rf"\g<{found[1] or found[2]}>"


def read_api_logging(whole: YamlMapping) -> ApiLogging:
    """Read ``spec.logging.apiLogging``.

    Raises:
        DocumentError: a value makes no sense.
    """
    section = read_section(whole, "logging")
    calls = None if section is None else read_section(section, "apiLogging")
    if calls is None:
        return ApiLogging()
    return ApiLogging(
        read_flag(calls, "enabled") if "enabled" in calls else None,
        read_flag(calls, "obfuscateURLs"),
        read_flag(calls, "omitHealthChecks"),
    )

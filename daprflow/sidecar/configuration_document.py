"""Configuration files: from their YAML to one value, strict about what protects something."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from daprflow.protocol.configuration_file import (
    AccessControl,
    AccessOperation,
    AccessPolicy,
    ApiRule,
    ConfigurationResource,
    PipelineHandler,
    SecretScope,
)
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_entries,
    read_flag,
    read_section,
    read_text,
    read_texts,
)
from daprflow.sidecar.resource_yaml import YamlError, YamlMapping, read_document
from daprflow.sidecar.telemetry_settings import (
    TELEMETRY_FIELDS,
    read_api_logging,
    read_metrics,
    read_tracing,
)
from daprflow.sidecar.workflow_settings import WORKFLOW_FIELDS, read_workflow

logger = logging.getLogger(__name__)

MIDDLEWARE = ("bearer", "oauth2clientcredentials", "ratelimit", "routeralias", "routerchecker",
              "uppercase")  # fmt: skip


_Fields = Mapping[str, "_Fields"]
"""The fields that are read, by name, ``*`` those of any other; each with those below it."""


def _fields(*names: str, **below: _Fields) -> _Fields:
    return {**{name: {} for name in names}, **below}


_PIPELINE = _fields(handlers=_fields("name", "type"))
_RULES = _fields("name", "version", "protocol")
_FIELDS = _fields(
    httpPipeline=_PIPELINE,
    appHttpPipeline=_PIPELINE,
    api=_fields(allowed=_RULES, denied=_RULES),
    features=_fields("name", "enabled"),
    secrets=_fields(
        scopes=_fields("storeName", "defaultAccess", "allowedSecrets", "deniedSecrets")
    ),
    accessControl=_fields(
        "defaultAction",
        "trustDomain",
        policies=_fields(
            "appId",
            "namespace",
            "trustDomain",
            "defaultAction",
            operations=_fields("name", "action", "httpVerb"),
        ),
    ),
    components=_fields("deny"),
    mtls=_fields("enabled"),
    workflow=WORKFLOW_FIELDS,
    **TELEMETRY_FIELDS,
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_ACTIONS = frozenset({"allow", "deny"})


def load_configuration(
    files: Sequence[Path], env: Mapping[str, str], before: Mapping[str, Any] | None = None
) -> ConfigurationResource:
    """Read every file; where two say something about one thing, the later one counts.

    Mappings are put together entry by entry, and a later list replaces an earlier one, as in the
    real runtime.

    Args:
        files: what ``--config`` names.
        env: stands in for ``$NAME`` and ``${NAME}`` anywhere in a file, as in the real runtime.
        before: the ``spec`` of one whose place every file takes.

    Raises:
        DocumentError: a file cannot be read, or asks for a protection that does not exist here.
    """
    whole = YamlMapping(Path(), 1)
    for spec in (*_given(before), *(_spec(file, env) for file in files)):
        _tell_unused(spec, _FIELDS)
        _add(whole, spec)
    _check_mtls(whole)
    return ConfigurationResource(
        http_pipeline=_pipeline(whole, "httpPipeline"),
        app_http_pipeline=_pipeline(whole, "appHttpPipeline"),
        api_allowed=_rules(whole, "allowed"),
        api_denied=_rules(whole, "denied"),
        features=tuple(
            (read_text(entry, "name", required=True), read_flag(entry, "enabled"))
            for entry in read_entries(whole, "features")
        ),
        secret_scopes=_secret_scopes(whole),
        access_control=_access_control(whole),
        denied_components=_denied(whole),
        workflow=read_workflow(whole),
        tracing=read_tracing(whole),
        metrics=read_metrics(whole),
        api_logging=read_api_logging(whole),
    )


def _given(before: Mapping[str, Any] | None) -> Iterator[YamlMapping]:
    """Yield what does not come from a file, in the form of one."""
    if before:
        text = msgspec.json.encode({"spec": before}).decode()  # which is YAML, too
        document = read_document(text, Path("the configuration in code"), 1)
        if document is not None and (spec := read_section(document, "spec")) is not None:
            yield spec


def _spec(file: Path, env: Mapping[str, str]) -> YamlMapping:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot read '{file}': {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"{file} is not UTF-8 (byte {error.start})") from None
    filled = _VARIABLE.sub(lambda found: env.get(found[1] or found[2], ""), text)
    try:
        document = read_document(filled, file, 1)
    except YamlError as error:
        raise DocumentError(str(error)) from None
    if document is None or document.get("kind") != "Configuration":
        raise DocumentError(f"'{file}' holds no document of kind Configuration")
    return read_section(document, "spec") or YamlMapping(file, document.line)


def _add(whole: YamlMapping, more: YamlMapping) -> None:
    """Put what a later file says on top."""
    for name, value in more.items():
        if value is None:
            continue
        before = whole.get(name)
        if isinstance(before, YamlMapping) and isinstance(value, YamlMapping):
            _add(before, value)
            continue
        whole[name] = value
        whole.lines[name] = more.lines.get(name, more.line)
        whole.files[name] = more.file


def _check_mtls(spec: YamlMapping) -> None:
    """Refuse the protection that this sidecar cannot give."""
    value = spec.get("mtls")
    if isinstance(value, YamlMapping) and value.get("enabled", True):
        raise DocumentError(
            f"{spec.place('mtls')}: the embedded sidecar has no mTLS; set mtls.enabled to "
            "false, or use a real runtime (--sidecar daprd)"
        )


def _tell_unused(found: object, fields: _Fields, path: str = "") -> None:
    """Say in a line for each field that nothing here looks at it."""
    for entry in found if isinstance(found, list) else [found]:
        if not isinstance(entry, YamlMapping):
            continue
        for name, value in entry.items():
            known = fields.get(name, fields.get("*"))
            if known is not None:
                _tell_unused(value, known, f"{path}{name}.")
            elif value:
                text = "%s: the embedded sidecar does not use '%s'"
                logger.warning(text, entry.place(name), f"{path}{name}")


def _pipeline(spec: YamlMapping, key: str) -> tuple[PipelineHandler, ...]:
    section = read_section(spec, key)
    return () if section is None else tuple(map(_handler, read_entries(section, "handlers")))


def _handler(entry: YamlMapping) -> PipelineHandler:
    kind = read_text(entry, "type", required=True).lower()
    if kind.removeprefix("middleware.http.") not in MIDDLEWARE or kind in MIDDLEWARE:
        raise DocumentError(
            f"{entry.place('type')}: the embedded sidecar has no middleware '{kind}' (after "
            f"'middleware.http.' it has {', '.join(MIDDLEWARE)}), and leaves none out of a "
            "pipeline; take it out of the file, or use a real runtime (--sidecar daprd)"
        )
    return PipelineHandler(read_text(entry, "name", required=True), kind, entry.place("name"))


def _rules(spec: YamlMapping, key: str) -> tuple[ApiRule, ...]:
    section = read_section(spec, "api")
    if section is None:
        return ()
    return tuple(
        ApiRule(
            read_text(entry, "name", required=True),
            read_text(entry, "version"),
            read_text(entry, "protocol").lower(),
        )
        for entry in read_entries(section, key)
    )


def _secret_scopes(spec: YamlMapping) -> tuple[SecretScope, ...]:
    section = read_section(spec, "secrets")
    if section is None:
        return ()
    return tuple(
        SecretScope(
            read_text(entry, "storeName", required=True),
            _action(entry, "defaultAccess") or "allow",
            read_texts(entry, "allowedSecrets"),
            read_texts(entry, "deniedSecrets"),
        )
        for entry in read_entries(section, "scopes")
    )


def _access_control(spec: YamlMapping) -> AccessControl | None:
    section = read_section(spec, "accessControl")
    if section is None:
        return None
    return AccessControl(
        _action(section, "defaultAction"),
        read_text(section, "trustDomain") or "public",
        tuple(map(_policy, read_entries(section, "policies"))),
    )


def _policy(entry: YamlMapping) -> AccessPolicy:
    return AccessPolicy(
        read_text(entry, "appId", required=True),
        read_text(entry, "namespace", required=True),
        read_text(entry, "trustDomain", required=True),
        _action(entry, "defaultAction"),
        tuple(
            AccessOperation(
                read_text(operation, "name", required=True),
                _action(operation, "action"),
                read_texts(operation, "httpVerb"),
            )
            for operation in read_entries(entry, "operations")
        ),
    )


def _action(entry: YamlMapping, key: str) -> str:
    action = read_text(entry, key).lower()
    if action and action not in _ACTIONS:
        raise DocumentError(f"{entry.place(key)}: '{key}' must be allow or deny, not '{action}'")
    return action


def _denied(spec: YamlMapping) -> tuple[str, ...]:
    section = read_section(spec, "components")
    return () if section is None else tuple(t.lower() for t in read_texts(section, "deny"))

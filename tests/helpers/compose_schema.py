"""The part of the Compose specification that our files use, written down to check them offline."""

from typing import Any

_NAME = {"type": "string", "pattern": "^[a-zA-Z0-9._-]+$"}
_TEXTS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_DURATION = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}


def _table(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


_HEALTH = _table(
    test={"type": "array", "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}], "minItems": 2},
    interval=_DURATION,
    timeout=_DURATION,
    start_period=_DURATION,
    retries={"type": "integer", "minimum": 1},
)
_NEED = _table(
    condition={"enum": ["service_started", "service_healthy", "service_completed_successfully"]},
    restart={"type": "boolean"},
)
_SERVICE = _table(
    image={"type": "string"},
    build=_table(context={"type": "string"}, dockerfile={"type": "string"}),
    command=_WORDS,
    entrypoint=_WORDS,
    environment={"type": "object", "additionalProperties": {"type": "string"}},
    ports={"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    extra_hosts=_TEXTS,
    network_mode={"type": "string", "pattern": "^service:[a-zA-Z0-9._-]+$"},
    volumes={"type": "array", "items": {"type": "string", "pattern": "^[^:]+:/[^:]*(:ro)?$"}},
    depends_on={"type": "object", "additionalProperties": _NEED},
    healthcheck=_HEALTH,
    init={"type": "boolean"},
    read_only={"type": "boolean"},
    tmpfs=_TEXTS,
    cap_drop=_TEXTS,
    security_opt=_TEXTS,
    stop_grace_period=_DURATION,
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_table(
        name={"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        services={
            "type": "object",
            "propertyNames": _NAME,
            "additionalProperties": {**_SERVICE, "required": ["image"]},
        },
        volumes={"type": "object", "propertyNames": _NAME, "additionalProperties": _table()},
    ),
    "required": ["name", "services"],
}

"""The flags that start a sidecar, once, for every command that has one.

Names are those of the runtime and of ``dapr run``. Each can also be set through ``DAPRFLOW_…`` in
the environment or in ``daprflow.toml``.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from daprflow.launcher.logs import wants_json
from daprflow.launcher.options import LEVELS, SidecarOptions
from daprflow.launcher.sizes import size_of

PORT = {"min": 1, "max": 65535}


def environment_name(parameter: str) -> str:
    """Return the environment variable that sets a parameter."""
    return "DAPRFLOW_" + parameter.upper()


def flag(parameter: str, text: str, /, **more: Any) -> Any:
    """Describe an option that can be set through the environment as well."""
    name = "--" + parameter.replace("_", "-")
    variable = environment_name(parameter)
    return typer.Option(name, help=text, envvar=variable, show_envvar=False, **more)


def option(kind: Any, parameter: str, text: str, /, **more: Any) -> Any:
    """Return the annotation of such an option."""
    return Annotated[kind, flag(parameter, text, **more)]


def quantity(text: str, name: str = "") -> int:
    """Return the bytes of a Kubernetes quantity such as ``4Mi``; ``-1`` means no limit.

    Args:
        text: what was given.
        name: the parameter, for the message.
    """
    size = size_of(text)
    if size is None:
        flag_name = "--" + name.replace("_", "-")
        raise typer.BadParameter(f"{flag_name} '{text}' is no size; write for example 4Mi or 65536")
    return size


def _stood_in_for(type_name: str) -> None:
    """Refuse what is no type of component, and what is nearly one: it would have no effect."""
    from daprflow.sidecar.components.registry import COMPONENTS  # noqa: PLC0415 - rarely given
    from daprflow.sidecar.components.stand_ins import stand_in_for  # noqa: PLC0415 - rarely given

    near = difflib.get_close_matches(type_name.lower(), COMPONENTS, 1, 0.85)
    meant = f"did you mean '{near[0]}'?" if near else "write for example state.postgresql"
    mistyped = bool(near) and type_name not in COMPONENTS
    if mistyped or stand_in_for(type_name, wanted=(type_name,)) is None:
        raise typer.BadParameter(f"--stand-in '{type_name}' is no type of component; {meant}")


def _truth(text: str) -> str:
    if text.lower() not in {"true", "false"}:
        raise typer.BadParameter(f"'{text}' is neither true nor false")
    return text.lower()


def _level(text: str) -> str:
    if text.lower() not in LEVELS:
        raise typer.BadParameter(f"'{text}' is none of {', '.join(LEVELS)}")
    return text.lower()


SIDECAR_FLAGS: Mapping[str, Any] = {
    "app_id": option(
        str | None, "app_id", "Id of the app; else what the app itself says, or its folder."
    ),
    "app_port": option(int | None, "app_port", "Port the app listens on.", **PORT),
    "app_channel_address": option(str, "app_channel_address", "Address the app listens on."),
    "app_protocol": option(str, "app_protocol", "What the app speaks: http, https, grpc or grpcs."),
    "app_max_concurrency": option(
        int, "app_max_concurrency", "Calls on the app at one time; -1 means no limit."
    ),
    "dapr_http_port": option(
        int | None, "dapr_http_port", "Port of the HTTP API; else 3500 or the next.", **PORT
    ),
    "dapr_grpc_port": option(
        int | None, "dapr_grpc_port", "Port of the gRPC API; else 50001 or the next.", **PORT
    ),
    "metrics_port": option(
        int | None, "metrics_port", "Port of the sidecar's metrics; else 9090 or the next.", **PORT
    ),
    "enable_metrics": option(
        str, "enable_metrics", "Serve the sidecar's metrics: true or false.", callback=_truth
    ),
    "resources_path": option(
        list[Path], "resources_path", "Folder of resource files; may be repeated."
    ),
    "config": option(list[Path], "config", "Dapr configuration file; may be repeated."),
    "log_level": option(str, "log_level", f"One of {', '.join(LEVELS)}.", callback=_level),
    "max_body_size": option(str, "max_body_size", "Largest request body, such as 4Mi."),
    "read_buffer_size": option(str, "read_buffer_size", "Largest header block, such as 4Ki."),
    "placement_host_address": option(
        str | None,
        "placement_host_address",
        "Where a real runtime's placement is; else 127.0.0.1:50005, if it listens there.",
    ),
    "scheduler_host_address": option(
        str | None,
        "scheduler_host_address",
        "Where a real runtime's scheduler is; else 127.0.0.1:50006, if it listens there.",
    ),
    "enable_app_health_check": option(
        bool, "enable_app_health_check", "Probe the app; pause delivery while it is unhealthy."
    ),
    "app_health_check_path": option(str, "app_health_check_path", "Path to probe."),
    "app_health_probe_interval": option(
        int, "app_health_probe_interval", "Seconds between probes.", min=1
    ),
    "app_health_probe_timeout": option(
        int, "app_health_probe_timeout", "Milliseconds a probe may take.", min=1
    ),
    "app_health_threshold": option(
        int, "app_health_threshold", "Failed probes that make the app unhealthy.", min=1
    ),
    "dapr_graceful_shutdown_seconds": option(
        float, "dapr_graceful_shutdown_seconds", "Seconds from Ctrl-C to the end.", min=0
    ),
    "data_dir": option(Path, "data_dir", "Folder for data, locks and logs."),
    "ephemeral": option(bool, "ephemeral", "Keep everything in memory."),
    "strict_components": option(
        bool, "strict_components", "Refuse component types that would be stood in for."
    ),
    "stand_in": option(
        list[str],
        "stand_in",
        "Component type to stand in for though it is here, as state.postgresql; may be repeated.",
    ),
}
_DEFAULTS: Mapping[str, Any] = {
    **{field.name: field.default for field in fields(SidecarOptions)},
    "resources_path": [],
    "config": [],
    "stand_in": [],
    "enable_metrics": "true",
    "max_body_size": "4Mi",
    "read_buffer_size": "4Ki",
    "dapr_graceful_shutdown_seconds": 5.0,
}


def sidecar_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every flag of `SIDECAR_FLAGS`, handed over as keyword ``sidecar``."""
    own = inspect.signature(command).parameters
    flags = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=annotation
        )
        for name, annotation in SIDECAR_FLAGS.items()
    ]

    def with_flags(*arguments: Any, **given: Any) -> None:
        values = {name: given.pop(name) for name in SIDECAR_FLAGS}
        command(*arguments, sidecar=sidecar_options(values), **given)

    others = [parameter for name, parameter in own.items() if name != "sidecar"]
    signature = inspect.Signature([*others, *flags])
    with_flags.__dict__["__signature__"] = signature
    with_flags.__doc__ = command.__doc__
    with_flags.__name__ = command.__name__
    with_flags.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return with_flags


def sidecar_options(values: Mapping[str, Any]) -> SidecarOptions:
    """Check the flags against each other and turn them into options."""
    given = dict(values)
    given["enable_metrics"] = given["enable_metrics"] == "true"
    given["grace"] = given.pop("dapr_graceful_shutdown_seconds")
    for name in ("resources_path", "config", "stand_in"):
        given[name] = tuple(given[name])
    for name in ("max_body_size", "read_buffer_size"):
        given[name] = quantity(given[name], name)
    options = SidecarOptions(**given, log_as_json=wants_json())
    if options.app_health_probe_timeout > options.app_health_probe_interval * 1000:
        raise typer.BadParameter(
            "--app-health-probe-timeout (ms) is longer than --app-health-probe-interval (s)"
        )
    for each in options.stand_in:
        _stood_in_for(each)
    if options.app_id is not None and (not options.app_id or "." in options.app_id):
        raise typer.BadParameter(f"--app-id '{options.app_id}' is empty or contains a dot")
    for folder in options.resources_path:
        if not folder.is_dir():
            raise typer.BadParameter(f"--resources-path '{folder}' is no folder")
    return options

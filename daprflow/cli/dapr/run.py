"""``dapr run``: an app and a sidecar for it, or a sidecar alone."""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from daprflow.cli.dapr.flags import Flag, FlagError, Given, Kind, parse
from daprflow.cli.dapr.own_ports import PATIENCE, own_ports
from daprflow.cli.dapr.speech import DaprVoice, app_line, tell
from daprflow.cli.flags import quantity
from daprflow.cli.run import check_command, id_from
from daprflow.components.declarations import RUN_ENV
from daprflow.launcher.folder import DataFolder
from daprflow.launcher.hub import enter_hub
from daprflow.launcher.launch import Launch, runtime_home
from daprflow.launcher.logs import configure_logging, wants_json
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import (
    LEVELS,
    SECURE,
    RunOptions,
    SidecarChoice,
    SidecarOptions,
)
from daprflow.launcher.supervisor import Ears

LOOPBACK = frozenset({"127.0.0.1", "::1", "[::1]", "localhost"})

FLAGS = (
    Flag("app-id", short="a", help="id of the app; else the working folder's name"),
    Flag("app-port", Kind.NUMBER, "p", "port the app listens on"),
    Flag("app-protocol", short="P", help="http, https, h2c, grpc or grpcs; http"),
    Flag("app-channel-address", help="address the app listens on; 127.0.0.1"),
    Flag("app-max-concurrency", Kind.NUMBER, help="calls on the app at one time"),
    Flag("app-ssl", Kind.SWITCH, help="the app speaks TLS; better: --app-protocol https"),
    Flag("dapr-http-port", Kind.NUMBER, "H", "port of the HTTP API; else a free one"),
    Flag("dapr-grpc-port", Kind.NUMBER, "G", "port of the gRPC API; else a free one"),
    Flag("metrics-port", Kind.NUMBER, "M", "told to the app as DAPR_METRICS_PORT"),
    Flag("resources-path", Kind.LIST, help="folder of resource files; may be repeated"),
    Flag("components-path", short="d", help="the same, as it was called before"),
    Flag("config", short="c", help="Dapr configuration file"),
    Flag("log-level", help=f"{', '.join(LEVELS)} or panic; info"),
    Flag("max-body-size", help="largest request body, such as 4Mi"),
    Flag("read-buffer-size", help="largest header block, such as 4Ki"),
    Flag("dapr-http-max-request-size", Kind.NUMBER, help="the largest body in MiB, as it was"),
    Flag(
        "dapr-http-read-buffer-size", Kind.NUMBER, help="the largest header block in KiB, as it was"
    ),
    Flag("enable-app-health-check", Kind.SWITCH, help="probe the app"),
    Flag("app-health-check-path", help="path to probe; /healthz"),
    Flag("app-health-probe-interval", Kind.NUMBER, help="seconds between probes; 5"),
    Flag("app-health-probe-timeout", Kind.NUMBER, help="milliseconds a probe may take; 500"),
    Flag("app-health-threshold", Kind.NUMBER, help="failures that make it unhealthy; 3"),
    Flag("runtime-path", help="where resources are looked for that are not named; ~"),
    Flag("run-file", short="f", help="several apps from one file: a template, its folder, or -"),
    Flag("kubernetes", Kind.SWITCH, "k", "with --run-file only"),
    Flag("unix-domain-socket", short="u", help="not supported"),
    Flag("dapr-listen-addresses", help="loopback addresses only"),
    Flag("dapr-internal-grpc-port", Kind.NUMBER, "I"),
    Flag("enable-profiling", Kind.SWITCH),
    Flag("profile-port", Kind.NUMBER),
    Flag("enable-api-logging", Kind.SWITCH),
    Flag("placement-host-address"),
    Flag("scheduler-host-address"),
    Flag("log-as-json", Kind.SWITCH),
)


def run(words: Sequence[str], data_dir: Path) -> int:
    """Carry out ``dapr run``; return the exit code.

    Raises:
        LaunchError: something outside stands in the way.
    """
    started = time.monotonic()
    given = parse(words, FLAGS, "run")
    if given.has("run-file"):
        from daprflow.cli.dapr.fleet import run_file  # noqa: PLC0415 - only with several apps

        return run_file(given, data_dir, started)
    refuse_what_is_missing(given)
    env = dict(os.environ)
    options = run_options(given, data_dir, Path.cwd(), env)
    tell(f'Validating config and starting app "{options.sidecar.app_id}"')
    configure_logging(options.sidecar.log_level, as_json=options.sidecar.log_as_json)
    voice = DaprVoice(options.command, env.get("DAPR_API_TOKEN") or None)
    if not options.command:
        tell("WARNING: no application command found.")
    else:
        check_command(options.command)
    with contextlib.ExitStack() as promises:
        options = own_ports(options, promises)
        if not options.command:
            return voice.ended(run_loop(_alone(options, env, voice, started)))
        ears = Ears(
            app_line,
            sidecar_up=voice.sidecar_up,
            app_up=voice.app_up,
            stopping=voice.stopping,
        )
        launch = Launch(options, env, voice, enter=enter_hub, ears=ears)
        return voice.ended(run_loop(launch.run(started)))


async def _alone(
    options: RunOptions, env: Mapping[str, str], voice: DaprVoice, started: float
) -> int:
    from daprflow.launcher.alone import Alone  # noqa: PLC0415 - imports the engine

    alone = Alone(
        options.sidecar,
        options.base,
        env,
        voice,
        enter=enter_hub,
        resource_home=options.resource_home,
        sidecar_up=voice.sidecar_up,
    )
    return await alone.run(started - time.monotonic() + asyncio.get_running_loop().time())


def refuse_what_is_missing(given: Given) -> None:
    """Refuse what would need another kind of sidecar.

    Raises:
        LaunchError: such a flag was given.
    """
    if given.on("kubernetes"):
        raise FlagError("'-k' goes with '--run-file' only")
    if given.has("unix-domain-socket"):
        raise FlagError("there are no Unix domain sockets here; leave '--unix-domain-socket' out")
    addresses = {part.strip() for part in given.text("dapr-listen-addresses").split(",")}
    if addresses - LOOPBACK - {""}:
        raise FlagError(
            "the sidecar listens on 127.0.0.1 only; leave '--dapr-listen-addresses' out"
        )


def run_options(given: Given, data_dir: Path, base: Path, env: Mapping[str, str]) -> RunOptions:
    """Translate the flags of ``dapr run``.

    Raises:
        FlagError: a value cannot be used.
    """
    command = (*given.words, *(given.command or ()))
    sidecar = _sidecar_options(given, data_dir)
    if not sidecar.app_id:
        sidecar = replace(sidecar, app_id=_free_id(base, data_dir))
    options = RunOptions(
        base=base,
        sidecar=sidecar,
        command=command,
        choice=SidecarChoice.EMBEDDED,
        start_timeout=PATIENCE,
        runtime_path=Path(given.text("runtime-path")) if given.has("runtime-path") else None,
        env=env.get("DAPRFLOW_ENV") or RUN_ENV,
    )
    return replace(options, resources_beside=runtime_home(options, env))


def _sidecar_options(given: Given, data_dir: Path) -> SidecarOptions:
    default = SidecarOptions()
    folders = given.many("resources-path") or given.many("components-path")
    for folder in folders:
        if not Path(folder).is_dir():
            raise FlagError(f"--resources-path '{folder}' is no folder")
    level = given.text("log-level", default.log_level).lower().replace("panic", "fatal")
    if level not in LEVELS:
        raise FlagError(f"--log-level '{level}' is none of {', '.join(LEVELS)}")
    protocol = given.text("app-protocol", default.app_protocol).lower()
    if given.on("app-ssl"):
        protocol = SECURE.get(protocol, protocol)
    interval = given.number("app-health-probe-interval") or default.app_health_probe_interval
    timeout = given.number("app-health-probe-timeout") or default.app_health_probe_timeout
    if timeout > interval * 1000:
        raise FlagError(
            "--app-health-probe-timeout (ms) is longer than --app-health-probe-interval (s)"
        )
    return SidecarOptions(
        app_id=given.text("app-id") or None,
        app_port=given.number("app-port"),
        app_channel_address=given.text("app-channel-address") or default.app_channel_address,
        app_protocol=protocol,
        app_max_concurrency=given.number("app-max-concurrency") or default.app_max_concurrency,
        dapr_http_port=given.number("dapr-http-port"),
        dapr_grpc_port=given.number("dapr-grpc-port"),
        metrics_port=given.number("metrics-port"),
        resources_path=tuple(map(Path, folders)),
        config=(Path(given.text("config")),) if given.text("config") else (),
        log_level=level,
        log_as_json=given.on("log-as-json") or wants_json(),
        max_body_size=_size(given, "max-body-size", "dapr-http-max-request-size", 1024 * 1024)
        or default.max_body_size,
        read_buffer_size=_size(given, "read-buffer-size", "dapr-http-read-buffer-size", 1024)
        or default.read_buffer_size,
        enable_app_health_check=given.on("enable-app-health-check"),
        app_health_check_path=given.text("app-health-check-path") or default.app_health_check_path,
        app_health_probe_interval=interval,
        app_health_probe_timeout=timeout,
        app_health_threshold=given.number("app-health-threshold") or default.app_health_threshold,
        data_dir=data_dir,
    )


def _size(given: Given, name: str, old_name: str, unit: int) -> int | None:
    """Return a number of bytes, from a flag or the one that was there before; None for neither."""
    text = given.text(name)
    if not text:
        number = given.number(old_name)
        return None if number is None else number * unit
    try:
        return quantity(text, name.replace("-", "_"))
    except typer.BadParameter as error:
        raise FlagError(error.message) from None


def _free_id(base: Path, data_dir: Path) -> str:
    """Return an id for an app without one: the folder's name, numbered where that one runs."""
    name = id_from(base)
    record = DataFolder(data_dir).running()
    taken = {app.app_id for app in record.apps} if record is not None else set()
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if each not in taken)

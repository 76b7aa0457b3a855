"""From a template to what runs: precedence, paths, ids and ports of each app, checked together."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.fleet_plan import PORT_FIELDS, FleetApp, FleetPlan
from daprflow.launcher.options import LEVELS, PROTOCOLS, SECURE, RunOptions, SidecarOptions
from daprflow.launcher.run_file import Section, Template
from daprflow.launcher.run_file_checks import claimed_twice, notes, wrong_id
from daprflow.launcher.run_file_paths import Paths
from daprflow.launcher.sizes import size_of
from daprflow.launcher.target import ENTRY_FILES, Target, resolve
from daprflow.protocol.run_file import LogDestination, RunFileApp, merged

OWN_FOLDER = ".dapr"
"""In an app's folder: its ``resources``, ``config.yaml`` and ``logs``."""


def plan_fleet(template: Template, options: RunOptions, env: Mapping[str, str]) -> FleetPlan:
    """Settle what each app of a template gets.

    Args:
        template: as it was read.
        options: of the command line; what the template says of an app goes before them.
        env: of this process.

    Raises:
        LaunchError: something cannot be run as it is; every problem at once.
    """
    planner = _Planner(template, options, env)
    apps = [
        app
        for section, entry in zip(template.apps, template.document.apps, strict=True)
        if (app := planner.app(section, entry)) is not None
    ]
    problems = [*planner.problems, *claimed_twice(apps)]
    if problems:
        raise LaunchError("\n".join(problems), Exit.USAGE)
    document = template.document
    return FleetPlan(document.name, template.file, tuple(apps), tuple(notes(template)))


class _Planner:
    """Settles one app after the other, and collects what is wrong."""

    def __init__(self, template: Template, options: RunOptions, env: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._template = template
        self._options = options
        self._env = env
        self._common = Paths(template.common, template.folder, env, self.problems)

    def app(self, section: Section, entry: RunFileApp) -> FleetApp | None:
        """Settle one app; None where something is wrong with it, which was noted."""
        known = len(self.problems)
        folder = self._folder(section, entry)
        if folder is None:
            return None
        target, command = self._what(section, entry, folder)
        app_id = entry.app_id or _name_of(entry, folder)
        if problem := wrong_id(app_id):
            self._problem(section, "appID", problem)
        shared = merged(entry, self._template.document.common)
        sidecar = self._sidecar(section, entry, folder, served=target is not None)
        runtime = self._runtime_path(section, entry, folder)
        if len(self.problems) > known:
            return None
        options = replace(
            self._options,
            base=folder,
            sidecar=replace(sidecar, app_id=app_id),
            target=target,
            command=() if target is not None else command,
            reload=target is not None and (self._options.reload or entry.reload),
            runtime_path=runtime,
            variables=shared.env,
        )
        return FleetApp(
            options,
            section.place(),
            bool(entry.app_id),
            shared.app_log_destination or LogDestination.FILE_AND_CONSOLE,
            shared.daprd_log_destination or LogDestination.FILE,
            entry.replicas or 1,
        )

    def _folder(self, section: Section, entry: RunFileApp) -> Path | None:
        paths = Paths(section, self._template.folder, self._env, self.problems)
        if not entry.app_dir_path:
            if entry.target:
                return self._template.folder
            self._problem(section, "appDirPath", "the app needs 'appDirPath', the folder it is in")
            return None
        return paths.one("appDirPath", entry.app_dir_path, Path.is_dir, "folder")

    def _what(
        self, section: Section, entry: RunFileApp, folder: Path
    ) -> tuple[Target | None, tuple[str, ...]]:
        """Return what is run: a target, a command, or nothing where a port says who is called."""
        text = entry.target
        if not text and not entry.command and _has_app(folder):
            text = "."
        if text:
            return self._target(section, text, folder), entry.command
        if entry.command:
            self._require_program(section, entry, folder)
        elif entry.app_port <= 0:
            self._problem(
                section,
                "appDirPath",
                f"there is nothing to run: no 'target', no 'command', and no "
                f"{' or '.join(ENTRY_FILES)} in '{folder}'",
            )
        if entry.reload:
            self._problem(
                section, "reload", "'reload' needs a 'target': what a command reads is not known"
            )
        return None, entry.command

    def _target(self, section: Section, text: str, folder: Path) -> Target | None:
        try:
            found = resolve(text, folder)
        except LaunchError as error:
            self._problem(section, "target", str(error))
            return None
        module = folder.joinpath(*found.module.split("."))
        if found.file is None and not (module.is_dir() or module.with_suffix(".py").is_file()):
            return self._installed(section, found, folder)
        return found

    def _installed(self, section: Section, target: Target, folder: Path) -> Target | None:
        """Take a module that is not in the app's folder if it is installed."""
        from importlib.util import find_spec  # noqa: PLC0415 - seldom needed

        top = target.module.partition(".")[0]
        if (folder / top).is_dir() or find_spec(top) is None:
            name = target.module
            self._problem(section, "target", f"no module '{name}' in '{folder}', nor installed")
            return None
        return target

    def _require_program(self, section: Section, entry: RunFileApp, folder: Path) -> None:
        program = entry.command[0]
        path = entry.env.get("PATH", self._env.get("PATH"))
        wanted = str(folder / program) if os.sep in program else program
        if not program or shutil.which(wanted, path=path) is None:
            self._problem(
                section,
                "command",
                f"cannot run '{program}': there is no such command for app "
                f"folder '{folder}'; check its spelling and PATH",
            )

    def _sidecar(
        self, section: Section, entry: RunFileApp, folder: Path, *, served: bool
    ) -> SidecarOptions:
        given = self._options.sidecar
        shared = merged(entry, self._template.document.common)
        values: dict[str, object] = {
            "app_channel_address": entry.app_channel_address,
            **{name: _port(getattr(entry, name)) for name in PORT_FIELDS.values()},
            "app_max_concurrency": shared.app_max_concurrency,
            "app_protocol": self._protocol(section, shared, served=served),
            "resources_path": self._resources(section, entry, folder),
            "config": self._configuration(section, entry, folder),
            "log_level": self._level(section, shared),
            "max_body_size": self._size(section, "maxBodySize", shared.max_body_size),
            "read_buffer_size": self._size(section, "readBufferSize", shared.read_buffer_size),
            "enable_app_health_check": shared.enable_app_health_check,
            "app_health_check_path": shared.app_health_check_path,
            "app_health_probe_interval": shared.app_health_probe_interval,
            "app_health_probe_timeout": shared.app_health_probe_timeout,
            "app_health_threshold": shared.app_health_threshold,
        }
        named = {name: value for name, value in values.items() if value}
        addresses = {
            name: value
            for name in ("placement_host_address", "scheduler_host_address")
            if (value := getattr(shared, name)) is not None
        }
        changes = {**named, **addresses}
        found = replace(given, **changes)
        if found.app_health_probe_timeout > found.app_health_probe_interval * 1000:
            text = "appHealthProbeTimeout (ms) is longer than appHealthProbeInterval (s)"
            self._problem(section, "appHealthProbeTimeout", text)
        return found

    # ---- precedence of paths

    def _resources(self, section: Section, entry: RunFileApp, folder: Path) -> tuple[Path, ...]:
        paths = Paths(section, folder, self._env, self.problems)
        if own := paths.folders(entry):
            return own
        beside = folder / OWN_FOLDER / "resources"
        if beside.is_dir():
            return (beside,)
        return self._common.folders(self._template.document.common)

    def _configuration(self, section: Section, entry: RunFileApp, folder: Path) -> tuple[Path, ...]:
        paths = Paths(section, folder, self._env, self.problems)
        if own := paths.configuration(entry):
            return own
        beside = folder / OWN_FOLDER / "config.yaml"
        if beside.is_file():
            return (beside,)
        return self._common.configuration(self._template.document.common)

    def _runtime_path(self, section: Section, entry: RunFileApp, folder: Path) -> Path | None:
        for paths, text in (
            (Paths(section, folder, self._env, self.problems), entry.runtime_path),
            (self._common, self._template.document.common.runtime_path),
        ):
            if text:
                return paths.one("runtimePath", text, Path.is_dir, "folder")
        return self._options.runtime_path

    # ---- values

    def _protocol(self, section: Section, shared: RunFileApp, *, served: bool) -> str:
        protocol = shared.app_protocol.lower()
        if served and (shared.app_ssl or protocol not in {"", "http"}):
            self._problem(
                section, "appProtocol", "a target is served over http: leave appProtocol out"
            )
        if protocol and protocol not in PROTOCOLS:
            known = ", ".join(PROTOCOLS)
            self._problem(section, "appProtocol", f"appProtocol '{protocol}' is none of {known}")
        if shared.app_ssl:
            return SECURE.get(protocol or "http", protocol)
        return protocol

    def _level(self, section: Section, shared: RunFileApp) -> str:
        level = shared.log_level.lower().replace("panic", "fatal")
        if level and level not in LEVELS:
            self._problem(section, "logLevel", f"logLevel '{level}' is none of {', '.join(LEVELS)}")
        return level

    def _size(self, section: Section, field: str, text: str) -> int | None:
        size = size_of(text) if text else None
        if text and size is None:
            self._problem(section, field, f"{field} '{text}' is no size; write for example 4Mi")
        return size

    def _problem(self, section: Section, field: str, text: str) -> None:
        place = section.place(field)
        if field not in section.mapping and field in self._template.common.mapping:
            place = self._template.common.place(field)
        problem = f"{place}: {text}"
        if problem not in self.problems:  # what all share is wrong once
            self.problems.append(problem)


def _has_app(folder: Path) -> bool:
    """Tell whether a folder is a target by itself."""
    return any((folder / name).is_file() for name in ENTRY_FILES)


def _port(number: int) -> int | None:
    """Return a port; zero and -1 stand for any."""
    return number if number > 0 else None


def _name_of(entry: RunFileApp, folder: Path) -> str:
    """Return the id of an app that has none: its folder's name, else its target's."""
    if entry.app_dir_path:
        return folder.name
    text = entry.target.partition(":")[0]
    parts = (
        list(PurePath(text).parts) if os.sep in text or text.endswith(".py") else text.split(".")
    )
    general = {"app", "main", "app.py", "main.py", "", ".", ".."}
    while parts and parts[-1] in general:
        parts.pop()
    return parts[-1].removesuffix(".py") if parts else folder.name

"""Several apps at once: one process with one engine for all, and a supervisor for each app."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from daprflow.launcher.alone import Alone
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.fleet_home import FleetHome
from daprflow.launcher.fleet_member import Member, Place, Speaker
from daprflow.launcher.fleet_plan import FleetApp, FleetPlan
from daprflow.launcher.launch import Among, Launch, choose
from daprflow.launcher.membership import Enter
from daprflow.launcher.options import RunOptions, SidecarChoice
from daprflow.launcher.process import end_orphans
from daprflow.launcher.reservations import reserve
from daprflow.launcher.roll import Entry, Roll
from daprflow.launcher.sidecar_lines import SidecarLines
from daprflow.launcher.sources import Sources
from daprflow.launcher.stopping import Stop
from daprflow.launcher.supervisor import SIGNALLED

UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
"""Has Python print each line at once, though it prints to a pipe and not to a terminal."""


class FleetVoice(Protocol):
    """How a run of several apps speaks to its user."""

    def speaker(self, app: FleetApp, place: Place, /) -> Speaker:
        """Return what speaks for one app."""
        ...

    def roll(self, entries: Sequence[Entry], seconds: float, /) -> None:
        """Print the table of apps: each is healthy or has ended."""
        ...

    def say(self, line: str, /) -> None:
        """Print one line about the run."""
        ...

    def warn(self, line: str, /) -> None:
        """Print one line the user should act upon."""
        ...

    def stopping(self) -> None:
        """Note that a signal ends the run."""
        ...


class Fleet:
    """Carries out a plan of several apps.

    Each app has its own process, ports, environment and resources; all share the data folder and,
    without real runtimes, one engine in this process. They start at the same time, and one that
    ends leaves the others alone.

    Args:
        plan: what to run.
        options: what counts for all of them; those of each app are in the plan.
        env: of this process.
        voice: speaks to the user.
        enter: how apps come to their data folder; None lets this process host it, where it can.
    """

    def __init__(
        self,
        plan: FleetPlan,
        options: RunOptions,
        env: Mapping[str, str],
        voice: FleetVoice,
        *,
        enter: Enter | None = None,
    ) -> None:
        self._plan = plan
        self._options = options
        self._env = env
        self._voice = voice
        self._began = 0.0
        self._code: int = Exit.OK
        self._noted: set[str] = set()
        names = [place.name for _, place in members(plan)]
        self._roll = Roll(names, self._complete)
        sources = Sources()
        self._members = [
            Member(
                app,
                place,
                voice.speaker(app, place),
                self._roll,
                sources=sources,
                note=self._note,
            )
            for app, place in members(plan)
        ]
        self._home = FleetHome(options, self._voice.say, enter)

    async def run(self, started: float) -> int:
        """Run all until they have ended, or a signal ends them; return the exit code.

        That is 0 where all did as they were asked, else the status of the first that failed.

        Args:
            started: when the user pressed return, on `time.monotonic`.

        Raises:
            LaunchError: something outside stands in the way of all of them.
        """
        self._began = started
        for note in self._plan.notes:
            self._voice.say(note)
        choices = self._choices()
        stop = Stop(self._voice.stopping)
        among = Among(stop, self._home.hold, lambda: "")
        try:
            with stop.signals(), self._ports_promised(), self._logs():
                if SidecarChoice.EMBEDDED in choices.values():
                    ids = tuple(app.app_id for app in self._plan.apps if app.app_id)
                    await self._home.open(ids)
                async with asyncio.TaskGroup() as group:
                    for each in self._members:
                        group.create_task(self._one(each, choices[each.app.app_id], among))
                await stop.linger(self._home.linger())
        finally:
            await self._home.close()
            await asyncio.to_thread(end_orphans)
        return self._code

    async def _one(self, member: Member, choice: SidecarChoice, among: Among) -> None:
        """Run one app, and note what it adds to the exit code."""
        problem = ""
        try:
            code = await self._carried_out(member, choice, among)
        except LaunchError as error:
            code, problem = error.code, str(error)
        self._home.absent(member.app.app_id)
        stop = among.stop
        if problem or not stop.asked.is_set():
            member.failed(problem)
        elif code == SIGNALLED + stop.number:
            code = Exit.OK
        self._code = self._code or code

    async def _carried_out(self, member: Member, choice: SidecarChoice, among: Among) -> int:
        """Run one app; return its exit code."""
        variables = UNBUFFERED | dict(member.app.options.variables)
        options = replace(member.app.options, choice=choice, variables=variables)
        enter = self._home.entrance(member.replica, member.logs)
        if member.app.alone:
            sidecar, base, stop = options.sidecar, options.base, among.stop
            alone = Alone(sidecar, base, self._env, member, enter=enter, stop=stop)
            return await alone.run(
                self._began - time.monotonic() + asyncio.get_running_loop().time()
            )
        among = replace(among, parting=member.parting, concerns=member.concerns)
        launch = Launch(options, self._env, member, enter=enter, ears=member.ears(), among=among)
        return await launch.run(self._began)

    # ---- before the start

    def _choices(self) -> dict[str, SidecarChoice]:
        """Return which sidecar each app gets: all the same kind.

        Raises:
            LaunchError: there is no such sidecar, or they differ.
        """
        chosen = {app.app_id: choose(app.options, self._env) for app in self._plan.apps}
        kinds = {each.choice for each in chosen.values()}
        if len(kinds) > 1:
            which = ", ".join(f"'{name}': {each.reason}" for name, each in chosen.items())
            raise LaunchError(
                f"some apps would get a real runtime and some would not ({which}); "
                "decide with --sidecar embedded or --sidecar daprd",
                Exit.USAGE,
            )
        for app in self._plan.apps:
            if app.alone and SidecarChoice.EMBEDDED not in kinds:
                raise LaunchError(
                    f"{app.place}: app '{app.app_id}' has neither target nor command, and a "
                    "sidecar alone takes --sidecar embedded",
                    Exit.USAGE,
                )
            if app.replicas > 1 and SidecarChoice.EMBEDDED not in kinds:
                raise LaunchError(
                    f"{app.place}: replicas take the embedded sidecar: --sidecar embedded",
                    Exit.USAGE,
                )
        return {name: each.choice for name, each in chosen.items()}

    @contextlib.contextmanager
    def _ports_promised(self) -> Iterator[None]:
        """Keep the ports that apps name from those which take any."""
        named = {port for app in self._plan.apps for _, port in app.ports()}
        with contextlib.ExitStack() as promises:
            for port in named:
                promise = reserve(port)
                if promise is not None:
                    promises.enter_context(contextlib.closing(promise))
            yield

    @contextlib.contextmanager
    def _logs(self) -> Iterator[None]:
        """Open the log files; give them the log lines of the engine in this process, too."""
        stamp = time.strftime("%Y%m%d%H%M%S")
        root = logging.getLogger()
        form = next((each.formatter for each in root.handlers if each.formatter), None)
        lines: SidecarLines | None = None
        try:
            for member in self._members:
                member.open_logs(stamp)
            puts = [(member.app.app_id, member.logs.keep) for member in self._members]
            lines = SidecarLines(puts, form or logging.Formatter())
            shown = any(app.sidecar_logs.console for app in self._plan.apps)
            with _quieter(root, quiet=not shown):
                root.addHandler(lines)
                yield
        finally:
            if lines is not None:
                root.removeHandler(lines)
            for member in self._members:
                member.logs.close()

    # ---- what is said

    def _complete(self, entries: Sequence[Entry]) -> None:
        self._voice.roll(entries, time.monotonic() - self._began)

    def _note(self, text: str) -> None:
        """Print a line once, however many apps it is about."""
        if text not in self._noted:
            self._noted.add(text)
            self._voice.warn(text)


def members(plan: FleetPlan) -> list[tuple[FleetApp, Place]]:
    """Return every process of a plan: an app that has replicas is there several times."""
    return [
        (app, Place(name, number))
        for app in plan.apps
        for number, name in enumerate(app.names(), start=1)
    ]


@contextlib.contextmanager
def _quieter(root: logging.Logger, *, quiet: bool) -> Iterator[None]:
    """Let the terminal show warnings only: the files have the rest."""
    before = [(each, each.level) for each in root.handlers]
    for handler, level in before if quiet else ():
        handler.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        for handler, level in before:
            handler.setLevel(level)

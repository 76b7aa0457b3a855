"""What an app's code says of it, told in this process, or each in its own where there are several.

Two apps may have a module of the same name, which one process cannot hold.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from daprflow.errors import AppDefinitionError, DaprFlowError
from daprflow.launcher.child import freeze
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.target import load, resolve
from daprflow.manifests.model import AppFacts

_decoder = msgspec.json.Decoder(AppFacts)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an app is found.

    Attributes:
        target: ``module:app``, a file, or a folder.
        base: the folder that it is looked for in.
        env: environment variables that it is imported with, beside those of this process.
        app_id: what it is called instead of its own id; empty for that one.
    """

    target: str
    base: Path
    env: Mapping[str, str] = field(default_factory=dict)
    app_id: str = ""


def facts_of(
    sources: Sequence[Source], environment: str, *, apart: bool = False
) -> tuple[AppFacts, ...]:
    """Import and freeze every app.

    Args:
        sources: where they are.
        environment: the one that components are declared for; empty for none.
        apart: imports an app in a process of its own even where it is the only one.

    Raises:
        LaunchError: a target is missing, or its module fails.
        AppDefinitionError: an app is wrong.
    """
    if len(sources) == 1 and not sources[0].env and not apart:
        return (_called(_told(sources[0].target, sources[0].base, environment), sources[0]),)
    processes = [_start(source, environment) for source in sources]
    return tuple(
        _finish(process, source) for process, source in zip(processes, sources, strict=True)
    )


def _told(target: str, base: Path, environment: str) -> AppFacts:
    place = resolve(target, base)
    loaded = load(place)
    frozen = freeze(loaded)
    app = loaded.app
    health = app.health.given  # what this machine's environment says is nothing to a cluster
    attribute = f":{place.attribute}" if place.attribute else ""
    return AppFacts(
        app_id=frozen.app_id,
        target=target,
        module=f"{place.module}{attribute}",
        root=str(place.root.resolve()),
        folder=frozen.folder,
        handlers=frozen.handlers,
        subscriptions=tuple(plan.subscription for plan in app.topics()),
        crons=frozen.crons,
        actors=tuple(sorted(host.plan.kind for host in app.actor_hosts())),
        works=app.has_work,
        features=frozen.features,
        max_body_size=app.max_body_size,
        drain=0.0 if health is None else health.drain,
        declarations=app.declared(environment or None),
    )


def _start(source: Source, environment: str) -> "tuple[subprocess.Popen[bytes], int]":
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "daprflow.manifests.facts"]
    try:
        process = subprocess.Popen(  # noqa: S603 - this very program
            [*command, source.target, str(source.base), environment, str(writer)],
            cwd=source.base,
            env={**os.environ, **source.env},
            pass_fds=(writer,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(writer)
    return process, reader


def _finish(started: "tuple[subprocess.Popen[bytes], int]", source: Source) -> AppFacts:
    process, reader = started
    with os.fdopen(reader, "rb") as pipe:
        line = pipe.read()
    _, said = process.communicate()
    if process.returncode != 0 or not line:
        problem = said.decode(errors="replace").strip() or "it ended and said nothing"
        raise LaunchError(f"target '{source.target}': {problem}", Exit.FAILED)
    return _called(_decoder.decode(line), source)


def _called(facts: AppFacts, source: Source) -> AppFacts:
    return msgspec.structs.replace(facts, app_id=source.app_id or facts.app_id)


def main(arguments: Sequence[str]) -> int:
    """Tell of one app through a pipe: ``TARGET BASE ENVIRONMENT DESCRIPTOR``."""
    target, base, environment, descriptor = arguments
    try:
        facts = _told(target, Path(base), environment)
    except DaprFlowError as error:
        problems = error.problems if isinstance(error, AppDefinitionError) else (str(error),)
        sys.stderr.write("\n".join(problems))
        return Exit.FAILED
    with os.fdopen(int(descriptor), "wb") as pipe:
        pipe.write(msgspec.json.encode(facts))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

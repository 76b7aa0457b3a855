"""Workflow instances as the commands show them: lines for people, JSON for programs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from daprflow.cli.voice import printable
from daprflow.client.workflow_runs import ENDED
from daprflow.protocol.history import Failure
from daprflow.protocol.workflow_actions import Instance

SECOND = 1_000_000_000
MINUTE = 60.0
ALMOST_ONE = 0.9995
"""Seconds below which there are less than 1000 milliseconds."""
HEADS = ("ID", "STATE", "STARTED", "WORKFLOW", "STATUS OR FAILURE")
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (MINUTE, "m"), (1.0, "s"))


class InstanceView(msgspec.Struct, frozen=True):
    """An instance in JSON; times are RFC 3339, and None where there is none.

    Attributes:
        input: as JSON.
        output: as JSON; None where there is none, or none yet.
    """

    id: str
    name: str
    version: str
    state: str
    custom_status: str | None
    input: msgspec.Raw | None
    output: msgspec.Raw | None
    failure: Failure | None
    created: str | None
    updated: str | None
    ended: str | None
    parent: str | None


def view(instance: Instance) -> InstanceView:
    """Return an instance as its JSON has it."""
    return InstanceView(
        id=instance.id,
        name=instance.name,
        version=instance.version,
        state=instance.status.name,
        custom_status=instance.custom_status,
        input=raw(instance.input),
        output=raw(instance.output),
        failure=instance.failure,
        created=rfc3339(instance.created),
        updated=rfc3339(instance.updated),
        ended=rfc3339(ended_at(instance)),
        parent=instance.parent or None,
    )


def raw(text: str | None) -> msgspec.Raw | None:
    """Return JSON text as it stands; what another SDK left that is no JSON, as a string."""
    if not text:
        return None
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return msgspec.Raw(msgspec.json.encode(text))
    return msgspec.Raw(text.encode())


def ended_at(instance: Instance) -> int:
    """Return when an instance ended, in nanoseconds; 0 where it has not."""
    if instance.status not in ENDED:
        return 0
    return instance.completed or instance.updated


def local(at: int) -> str:
    """Return a time, in nanoseconds, on the clock of this machine."""
    moment = datetime.fromtimestamp(at / SECOND, UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def length(seconds: float) -> str:
    """Return a length of time in its largest units, such as ``2h 5m``, ``1.5 s`` or ``12 ms``."""
    if seconds < ALMOST_ONE:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    left = float(round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count:.0f}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0"))


def details(instance: Instance, waits: Sequence[str], now: float) -> Iterator[str]:
    """Return the lines about one instance.

    Args:
        instance: what is shown.
        waits: what it waits for.
        now: the time, in seconds since 1970.
    """
    version = f" (version {instance.version})" if instance.version else ""
    facts = [
        ("workflow", f"{instance.name or '(begins later)'}{version}"),
        ("id", instance.id),
        ("state", instance.status.name),
        ("status", instance.custom_status or ""),
        ("parent", instance.parent),
        ("created", _ago(instance.created, now)),
        ("updated", _ago(instance.updated, now) if not ended_at(instance) else ""),
        ("ended", _ended(instance)),
        ("input", instance.input or ""),
        ("output", instance.output or ""),
    ]
    for name, text in facts:
        if text:
            yield f"{name:<10}{_below(text)}"
    for index, each in enumerate(waits):
        yield f"{'' if index else 'waits for':<10}{printable(each)}"
    if instance.failure is not None:
        yield from _failed(instance.failure)


def row(instance: Instance, widths: Sequence[int]) -> str:
    """Return the line of one instance in a list whose first columns are so wide."""
    began = local(instance.created) if instance.created else "-"
    name = f"{instance.name or '-'}{f' ({instance.version})' if instance.version else ''}"
    said = instance.custom_status or (instance.failure and failure_line(instance.failure)) or ""
    return columns((instance.id, instance.status.name, began, name, said), widths)


def columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return cells beside each other; the last one is as wide as it is."""
    padded = (
        f"{' '.join(cell.split()):<{width}}" for cell, width in zip(cells, widths, strict=False)
    )
    return printable("  ".join((*padded, *cells[len(widths) :])).rstrip()).replace("\n", " ")


def failure_line(failure: Failure) -> str:
    """Return a failure on one line."""
    return " ".join(_whole(failure).split())


def _failed(failure: Failure) -> Iterator[str]:
    yield f"{'failure':<10}{_below(_whole(failure))}"
    cause = failure.cause
    while cause is not None:
        yield f"{'':<10}because of {_below(_whole(cause))}"
        cause = cause.cause
    stack = _deepest(failure).stack.rstrip()
    if stack:
        yield "stack"
        yield from (f"  {printable(line)}" for line in stack.splitlines())


def _deepest(failure: Failure) -> Failure:
    """Return the innermost cause that has a stack."""
    found, cause = failure, failure.cause
    while cause is not None:
        found = cause if cause.stack else found
        cause = cause.cause
    return found


def _below(text: str) -> str:
    """Return text whose further lines stand below its first one."""
    return printable(text).replace("\n", f"\n{'':<10}")


def _whole(failure: Failure) -> str:
    return f"{failure.type}: {failure.message}" if failure.type else failure.message


def _ago(at: int, now: float) -> str:
    if not at:
        return ""
    seconds = now - at / SECOND
    return f"{local(at)} ({length(max(seconds, 0.0))} ago)"


def _ended(instance: Instance) -> str:
    at = ended_at(instance)
    if not at:
        return ""
    took = (at - instance.created) / SECOND if instance.created else 0.0
    return f"{local(at)} (after {length(max(took, 0.0))})"


def rfc3339(at: int) -> str | None:
    """Return a time, in nanoseconds, as programs read it; None where there is none."""
    if not at:
        return None
    moment = datetime.fromtimestamp(at // 1000 / 1_000_000, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

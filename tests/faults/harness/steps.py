"""Named fail-points: every statement that changes a database, and every commit, has two.

A step is named by what it does, such as ``events.insert`` or ``commit``; ``events.insert.before``
and ``events.insert.after`` are its points. Nothing in the product names them: they are found in
what it writes, so that a new durable step has its points from its first day.
"""

import os
import re
import signal
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from daprflow.sidecar.sqlite import SqliteWriter

PLAN, SEEN = "HARNESS_FAILPOINT", "HARNESS_SEEN"
KILL, LOSE, REFUSE = "kill", "lose", "refuse"
_STATEMENT = re.compile(
    r"\s*(?:(INSERT)(?:\s+OR\s+\w+)?\s+INTO|(DELETE)\s+FROM|(UPDATE))\s+(\w+)|\s*(COMMIT)",
    re.IGNORECASE,
)


def step_of(statement: str) -> str | None:
    """Return the name of the step that a statement is; None where it keeps nothing."""
    found = _STATEMENT.match(statement)
    if found is None:
        return None
    insert, delete, update, table, commit = found.groups()
    return "commit" if commit else f"{table}.{(insert or delete or update).lower()}"


@dataclass(slots=True)
class Plan:
    """What happens where.

    Attributes:
        point: a fail-point, or a step to be lost; empty for none.
        hit: at which passing of it.
        action: `KILL` ends the process, `REFUSE` is an I/O error; `LOSE` leaves the statement out
            and says that it was done, from that passing on.
        seen: a file to which the name of each point that is passed is added; none if empty.
    """

    point: str = ""
    hit: int = 1
    action: str = KILL
    seen: str = ""
    _hits: int = field(default=0, compare=False)
    _known: set[str] = field(default_factory=set, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @classmethod
    def from_text(cls, text: str, seen: str = "") -> "Plan":
        """Read ``point@hit:action``, or nothing."""
        point, _, action = text.partition(":")
        point, _, hit = point.partition("@")
        return cls(point, int(hit or 1), action or KILL, seen)

    @property
    def text(self) -> str:
        """As `from_text` reads it."""
        return f"{self.point}@{self.hit}:{self.action}"

    def reach(self, point: str) -> bool:
        """Pass a point; whether the statement there is to be left out."""
        with self._lock:
            if self.seen and point not in self._known:
                self._known.add(point)
                with Path(self.seen).open("a", encoding="utf-8") as file:
                    file.write(f"{point}\n")
            if point != self.point:
                return False
            self._hits += 1
            if self.action == LOSE:
                return self._hits >= self.hit
            if self._hits != self.hit:
                return False
        if self.action == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        raise sqlite3.OperationalError("disk I/O error")


class FailingConnection(sqlite3.Connection):
    """A connection that passes the fail-points of a plan."""

    plan: ClassVar[Plan] = Plan()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement between its points."""
        return self._between(sql, lambda: super(FailingConnection, self).execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run a statement often between its points."""
        return self._between(
            sql, lambda: super(FailingConnection, self).executemany(sql, parameters)
        )

    def _between(self, sql: str, run: Any) -> sqlite3.Cursor:
        step = step_of(sql)
        if step is None:
            return run()  # type: ignore[no-any-return]
        if self.plan.reach(f"{step}.before") or self.plan.reach(step):
            return super().execute("ROLLBACK" if step == "commit" else "SELECT 1 WHERE 0")
        cursor: sqlite3.Cursor = run()
        self.plan.reach(f"{step}.after")
        return cursor


def install(plan: Plan) -> None:
    """Have the connections of this process follow a plan."""
    FailingConnection.plan = plan
    SqliteWriter.connection_class = FailingConnection


def uninstall() -> None:
    """Have them as they were."""
    SqliteWriter.connection_class = sqlite3.Connection


def install_from_environment() -> None:
    """Follow the plan that the environment holds, if there is one."""
    text, seen = os.environ.get(PLAN, ""), os.environ.get(SEEN, "")
    if text or seen:
        install(Plan.from_text(text, seen))

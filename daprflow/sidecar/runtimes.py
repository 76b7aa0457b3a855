"""The sidecars of an engine by app: one each, or several where an app runs several times."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime


class _Group:
    """The replicas of one app, in the order of their numbers, and whose turn it is."""

    __slots__ = ("members", "turn")

    def __init__(self) -> None:
        self.members: list[Runtime] = []
        self.turn = 0


class Runtimes:
    """Every open sidecar. Those of one id are the replicas of one app, which share its work.

    What an app has only once (its id, its place in consumer groups, its actors' state, its jobs
    and workflows) goes by the id alone. What each replica has for itself (ports, the way to its
    process, input bindings, subscriptions to configuration, streams, timers) goes by the sidecar.
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def add(self, runtime: "Runtime") -> None:
        """Let a sidecar be found, in place of one of the same app and number."""
        group = self._groups.setdefault(runtime.app_id, _Group())
        others = [each for each in group.members if each.replica != runtime.replica]
        group.members = sorted((*others, runtime), key=lambda each: each.replica)

    def remove(self, runtime: "Runtime") -> None:
        """Let a sidecar be found no more; one that is not there is no error."""
        group = self._groups.get(runtime.app_id)
        if group is None or runtime not in group.members:
            return
        group.members = [each for each in group.members if each is not runtime]
        if not group.members:
            del self._groups[runtime.app_id]

    def clear(self) -> None:
        """Let none be found any more."""
        self._groups.clear()

    def of(self, app_id: str) -> "Sequence[Runtime]":
        """Return the replicas of an app; none where it does not run here."""
        group = self._groups.get(app_id)
        return () if group is None else group.members

    def pick(self, app_id: str, tried: "Collection[Runtime]" = ()) -> "Runtime | None":
        """Return whose turn it is to take a call on an app.

        That is a replica that takes calls; where none does, the next one all the same: its answer
        tells why.

        Args:
            app_id: the app.
            tried: replicas that could not be reached for the same call; None once all are.
        """
        group = self._groups.get(app_id)
        if group is None:
            return None
        members = group.members
        if len(members) == 1:
            return None if tried else members[0]
        group.turn += 1
        start = group.turn % len(members)
        left = [each for each in (*members[start:], *members[:start]) if each not in tried]
        ready = next((each for each in left if each.takes_calls), None)
        return ready if ready is not None or tried else left[0]

    def __getitem__(self, app_id: str) -> "Runtime":
        """Return the sidecar of an app, the first one where it has several."""
        return self._groups[app_id].members[0]

    def __iter__(self) -> "Iterator[Runtime]":
        """Go through all sidecars, those of one app together."""
        return iter([each for group in self._groups.values() for each in group.members])

    def __len__(self) -> int:
        """Return how many sidecars there are."""
        return sum(len(group.members) for group in self._groups.values())

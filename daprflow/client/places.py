"""Places for calls in flight: so many for each app and component, and a timed queue behind them.

A target that hangs takes its own places and no more, so that calls of others go on.
"""

from collections.abc import Iterator, Mapping

import msgspec

from daprflow.client.describing import target_of
from daprflow.errors import SidecarError
from daprflow.slots import NoSlot, Slots

KEPT = 1000
"""Targets that are remembered while nothing is under way there."""
_KINDS: Mapping[str, str] = {
    "invoke": "app",
    "actors": "actor type",
    "actors' own": "the state of actor type",
    "publish": "pub/sub component",
    "state": "state store",
    "bindings": "binding",
    "secrets": "secret store",
    "configuration": "configuration store",
    "workflows": "workflow engine",
}


class TooManyCalls(SidecarError):  # noqa: N818 - named for the state
    """A call was not sent: its target has as many under way as it may have, and none ended in time.

    Attributes:
        block: the building block, as the API's paths name it: ``invoke``, ``state``, ….
        target: the app's id or the component's name.
        in_flight: how many calls of it were under way.
        waiting: how many others waited for one of them to end.
        waited: how long this one did, in seconds.

    Example:
        ```python
        try:
            await client.invoke(price, Order("7"))
        except TooManyCalls as error:
            print(error.target, "has", error.in_flight, "calls under way")
        ```
    """

    def __init__(self, place: "Place", waited: float, *, full: bool) -> None:
        self.block: str = place.block
        self.target: str = place.target
        self.in_flight: int = place.busy
        self.waiting: int = len(place.queue)
        self.waited: float = waited
        kind = _KINDS.get(place.block, f"component of '{place.block}'")
        others = "1 other waits" if self.waiting == 1 else f"{self.waiting} others wait"
        said = "there is no room for more" if full else f"this one waited {waited:.1f} s in vain"
        super().__init__(
            f"{kind} '{place.target}' has {self.in_flight} calls under way, as many as it may "
            f"have; {others}, and {said}",
            hint="see why they take so long, or allow more with DAPRFLOW_CALLS_PER_TARGET",
        )


class TargetLoad(msgspec.Struct, frozen=True):
    """The calls of one app or component.

    Attributes:
        block: the building block, as the API's paths name it.
        target: the app's id or the component's name.
        in_flight: how many are under way.
        waiting: how many wait for one of them to end.
        most: how many may be under way.
        refused: how many found no place.
        waits: how many waited for one, and got it.
        waited: how long those did together, in seconds.

    Example:
        ```python
        for load in client.loads:
            print(load.target, load.in_flight, "of", load.most)
        ```
    """

    block: str
    target: str
    in_flight: int
    waiting: int
    most: int
    refused: int
    waits: int = 0
    waited: float = 0.0


class Place(Slots):
    """The calls of one target."""

    __slots__ = ("block", "target")

    def __init__(self, block: str, target: str, most: int, room: int) -> None:
        super().__init__(most, room)
        self.block: str = block
        self.target: str = target

    async def wait(self, seconds: float | None) -> float:
        """Return once there is room, which is taken then; the seconds it took.

        Raises:
            TooManyCalls: there was none within ``seconds``, or too many wait already.
        """
        try:
            return await super().wait(seconds)
        except NoSlot as none:
            raise TooManyCalls(self, none.waited, full=none.full) from None


class Places:
    """The calls in flight of one client.

    Args:
        most: calls of one target; 0 for any number.
        room: how many of a target may wait.
        own: numbers of single targets, by block and name: ``invoke/pricing``.
    """

    def __init__(self, most: int, room: int, own: Mapping[str, int]) -> None:
        self._most = most
        self._room = room
        self._own = own
        self._is_free = most <= 0 and not own
        self._known: dict[tuple[str, str], Place] = {}

    def of(self, target: str) -> Place | None:
        """Return where calls of a request's target stand; None where their number is free."""
        if self._is_free:
            return None
        key = target_of(target)
        return self._known.get(key) or self._make(key)

    def loads(self) -> Iterator[TargetLoad]:
        """Give what each target has under way."""
        for each in self._known.values():
            yield TargetLoad(
                each.block,
                each.target,
                each.busy,
                len(each.queue),
                each.most,
                each.refused,
                each.waits,
                each.waited,
            )

    def _make(self, key: tuple[str, str]) -> Place | None:
        block, target = key
        if not target:
            return None
        most = self._own.get(f"{block}/{target}", self._most)
        if most <= 0:
            return None
        if len(self._known) >= KEPT:
            for idle in [known for known, place in self._known.items() if not place.busy]:
                del self._known[idle]
        place = self._known[key] = Place(block, target, most, self._room)
        return place

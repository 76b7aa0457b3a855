"""Measured: a daprflow application with a counter actor that changes its state with each call."""

import msgspec

from daprflow import Actor, DaprFlow


class Count(msgspec.Struct):
    """The state."""

    value: int = 0


app = DaprFlow("bench")


@app.actor
class Counter(Actor[Count]):
    """Counts its calls."""

    async def up(self) -> int:
        """Count one more."""
        self.state.value += 1
        return self.state.value

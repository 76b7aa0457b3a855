"""Where lines go: whole, in order, many in one piece, and all of them."""

import asyncio
import io

from daprflow.observability.logging_sink import Sink, Stamp


class Made:
    """A line that says when it is made."""

    def __init__(self, text: bytes, made: list[bytes]) -> None:
        self._text = text
        self._made = made

    def line(self) -> bytes:
        """Return it."""
        self._made.append(self._text)
        return self._text


class Flushed(io.BytesIO):
    """Says when it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        """Say so."""
        self.flushed.set()


async def test_lines_of_one_turn_of_the_loop_are_made_and_written_together() -> None:
    """None is made before, and the loop does not wait in between."""
    stream, made = io.BytesIO(), list[bytes]()
    sink = Sink(stream)
    sink.soon(Made(b"a\n", made))
    sink.soon(b"b\n")
    sink.soon(Made(b"c\n", made))
    assert (made, stream.getvalue()) == ([], b"")
    await asyncio.sleep(0)
    assert (made, stream.getvalue()) == ([b"a\n", b"c\n"], b"a\nb\nc\n")


async def test_lines_that_come_soon_after_others_wait_a_moment_for_more() -> None:
    """A busy app writes few pieces of many lines; nothing waits once the pause is over."""
    stream = Flushed()
    sink = Sink(stream)
    sink.soon(b"a\n")
    await asyncio.sleep(0)
    stream.flushed.clear()
    sink.soon(b"b\n")
    sink.soon(b"c\n")
    assert stream.getvalue() == b"a\n"
    async with asyncio.timeout(30):
        await stream.flushed.wait()
    assert stream.getvalue() == b"a\nb\nc\n"


async def test_a_line_that_is_written_at_once_comes_after_those_that_wait() -> None:
    """From another thread, too."""
    stream = io.BytesIO()
    sink = Sink(stream)
    sink.soon(Made(b"a\n", []))
    await asyncio.to_thread(sink.write, b"b\n")
    assert stream.getvalue() == b"a\nb\n"


async def test_nothing_is_left_when_the_app_ends() -> None:
    """What waits is written by `flush`, once."""
    stream = io.BytesIO()
    sink = Sink(stream)
    sink.soon(Made(b"a\n", []))
    sink.flush()
    await asyncio.sleep(0)
    assert stream.getvalue() == b"a\n"


def test_a_time_is_daprs() -> None:
    """UTC to the millisecond, whatever time was asked for before."""
    stamp = Stamp()
    assert stamp.at(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
    assert stamp.at(1_700_000_000.2509) == "2023-11-14T22:13:20.250Z"
    assert stamp.at(1_700_000_001.5) == "2023-11-14T22:13:21.500Z"
    assert stamp.at(1_700_000_000.5) == "2023-11-14T22:13:20.500Z"

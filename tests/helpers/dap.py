"""A debugger's client: what an editor uses of the debug adapter protocol at a breakpoint."""

import itertools
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WITHIN = 45.0


class Debugger:
    """One client, attached to a process that waits for one.

    Args:
        port: where the process listens, on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WITHIN)
        self._stream = self._socket.makefile("rb")
        self._numbers = itertools.count(1)
        self._came: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._socket.close()

    def attach(
        self, breakpoints: Mapping[Path, Sequence[int]], *, own_code: bool = True
    ) -> list[bool]:
        """Attach and set breakpoints; return which of them the process takes.

        Args:
            breakpoints: lines by file.
            own_code: whether installed packages are left alone.
        """
        self._ask("initialize", adapterID="tests", pathFormat="path", linesStartAt1=True)
        attaching = self._send("attach", {"justMyCode": own_code})  # answered at the end
        self.event("initialized")
        taken = [
            bool(each["verified"])
            for file, lines in breakpoints.items()
            for each in self._ask(
                "setBreakpoints",
                source={"path": str(file)},
                breakpoints=[{"line": line} for line in lines],
            )["breakpoints"]
        ]
        self._ask("configurationDone")
        self._answer(attaching)
        return taken

    def stopped(self) -> int:
        """Wait until a thread stops; return its id."""
        return int(self.event("stopped")["threadId"])

    def line(self, thread: int) -> int:
        """Return the line at which a thread stands."""
        return int(self._frame(thread)["line"])

    def evaluate(self, thread: int, expression: str) -> str:
        """Return what an expression is where a thread stands."""
        frame = self._frame(thread)["id"]
        found = self._ask("evaluate", expression=expression, frameId=frame, context="watch")
        return str(found["result"])

    def go_on(self, thread: int) -> None:
        """Have a thread run on."""
        self._ask("continue", threadId=thread)

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event; return its body."""
        return self._until(lambda each: each["type"] == "event" and each["event"] == name)

    def _frame(self, thread: int) -> dict[str, Any]:
        frames: list[dict[str, Any]] = self._ask("stackTrace", threadId=thread)["stackFrames"]
        return frames[0]

    def _ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self._answer(self._send(command, arguments))

    def _send(self, command: str, arguments: Mapping[str, Any]) -> int:
        number = next(self._numbers)
        message = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return number

    def _answer(self, number: int) -> dict[str, Any]:
        return self._until(lambda m: m["type"] == "response" and m["request_seq"] == number)

    def _until(self, wanted: Any) -> dict[str, Any]:
        """Return the body of the first message that is ``wanted``; the others are kept."""
        for index, message in enumerate(self._came):
            if wanted(message):
                return _body(self._came.pop(index))
        while True:
            message = self._read()
            if wanted(message):
                return _body(message)
            self._came.append(message)

    def _read(self) -> dict[str, Any]:
        length = 0
        while (line := self._stream.readline()) != b"\r\n":
            if not line:
                raise AssertionError(f"the debugger hung up; it had said {self._came[-3:]}")
            name, _, value = line.decode().partition(":")
            if name.lower() == "content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._stream.read(length))
        return message


def _body(message: Mapping[str, Any]) -> dict[str, Any]:
    assert message.get("success", True), message
    body: dict[str, Any] = message.get("body") or {}
    return body

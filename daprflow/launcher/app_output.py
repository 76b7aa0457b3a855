"""What an app prints, line by line, for a run that marks it as the app's."""

import os
from collections.abc import Callable

from daprflow.launcher.pipe_lines import pipe_lines

LONGEST = 64 * 1024
"""Bytes of a line that is printed whole; a longer one is cut in pieces."""


class AppOutput:
    """A pipe that an app prints into; `relay` hands its lines on until everybody closed it.

    Args:
        put: takes one line, without its end.

    Attributes:
        writing: the app's end; `handed_over` closes our copy of it.
    """

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put
        self._reading, self.writing = os.pipe()

    def handed_over(self) -> None:
        """Close our copy of the app's end, so that `relay` sees the end."""
        os.close(self.writing)

    async def relay(self) -> None:
        """Hand every line on until the app and all it started are gone."""
        async with pipe_lines(self._reading, LONGEST) as lines:
            async for line in lines:
                self._put(line.decode(errors="replace").rstrip("\r\n"))

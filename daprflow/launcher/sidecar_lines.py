"""Gives the log lines of embedded sidecars to the apps that they name, where several run here."""

import logging
from collections.abc import Callable, Sequence


class SidecarLines(logging.Handler):
    """Hands each line on: to the app that it names, else to all of them.

    Args:
        puts: what takes the lines of each app, after its id.
        form: turns a record into a line.
    """

    def __init__(
        self, puts: Sequence[tuple[str, Callable[[str], None]]], form: logging.Formatter
    ) -> None:
        super().__init__(logging.NOTSET)
        self._puts = puts
        self.setFormatter(form)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one line on, from whichever thread it comes."""
        line = self.format(record)
        named = [put for app_id, put in self._puts if f"'{app_id}'" in line]
        for put in named or [put for _, put in self._puts]:
            put(line)

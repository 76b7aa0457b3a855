"""Gives the log lines of embedded sidecars to the apps that they name, where several run here."""

import logging
from collections.abc import Callable, Mapping


class SidecarLines(logging.Handler):
    """Hands each line on: to the app that it names, else to all of them.

    Args:
        put: takes a line and whether it is for the terminal too, by app id.
        form: turns a record into a line.
    """

    def __init__(self, put: Mapping[str, Callable[[str], None]], form: logging.Formatter) -> None:
        super().__init__(logging.NOTSET)
        self._put = put
        self.setFormatter(form)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one line on, from whichever thread it comes."""
        line = self.format(record)
        named = [put for app_id, put in self._put.items() if f"'{app_id}'" in line]
        for put in named or self._put.values():
            put(line)

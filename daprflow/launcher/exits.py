"""Why a command ended: its exit codes, and the error that carries one."""

from enum import IntEnum

from daprflow.errors import DaprFlowError


class Exit(IntEnum):
    """Exit codes of our own; an app that ends by itself passes its code on instead."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING = 3
    AWAY = 4
    CONFLICT = 5
    PORT_TAKEN = 10
    SIDECAR_FAILED = 11
    APP_SILENT = 12
    HOST_LOST = 13
    DATA_FOLDER = 14
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
    INTERRUPTED = 130


class LaunchError(DaprFlowError):
    """Something outside daprflow stands in the way; the text is one line for the user.

    Attributes:
        code: what the command exits with.
    """

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


class ForcedEnd(LaunchError):  # noqa: N818 - named for what happened
    """A sidecar was told to end at once: nothing waits for what is under way."""

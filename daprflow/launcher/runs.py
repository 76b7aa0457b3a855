"""Which data folders have runs of this user: one note for each, in a folder that is theirs alone.

A note holds nothing but the path; what runs there is told by the folder's own ``run.json``.
"""

import contextlib
import hashlib
import logging
import os
import stat
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

NAME = "daprflow-runs"
OTHERS = 0o077
"""What nobody but its owner may do with the folder of the notes."""


def home() -> Path:
    """Return the folder of the notes: in the session's own, else in that of temporary files."""
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if session and Path(session).is_dir():
        return Path(session) / NAME
    return Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"


def note(folder: Path) -> None:
    """Note that something runs with a data folder; without a place for notes, it goes unnoted."""
    try:
        place = home()
        place.mkdir(mode=0o700, exist_ok=True)
        if _is_ours(place):
            draft = place / f".{os.getpid()}"
            draft.write_bytes(os.fsencode(folder.resolve()))
            draft.replace(place / _name(folder))
    except OSError as error:
        logger.debug("'daprflow list --all' will not find '%s': %s", folder, error.strerror)


def forget(folder: Path) -> None:
    """Take a folder's note away."""
    with contextlib.suppress(OSError):
        place = home()
        if _is_ours(place):
            (place / _name(folder)).unlink(missing_ok=True)


def noted() -> list[Path]:
    """Return the data folders with a note, sorted; what ran there may have ended without a word."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        place = home()
        if _is_ours(place):
            notes = [each for each in place.iterdir() if not each.name.startswith(".")]
            found.extend(Path(os.fsdecode(each.read_bytes())) for each in notes)
    return sorted(found)


def _name(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]


def _is_ours(place: Path) -> bool:
    """Tell whether nobody else can have put anything there; in ``/tmp`` somebody may be first."""
    found = place.lstat()
    return (
        stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & OTHERS
    )

"""Puts a project's files into its folder: all of them, or none."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.templates.project import ProjectFile

_SHOWN = 3


def require_room(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        LaunchError: it does, or is a file, or lies nowhere; exit code `Exit.USAGE`.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise LaunchError(f"'{folder}' exists and is no folder; choose another name", Exit.USAGE)
    if not folder.exists():
        if not folder.parent.is_dir():
            raise LaunchError(f"there is no folder '{folder.parent}'; make it first", Exit.USAGE)
        return
    try:
        found = sorted(each.name for each in folder.iterdir())
    except OSError as error:
        raise LaunchError(f"cannot read '{folder}': {error.strerror}", Exit.FAILED) from None
    if found:
        shown = ", ".join(f"'{name}'" for name in found[:_SHOWN])
        more = ", …" if len(found) > _SHOWN else ""
        raise LaunchError(
            f"folder '{folder}' is not empty (it has {shown}{more}); choose another name, or empty "
            "it",
            Exit.USAGE,
        )


def place(folder: Path, project: Sequence[ProjectFile]) -> None:
    """Write a project; where that fails, the folder is as it was.

    Raises:
        LaunchError: something cannot be written.
    """
    require_room(folder)
    there = folder.is_dir()
    home = folder if there else folder.parent
    draft = home / f".daprflow-new-{os.getpid()}"
    moved: list[Path] = []
    try:
        _write(draft, project)
        if there:
            for each in sorted(draft.iterdir()):
                moved.append(folder / each.name)
                each.rename(moved[-1])
        else:
            draft.rename(folder)
    except BaseException as error:
        for each in moved:
            _remove(each)
        if isinstance(error, OSError):
            where = error.filename or folder
            raise LaunchError(f"cannot write '{where}': {error.strerror}", Exit.FAILED) from None
        raise
    finally:
        _remove(draft)


def _write(folder: Path, project: Sequence[ProjectFile]) -> None:
    folder.mkdir()
    for each in project:
        path = folder / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(each.text, encoding="utf-8", newline="\n")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

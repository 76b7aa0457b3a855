"""What SQLite writes to disk, seen and disturbed from inside: a layer under the real file system.

SQLite reaches files through a table of functions. `Disk` puts a copy of that table in front, in
which writing, shortening, syncing and deleting are noted first and may fail. Nothing else changes,
so that the library, its log and its locks are the real ones. It needs a Python whose ``sqlite3`` is
linked to a shared library.
"""

import _sqlite3
import ctypes
import itertools
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

FULL = 13
WRITE_FAILED = 778
SYNC_FAILED = 1034
_NAMES = itertools.count(1)


class Act(Enum):
    """What is done to a file."""

    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that was done to one file; ``offset`` is the new size where it was shortened."""

    act: Act
    path: str
    offset: int = 0
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the outside was told at this point."""

    text: str


Fault = Callable[[Op], int]
"""Says which of SQLite's error codes an operation ends with; 0 lets it be done."""


def no_fault(_: Op) -> int:
    """Let everything be done."""
    return 0


# SQLite keeps the pointer to a name: it is passed on as it is.
_OPEN = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_CLOSE = ctypes.CFUNCTYPE(c_int, c_void_p)
_WRITE = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = ctypes.CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        ("others", c_void_p * 14),
    )


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("others", c_void_p * 13),
    )


class _File(ctypes.Structure):
    _fields_ = (("methods", POINTER(_Methods)),)


def _library() -> Any:
    """Return the library that Python's own ``sqlite3`` uses, None where it is not to be reached."""
    library = ctypes.CDLL(_sqlite3.__file__)
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        return None
    find.restype, find.argtypes = POINTER(_Vfs), (c_char_p,)
    library.sqlite3_vfs_register.argtypes = (POINTER(_Vfs), c_int)
    library.sqlite3_vfs_unregister.argtypes = (POINTER(_Vfs),)
    return library


def reachable() -> bool:
    """Whether this Python lets a `Disk` be put under it."""
    return _library() is not None


@dataclass(slots=True)
class Disk:
    """Under every connection that is opened while it is entered; those must be closed within.

    Attributes:
        fault: asked before each operation.
        recorded: what was done, and what was told, in order; only while ``recording``.
        recording: whether anything is added there.
        count: how many writes, shortenings and syncs there were.
    """

    fault: Fault = no_fault
    recorded: list[Op | Mark] = field(default_factory=list)
    recording: bool = True
    count: int = 0
    _kept: list[Any] = field(default_factory=list)
    _paths: dict[int, str] = field(default_factory=dict)
    _tables: dict[int, _Methods] = field(default_factory=dict)
    _real: Any = None
    _ours: Any = None

    def __enter__(self) -> Self:
        library = _library()
        self._real = library.sqlite3_vfs_find(None)
        ours = _Vfs()
        ctypes.memmove(ctypes.byref(ours), self._real, ctypes.sizeof(_Vfs))
        ours.name, ours.next = b"recorded-%d" % next(_NAMES), None
        ours.open = self._callback(_OPEN, self._open)
        ours.delete = self._callback(_DELETE, self._delete)
        self._ours = ours
        library.sqlite3_vfs_register(ctypes.byref(ours), 1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        library = _library()
        library.sqlite3_vfs_register(self._real, 1)
        library.sqlite3_vfs_unregister(ctypes.byref(self._ours))
        if self._paths:
            _LEFT_OPEN.append(self)  # their functions are called until they are closed

    def mark(self, text: str) -> None:
        """Note what the outside is told now."""
        self.recorded.append(Mark(text))

    def _callback(self, kind: Any, function: Callable[..., int]) -> int | None:
        made = kind(function)
        self._kept.append(made)
        return ctypes.cast(made, c_void_p).value

    def _note(self, op: Op) -> int:
        self.count += op.act is not Act.DELETE
        code = self.fault(op)
        if not code and self.recording:
            self.recorded.append(op)
        return code

    # ---- the functions that SQLite calls --------------------------------------------------------

    def _open(self, _: int, name: int | None, file: int, flags: int, out: int) -> int:
        code = int(_OPEN(self._real.contents.open)(self._address(), name, file, flags, out))
        methods = _File.from_address(file).methods
        if code == 0 and methods and name is not None:
            self._paths[file] = ctypes.string_at(name).decode()
            _File.from_address(file).methods = ctypes.pointer(self._table(methods))
        return code

    def _address(self) -> int | None:
        return ctypes.cast(self._real, c_void_p).value

    def _delete(self, _: int, name: bytes, sync: int) -> int:
        code = self._note(Op(Act.DELETE, name.decode()))
        return code or int(_DELETE(self._real.contents.delete)(self._address(), name, sync))

    def _table(self, real: Any) -> _Methods:
        """Return the functions of a kind of file, ours among them."""
        address = ctypes.addressof(real.contents)
        if address not in self._tables:
            ours = _Methods()
            ctypes.memmove(ctypes.byref(ours), real, ctypes.sizeof(_Methods))
            self._replace(ours)
            self._tables[address] = ours
        return self._tables[address]

    def _replace(self, ours: _Methods) -> None:
        close, write = _CLOSE(ours.close), _WRITE(ours.write)
        truncate, sync = _TRUNCATE(ours.truncate), _SYNC(ours.sync)
        paths = self._paths

        def closed(file: int) -> int:
            paths.pop(file, None)
            return int(close(file))

        def written(file: int, data: int, size: int, offset: int) -> int:
            op = Op(Act.WRITE, paths[file], offset, ctypes.string_at(data, size))
            return self._note(op) or int(write(file, data, size, offset))

        def truncated(file: int, size: int) -> int:
            return self._note(Op(Act.TRUNCATE, paths[file], size)) or int(truncate(file, size))

        def synced(file: int, flags: int) -> int:
            return self._note(Op(Act.SYNC, paths[file])) or int(sync(file, flags))

        ours.close = self._callback(_CLOSE, closed)
        ours.write = self._callback(_WRITE, written)
        ours.truncate = self._callback(_TRUNCATE, truncated)
        ours.sync = self._callback(_SYNC, synced)


_LEFT_OPEN: list[Disk] = []

"""``bindings.localstorage``: files below one folder."""

import asyncio
import contextlib
import errno
import os
import stat
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from daprflow.protocol.gojson import encode_go
from daprflow.sidecar.components.base import BindingAnswer, ComponentContext, ComponentError
from daprflow.sidecar.identifiers import new_id

_FORBIDDEN = (Path("/proc"), Path("/sys"), Path("/boot"), Path("/var/run/secrets"))
_LINKS = 255
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_string = msgspec.json.Decoder(str)


class LocalStorageBinding:
    """Creates, reads, lists and deletes files; no name and no link leads outside its root."""

    capabilities = ("OUTPUT_BINDING",)
    operations = ("create", "get", "list", "delete")

    def __init__(self, context: ComponentContext) -> None:
        self._text = context.metadata.get("rootpath", "")
        self._base_dir = context.base_dir
        self._root = Path()

    async def open(self) -> None:
        """Find or make the root folder."""
        self._root = await asyncio.to_thread(_prepared_root, self._text, self._base_dir)

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    async def invoke(
        self, operation: str, data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Do one operation on the file that ``fileName`` names."""
        name = metadata.get("fileName", "")
        if operation == "create":
            return await asyncio.to_thread(self._create, name or new_id(), data)
        work = {"get": self._get, "list": self._list, "delete": self._delete}.get(operation)
        if work is None:
            raise ComponentError(f"unsupported operation {operation}")
        return await asyncio.to_thread(work, name)

    def _create(self, name: str, data: bytes) -> BindingAnswer:
        place = _Place(self._root, name)
        with place.folder(make=True) as folder, place.errors("error creating file"):
            _write_whole(folder, place.last, _content(data))
        return BindingAnswer(encode_go({"fileName": str(place.relative)}))

    def _get(self, name: str) -> BindingAnswer:
        place = _Place(self._root, name)
        with place.folder() as folder, place.errors("error opening path"):
            descriptor = os.open(place.last, _READ, dir_fd=folder)
        try:
            kind = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                raise ComponentError(f"error reading file {place.path}: not a regular file")
            with place.errors("error reading file", "read"):  # which is what a folder ends in
                return BindingAnswer(_content_of(descriptor))
        finally:
            os.close(descriptor)

    def _delete(self, name: str) -> BindingAnswer:
        place = _Place(self._root, name)
        with place.folder() as folder, place.errors("error deleting file", "remove"):
            if not place.relative.parts:  # the root stays, whether or not something is in it
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            if stat.S_ISDIR(os.lstat(place.last, dir_fd=folder).st_mode):
                os.rmdir(place.last, dir_fd=folder)
            else:
                os.unlink(place.last, dir_fd=folder)
        return BindingAnswer()

    def _list(self, name: str) -> BindingAnswer:
        place = _Place(self._root, name)
        with place.folder() as folder, place.errors("error getting stats for path", "stat"):
            found = os.lstat(place.last, dir_fd=folder)
        if not stat.S_ISDIR(found.st_mode):
            text = "unable to list files as the file specified is not a directory"
            raise ComponentError(f"{text}: {place.path}")
        with place.folder(whole=True):
            files = sorted(_walk(place.path))
        return BindingAnswer(encode_go([str(file) for file in files] or None))


class _Place:
    """Where a name leads: below the root, whatever it says and whatever links stand on the way."""

    def __init__(self, root: Path, name: str) -> None:
        if "\0" in name:
            raise ComponentError("a file name may not hold a NUL character")
        self.root = root
        self.relative = PurePosixPath(*_resolved(root, name))
        self.path = root / self.relative
        self.last = self.relative.name or "."

    @contextlib.contextmanager
    def folder(self, *, make: bool = False, whole: bool = False) -> Iterator[int]:
        """Open the folder that the file is in, step by step, following no link.

        Args:
            make: create what is missing.
            whole: open the place itself, which is a folder.
        """
        parts = self.relative.parts if whole else self.relative.parts[:-1]
        current = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                with self.errors("error getting absolute path for file"):
                    if make:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, dir_fd=current)
                    following = os.open(part, _FOLDER, dir_fd=current)
                os.close(current)
                current = following
            yield current
        finally:
            os.close(current)

    @contextlib.contextmanager
    def errors(self, doing: str, call: str = "") -> Iterator[None]:
        """Turn what the system refuses into the real binding's words; ``call`` is Go's name."""
        try:
            yield
        except OSError as error:
            if not call and isinstance(error, FileNotFoundError):
                raise ComponentError(f"file not found: {self.path}") from None
            reason = (error.strerror or "failed").lower()
            if call:
                reason = f"{call} {self.path}: {reason}"
            raise ComponentError(f"{doing} {self.path}: {reason}") from None


def _resolved(root: Path, name: str) -> list[str]:
    """Return the steps from the root to what ``name`` means, as if the root were ``/``.

    Links are resolved here, inside the root; opening follows none, so that a link put there in
    between leads nowhere.
    """
    waiting = name.split("/")[::-1]
    steps: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            del steps[-1:]
            continue
        try:
            target = str(root.joinpath(*steps, part).readlink())
        except OSError:
            steps.append(part)
            continue
        links += 1
        if links > _LINKS:
            raise ComponentError(f"file '{name}' leads through too many symbolic links")
        if target.startswith("/"):
            steps.clear()
        waiting.extend(target.split("/")[::-1])
    return steps


def _write_whole(folder: int, name: str, content: bytes) -> None:
    """Put a file in its place at once: a full disk or a crash leaves the one before as it was."""
    part = f".{new_id()}.part"
    try:
        with os.fdopen(os.open(part, _WRITE, 0o666, dir_fd=folder), "wb") as file:
            file.write(content)
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        raise


def _content_of(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(folder):
        yield from (Path(parent) / file for file in files)


def _content(data: bytes) -> bytes:
    """Return what is stored: the text of a JSON string, decoded where it happens to be base64."""
    if data[:1] == b'"':
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            data = _string.decode(data).encode()
    with contextlib.suppress(ValueError):
        data = b64decode(data.replace(b"\r", b"").replace(b"\n", b""), validate=True)
    return data


def _prepared_root(text: str, base_dir: Path) -> Path:
    if not text:
        raise ComponentError("property rootPath must not be empty")
    root = (base_dir / text).resolve()
    if any(root == bad or bad in root.parents for bad in _FORBIDDEN):
        raise ComponentError("property rootPath points to a disallowed location")
    if root.exists() and not root.is_dir():
        raise ComponentError("property rootPath represents a file and not a directory")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise ComponentError(
            f"unable to create directory specified by 'rootPath' {root}: {reason}"
        ) from error
    return root

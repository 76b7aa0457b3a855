"""``crypto.dapr.localstorage``: keys in the files of one folder."""

import asyncio
from pathlib import Path

from daprflow.errors import MissingExtra
from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.crypto_key import WrappingKey, read_key


class LocalStorageCrypto:
    """Wraps keys with those of a folder, read anew for each operation, in a thread."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        path = context.metadata.get("path", "")
        self._given = bool(path)
        self._folder = context.base_dir / path

    async def open(self) -> None:
        """Check the folder, and that the library is there."""
        try:
            import cryptography  # noqa: F401, PLC0415 - an extra
        except ImportError:
            raise ComponentError(str(MissingExtra("cryptography", "crypto"))) from None
        if not self._given:
            raise ComponentError("metadata property 'path' is required")
        if not self._folder.exists():
            raise ComponentError(
                f"could not stat path '{self._folder}': no such file or directory; make the folder "
                "and put the keys there"
            )
        if not self._folder.is_dir():
            raise ComponentError(f"path '{self._folder}' is not a directory")

    async def close(self) -> None:
        """Do nothing."""

    async def wrap(self, secret: bytes, algorithm: str, key_name: str, /) -> bytes:
        """Wrap ``secret`` with the key of that name."""
        return await asyncio.to_thread(self._wrapped, secret, algorithm, key_name)

    async def unwrap(self, wrapped: bytes, algorithm: str, key_name: str, /) -> bytes:
        """Take a key out of its wrapping."""
        return await asyncio.to_thread(self._unwrapped, wrapped, algorithm, key_name)

    def _wrapped(self, secret: bytes, algorithm: str, key_name: str) -> bytes:
        return self._key(key_name).wrap(secret, algorithm)

    def _unwrapped(self, wrapped: bytes, algorithm: str, key_name: str) -> bytes:
        return self._key(key_name).unwrap(wrapped, algorithm)

    def _key(self, name: str) -> WrappingKey:
        try:
            return read_key(self._read(name), Path(name).suffix.lower())
        except ComponentError as error:
            raise ComponentError(f"failed to retrieve the key encryption key: {error}") from error

    def _read(self, name: str) -> bytes:
        if ".." in name or "\0" in name:
            raise ComponentError("invalid key path: cannot contain '..'")
        path = Path(f"{self._folder}/{name}")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            text = f"failed to load key '{name}': open {path}: no such file or directory"
            raise ComponentError(text) from None
        except OSError as error:
            text = f"failed to load key '{name}': open {path}: {error.strerror}"
            raise ComponentError(text) from None

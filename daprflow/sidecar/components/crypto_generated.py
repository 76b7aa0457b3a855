"""Keys that are made when they are first used, in the place of those of a vault."""

import base64
import contextlib
import os
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path

from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.crypto_localstorage import LocalStorageCrypto
from daprflow.sidecar.components.own_files import OwnFolder

_RSA_BITS = 2048
_AES_BYTES = 32


class GeneratedCrypto(LocalStorageCrypto):
    """As `LocalStorageCrypto`, in a folder that fills by itself.

    A key of 32 bytes is made for the AES algorithms, an RSA key for the others; one that exists
    stays. Without a data folder they end with the sidecar.
    """

    def __init__(self, context: ComponentContext) -> None:
        super().__init__(replace(context, metadata={}))
        self._own = OwnFolder(context.data_dir, "keys", context.name)

    async def open(self) -> None:
        """Make the folder."""
        self._folder, self._given = self._own.find(), True
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            text = f"cannot make the folder of keys '{self._folder}': {error.strerror}"
            raise ComponentError(text) from None
        await super().open()

    async def close(self) -> None:
        """Forget keys that were to be kept nowhere."""
        self._own.forget()

    def _wrapped(self, secret: bytes, algorithm: str, key_name: str) -> bytes:
        self._make(algorithm, key_name)
        return super()._wrapped(secret, algorithm, key_name)

    def _make(self, algorithm: str, name: str) -> None:
        path = self._folder / name
        if "/" in name or ".." in name or "\0" in name or path.exists():
            return
        key = _rsa() if algorithm.startswith("RSA") else _symmetric()
        try:
            _write_whole(path, key)
        except OSError as error:
            raise ComponentError(f"cannot make key '{name}': {error.strerror}") from None


def _write_whole(path: Path, key: bytes) -> None:
    """Put a key in its place at once, for whoever reads it or a crash; one there is stays."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another call made it just now
            os.link(file.name, path)


def _symmetric() -> bytes:
    return base64.b64encode(secrets.token_bytes(_AES_BYTES))


def _rsa() -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - an extra

    return rsa.generate_private_key(65537, _RSA_BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

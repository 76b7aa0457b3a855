"""The cryptography building block: documents sealed with keys the app never sees."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from daprflow.protocol import faults
from daprflow.sidecar.blocks.encrypted_document import (
    DocumentError,
    Sealing,
    SegmentError,
    Wrap,
    open_sealed,
    seal,
)
from daprflow.sidecar.blocks.encrypted_stream import open_parts, seal_parts
from daprflow.sidecar.components.base import ComponentError, Crypto

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime


class CryptographyBlock:
    """The keys that one app may use."""

    def __init__(self, runtime: "Runtime") -> None:
        providers = runtime.loaded("crypto")
        self._providers = {name: cast("Crypto", each) for name, each in providers.items()}
        self._names = {id(each): name for name, each in providers.items()}
        self._timed = runtime.telemetry.timed("crypto", self._providers.__contains__)

    def provider(self, name: str) -> Crypto:
        """Return the component of that name.

        Raises:
            Fault: this app does not see it.
        """
        if not self._providers:
            raise faults.crypto_not_configured()
        if not name:
            raise faults.bad_request("missing component name")
        found = self._providers.get(name)
        if found is None:
            raise faults.crypto_not_found(name)
        return found

    async def encrypt(self, provider: Crypto, data: bytes, sealing: Sealing) -> bytes:
        """Return the document that holds ``data``.

        Raises:
            Fault: the key cannot be used, or the options are wrong.
        """
        with self._timed(self._names[id(provider)], "crypto_op"):
            try:
                return await seal(data, sealing, _told(provider.wrap))
            except DocumentError as error:
                raise faults.crypto_failed(str(error)) from error

    async def decrypt(self, provider: Crypto, document: bytes, key_name: str) -> bytes:
        """Return what ``document`` holds.

        Raises:
            Fault: it is no document, was changed, or is of another key.
        """
        with self._timed(self._names[id(provider)], "crypto_op"):
            try:
                return await open_sealed(document, _told(provider.unwrap), key_name)
            except SegmentError as error:
                raise faults.crypto_broken_off(str(error)) from error
            except DocumentError as error:
                raise faults.crypto_failed(str(error)) from error

    async def encrypt_stream(
        self, provider: Crypto, parts: AsyncIterator[bytes], sealing: Sealing
    ) -> AsyncIterator[bytes]:
        """Yield the document that holds ``parts``, as they come.

        Raises:
            Fault: the key cannot be used, the options are wrong, or ``parts`` raised
                `DocumentError`.
        """
        with self._timed(self._names[id(provider)], "crypto_op"):
            async with aclosing(seal_parts(parts, sealing, _told(provider.wrap))) as sealed:
                try:
                    async for part in sealed:
                        yield part
                except DocumentError as error:
                    raise faults.crypto_failed(str(error)) from error

    async def decrypt_stream(
        self, provider: Crypto, parts: AsyncIterator[bytes], key_name: str
    ) -> AsyncIterator[bytes]:
        """Yield what the document in ``parts`` holds, as it comes.

        Raises:
            Fault: it is no document, was changed, or is of another key, or ``parts`` raised
                `DocumentError`.
        """
        with self._timed(self._names[id(provider)], "crypto_op"):
            async with aclosing(open_parts(parts, _told(provider.unwrap), key_name)) as opened:
                try:
                    async for part in opened:
                        yield part
                except DocumentError as error:
                    raise faults.crypto_failed(str(error)) from error


def _told(operation: Wrap) -> Wrap:
    """Return ``operation`` with a component's errors as the document's."""

    async def told(secret: bytes, algorithm: str, key_name: str) -> bytes:
        try:
            return await operation(secret, algorithm, key_name)
        except ComponentError as error:
            raise DocumentError(str(error)) from error

    return told

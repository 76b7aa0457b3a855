"""Encryption with keys the app never sees: the client's methods for it."""

from collections.abc import AsyncIterable, AsyncIterator

from daprflow.client import streaming
from daprflow.client.base import BaseClient
from daprflow.protocol import cryptography as wire
from daprflow.protocol.cryptography import Encryption
from daprflow.protocol.http import Headers, HttpRequest, HttpResponse, StreamedRequest


class Encrypting(BaseClient):
    """The part of the client that encrypts and decrypts."""

    async def encrypt(
        self,
        component: str,
        data: bytes,
        /,
        *,
        key: str,
        algorithm: str,
        cipher: str = "",
        decryption_key: str = "",
        omit_key: bool = False,
    ) -> bytes:
        """Return ``data`` encrypted, as a document in Dapr's own format.

        Args:
            component: the name of a cryptography component.
            data: at most what the sidecar takes as a body (4 MiB unless set otherwise).
            key: the name of the key in the component that wraps the document's own one.
            algorithm: how it is wrapped: ``RSA`` (RSA-OAEP-256) or ``AES`` (A256KW).
            cipher: ``aes-gcm``, which is meant if empty, or ``chacha20-poly1305``.
            decryption_key: the name of the key to decrypt with, where that is another one.
            omit_key: leaves the key's name out of the document; it is needed to decrypt then.

        Raises:
            SidecarError: there is no such component or key, or the key cannot do it.

        Example:
            ```python
            document = await client.encrypt("keys", b"secret", key="rsa.pem", algorithm="RSA")
            ```
        """
        how = Encryption(key, algorithm, cipher, decryption_key, omit_key)
        return await self._sent(wire.encrypt_path(component), how.headers, data)

    async def decrypt(self, component: str, document: bytes, /, *, key: str = "") -> bytes:
        """Return what an encrypted document holds.

        Args:
            component: the name of a cryptography component.
            document: the whole of it.
            key: the name of the key, where the document does not say it or another is meant.

        Raises:
            SidecarError: it is no document, was changed, or is of another key.

        Example:
            ```python
            plain = await client.decrypt("keys", document)
            ```
        """
        path = wire.decrypt_path(component)
        return await self._sent(path, wire.decrypt_headers(key), document)

    def encrypt_stream(
        self,
        component: str,
        chunks: AsyncIterable[bytes],
        /,
        *,
        key: str,
        algorithm: str,
        cipher: str = "",
        decryption_key: str = "",
        omit_key: bool = False,
    ) -> AsyncIterator[bytes]:
        """Encrypt what comes in pieces, in pieces; see `encrypt`.

        This side holds one piece at a time. A sidecar takes no larger body over HTTP than its
        ``--max-body-size``, also when it comes in pieces.

        Args:
            component: the name of a cryptography component.
            chunks: the document, in pieces of any size.
            key: as for ``encrypt``.
            algorithm: as for ``encrypt``.
            cipher: as for ``encrypt``.
            decryption_key: as for ``encrypt``.
            omit_key: as for ``encrypt``.

        Returns:
            the encrypted document, in pieces of its own.

        Raises:
            SidecarError: with the first piece: there is no such component or key, or it cannot do
                it.

        Example:
            ```python
            async for piece in client.encrypt_stream(
                "keys", chunks, key="rsa.pem", algorithm="RSA"
            ):
                print(len(piece))
            ```
        """
        how = Encryption(key, algorithm, cipher, decryption_key, omit_key)
        return self._streamed(wire.encrypt_path(component), how.headers, chunks)

    def decrypt_stream(
        self, component: str, chunks: AsyncIterable[bytes], /, *, key: str = ""
    ) -> AsyncIterator[bytes]:
        """Decrypt a document that comes in pieces, in pieces; see `encrypt_stream`.

        Args:
            component: the name of a cryptography component.
            chunks: the encrypted document, in pieces of any size.
            key: the key's name, for a document that was made with ``omit_key`` or another one.

        Returns:
            the document, in pieces of its own.

        Raises:
            SidecarError: it is no document, was changed, or is of another key.

        Example:
            ```python
            async for piece in client.decrypt_stream("keys", chunks):
                print(len(piece))
            ```
        """
        path = wire.decrypt_path(component)
        return self._streamed(path, wire.decrypt_headers(key), chunks)

    async def _sent(self, path: str, headers: Headers, body: bytes) -> bytes:
        return (await self._caller.call(HttpRequest("PUT", path, headers, body))).body

    async def _streamed(
        self, path: str, headers: Headers, chunks: AsyncIterable[bytes]
    ) -> AsyncIterator[bytes]:
        request = StreamedRequest("PUT", path, headers, aiter(chunks))
        response = await streaming.carry(self._caller, request)
        try:
            if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's range of success
                body = await streaming.beginning(response.chunks)
                answer = HttpResponse(response.status, response.headers, body)
                raise await self._caller.failure(HttpRequest("PUT", path), answer)
            async for chunk in response.chunks:
                yield chunk
        finally:
            await response.close()

"""The calls that encrypt and decrypt a body."""

import msgspec

from daprflow.protocol.http import Headers
from daprflow.protocol.operations import segment

BYTES = "application/octet-stream"


class Encryption(msgspec.Struct, frozen=True):
    """How a document is encrypted; see `Client.encrypt`."""

    key: str
    algorithm: str
    cipher: str = ""
    decryption_key: str = ""
    omit_key: bool = False

    @property
    def headers(self) -> Headers:
        """The headers that say so."""
        given = (
            ("dapr-key-name", self.key),
            ("dapr-key-wrap-algorithm", self.algorithm),
            ("dapr-data-encryption-cipher", self.cipher),
            ("dapr-decryption-key-name", self.decryption_key),
            ("dapr-omit-decryption-key-name", "true" if self.omit_key else ""),
        )
        return (("content-type", BYTES), *((name, value) for name, value in given if value))


def encrypt_path(component: str) -> str:
    """Return the path of encryption (``PUT``)."""
    return f"/v1.0-alpha1/crypto/{segment(component)}/encrypt"


def decrypt_path(component: str) -> str:
    """Return the path of decryption (``PUT``)."""
    return f"/v1.0-alpha1/crypto/{segment(component)}/decrypt"


def decrypt_headers(key: str) -> Headers:
    """Return the headers of decryption; an empty key leaves the choice to the document."""
    named = (("dapr-key-name", key),) if key else ()
    return (("content-type", BYTES), *named)

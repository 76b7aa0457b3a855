"""A key that wraps other keys: read from PEM, JWK or plain bytes, and used."""

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from daprflow.sidecar.components.base import ComponentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import OAEP
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_MISMATCH = "failed to encrypt data: key type mismatch"
_EXACT_SIZES = frozenset({16, 24, 32})
_KEY_WRAP = {"A128KW": 16, "A192KW": 24, "A256KW": 32}


class _Jwk(msgspec.Struct, frozen=True):
    """A JSON web key, as far as a symmetric or an RSA one has it."""

    kty: str
    k: str = ""
    n: str = ""
    e: str = ""
    d: str = ""
    p: str = ""
    q: str = ""
    dp: str = ""
    dq: str = ""
    qi: str = ""
    key_ops: tuple[str, ...] = ()
    alg: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class WrappingKey:
    """A key as it was read: one of the first three, none of them for a kind that wraps nothing.

    Attributes:
        uses: what it may be used for; empty means everything.
        algorithm: the only one it may be used with; empty means any.
    """

    symmetric: bytes | None = None
    private: "RSAPrivateKey | None" = None
    public: "RSAPublicKey | None" = None
    uses: tuple[str, ...] = ()
    algorithm: str = ""

    def wrap(self, secret: bytes, algorithm: str) -> bytes:
        """Wrap ``secret``.

        Raises:
            ComponentError: this key cannot do it; in the runtime's words.
        """
        self._check_use(algorithm, "wrapKey")
        if algorithm in _KEY_WRAP:
            from cryptography.hazmat.primitives import keywrap  # noqa: PLC0415 - an extra

            return keywrap.aes_key_wrap(self._symmetric(algorithm), secret)
        return self._public().encrypt(secret, _oaep())

    def unwrap(self, wrapped: bytes, algorithm: str) -> bytes:
        """Take a key out of its wrapping.

        Raises:
            ComponentError: this key cannot do it, or did not wrap it.
        """
        from cryptography.hazmat.primitives import keywrap  # noqa: PLC0415 - an extra

        self._check_use(algorithm, "unwrapKey")
        try:
            if algorithm in _KEY_WRAP:
                return keywrap.aes_key_unwrap(self._symmetric(algorithm), wrapped)
            return self._private().decrypt(wrapped, _oaep())
        except (keywrap.InvalidUnwrap, ValueError):
            raise ComponentError("failed to decrypt data: it is of another key") from None

    def _check_use(self, algorithm: str, use: str) -> None:
        if self.uses and use not in self.uses:
            raise ComponentError(f"key cannot perform the '{use}' operation")
        if self.algorithm and self.algorithm != algorithm:
            raise ComponentError(f"key cannot be used with algorithm '{algorithm}'")
        if algorithm not in _KEY_WRAP and algorithm != "RSA-OAEP-256":
            # A document may name the CBC forms too, but no key of the runtime can do them.
            raise ComponentError("failed to encrypt data: unsupported algorithm")

    def _symmetric(self, algorithm: str) -> bytes:
        if self.symmetric is None or len(self.symmetric) != _KEY_WRAP[algorithm]:
            raise ComponentError(_MISMATCH)
        return self.symmetric

    def _public(self) -> "RSAPublicKey":
        return self.public if self.public is not None else self._private().public_key()

    def _private(self) -> "RSAPrivateKey":
        if self.private is None:
            raise ComponentError(_MISMATCH)
        return self.private


def read_key(raw: bytes, suffix: str) -> WrappingKey:
    """Read a key by its file's suffix, else by its looks.

    Raises:
        ComponentError: it is none.
    """
    if not raw:
        raise ComponentError("failed to parse key from secret: key is empty")
    try:
        if suffix == ".json" or (suffix != ".pem" and _looks_like_jwk(raw)):
            return _from_jwk(msgspec.json.decode(raw, type=_Jwk))
        if suffix == ".pem" or raw.startswith(b"-----"):
            return _from_pem(raw)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        # The library's text may quote the key.
        kind = type(error).__name__
        raise ComponentError(f"failed to parse key from secret: invalid key ({kind})") from None
    return WrappingKey(symmetric=_plain(raw))


def _looks_like_jwk(raw: bytes) -> bool:
    return raw.startswith(b"{") and len(raw) not in _EXACT_SIZES


def _plain(raw: bytes) -> bytes:
    """Return a symmetric key that stands as base64, in either alphabet, or as it is."""
    trimmed = raw.rstrip(b"\n=")
    padded = trimmed + b"=" * (-len(trimmed) % 4)
    for alphabet in (b"+/", b"-_"):
        try:
            return base64.b64decode(padded, altchars=alphabet, validate=True)
        except binascii.Error:
            continue
    return raw


def _from_pem(raw: bytes) -> WrappingKey:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - an extra

    if b"PRIVATE KEY" in raw:
        private = serialization.load_pem_private_key(raw, password=None)
        return (
            WrappingKey(private=private)
            if isinstance(private, rsa.RSAPrivateKey)
            else WrappingKey()
        )
    if b"BEGIN CERTIFICATE" in raw:
        from cryptography import x509  # noqa: PLC0415 - an extra

        certified = x509.load_pem_x509_certificate(raw).public_key()
        raw = certified.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    public = serialization.load_pem_public_key(raw)
    return WrappingKey(public=public) if isinstance(public, rsa.RSAPublicKey) else WrappingKey()


def _from_jwk(jwk: _Jwk) -> WrappingKey:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - an extra

    uses, algorithm = jwk.key_ops, jwk.alg
    if jwk.kty == "oct":
        return WrappingKey(symmetric=_bytes(jwk.k), uses=uses, algorithm=algorithm)
    if jwk.kty != "RSA":
        return WrappingKey(uses=uses, algorithm=algorithm)
    numbers = rsa.RSAPublicNumbers(_number(jwk.e), _number(jwk.n))
    if not jwk.d:
        return WrappingKey(public=numbers.public_key(), uses=uses, algorithm=algorithm)
    p, q, d = (_number(text) for text in (jwk.p, jwk.q, jwk.d))
    dp, dq, qi = (_number(text) for text in (jwk.dp, jwk.dq, jwk.qi))
    private = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, numbers).private_key()
    return WrappingKey(private=private, uses=uses, algorithm=algorithm)


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _oaep() -> "OAEP":
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415 - an extra

    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

"""Keys for tests, made anew for each."""

import base64
import json
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def write_keys(folder: Path) -> None:
    """Write an RSA key in every form, and AES keys of 32 bytes in every form."""
    folder.mkdir()
    private = rsa.generate_private_key(65537, 2048)
    pkcs8 = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pkcs1 = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "rsa.pem").write_bytes(pkcs8)
    (folder / "rsa1.pem").write_bytes(pkcs1)
    (folder / "rsa-guessed").write_bytes(pkcs8)
    (folder / "public.pem").write_bytes(public)
    (folder / "rsa.json").write_text(json.dumps(rsa_jwk(private)))
    aes = secrets.token_bytes(32)
    (folder / "aes").write_bytes(base64.b64encode(aes) + b"\n")
    (folder / "aes-url").write_bytes(base64.urlsafe_b64encode(aes))
    (folder / "aes.json").write_text(json.dumps({"kty": "oct", "k": url(aes)}))
    sign = {"kty": "oct", "k": url(aes), "key_ops": ["sign"]}
    (folder / "sign.json").write_text(json.dumps(sign))
    gcm = {"kty": "oct", "k": url(aes), "alg": "A256GCM"}
    (folder / "gcm.json").write_text(json.dumps(gcm))
    (folder / "aes-raw").write_bytes(b"\xff" + aes[1:])
    (folder / "short").write_bytes(base64.b64encode(aes[:16]))
    (folder / "empty").write_bytes(b"")
    (folder / "broken.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nprivate1\n-----END")
    (folder / "broken.json").write_text('{"kty": "oct", "k": 7}')
    (folder / "curve.json").write_text('{"kty": "EC", "crv": "P-256", "x": "", "y": ""}')


def rsa_jwk(private: rsa.RSAPrivateKey) -> dict[str, str]:
    """Return a private RSA key as a JSON web key."""
    numbers = private.private_numbers()
    public = numbers.public_numbers
    parts = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    parts |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    size = {name: (number.bit_length() + 7) // 8 for name, number in parts.items()}
    made = {name: url(number.to_bytes(size[name], "big")) for name, number in parts.items()}
    return {"kty": "RSA", **made}


def url(raw: bytes) -> str:
    """Return bytes as a JSON web key has them."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

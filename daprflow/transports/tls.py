"""TLS from PEM files: of the client's calls to a sidecar elsewhere, and of an app's own server."""

import ssl
from pathlib import Path

from daprflow.errors import DaprFlowError
from daprflow.settings import Settings

_SOUGHT = "it must be a PEM file that this process may read"


class TlsFileError(DaprFlowError, ValueError):
    """A certificate or a key cannot be used; the text names the file, never what is in it."""


def client_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what is trusted and shown over HTTPS; None for what this machine trusts.

    Names and certificates are verified in any case.

    Raises:
        TlsFileError: a file of the settings cannot be used.
    """
    if not (settings.sidecar_ca or settings.sidecar_cert or settings.sidecar_key):
        return None
    context = ssl.create_default_context(cadata=_read_ca(settings.sidecar_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.sidecar_cert or settings.sidecar_key:
        _load_pair(context, settings.sidecar_cert, settings.sidecar_key)
    return context


def grpc_files(settings: Settings) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return what a gRPC channel trusts, and the key and the certificate that it shows.

    Raises:
        TlsFileError: a file of the settings cannot be used.
    """
    client_context(settings)  # the library itself says nothing of what is wrong with a file
    ca = _read(settings.sidecar_ca) if settings.sidecar_ca else None
    if not settings.sidecar_cert:
        return ca, None, None
    return ca, _read(settings.sidecar_key), _read(settings.sidecar_cert)


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return what an app shows its callers.

    Args:
        certificate: with those between it and the authority below it.
        key: its private key; None where that is in the same file.

    Raises:
        TlsFileError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, str(certificate), str(key or certificate))
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    if not certificate or not key:
        raise TlsFileError(
            "a client certificate and its key belong together; "
            "set both DAPRFLOW_SIDECAR_CERT and DAPRFLOW_SIDECAR_KEY"
        )
    for each in (certificate, key):
        _read(each)  # an error of the ssl module does not say which file it means
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError):
        raise TlsFileError(
            f"certificate '{certificate}' and key '{key}' cannot be used: they must be PEM, "
            "belong together, and the key may have no password"
        ) from None


def _no_password() -> str:
    raise ValueError("nobody is there to be asked for a password")


def _read_ca(name: str) -> str | None:
    if not name:
        return None
    text = _read(name).decode("ascii", "replace")
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        raise TlsFileError(f"'{name}' holds no certificate of an authority; {_SOUGHT}") from None
    return text


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise TlsFileError(f"'{name}' cannot be read: {error.strerror}; {_SOUGHT}") from None

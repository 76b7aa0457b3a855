"""Whether something accepts connections."""

import asyncio
import ssl

TIMEOUT = 0.5


async def accepts_connections(host: str, port: int, *, tls: bool = False) -> bool:
    """Tell whether a connection can be made now, a TLS one where ``tls`` is set."""
    loop = asyncio.get_running_loop()
    context = unverified() if tls else None
    try:
        async with asyncio.timeout(TIMEOUT):
            transport, _ = await loop.create_connection(
                asyncio.Protocol, host, port, ssl=context, ssl_handshake_timeout=None
            )
    except (OSError, TimeoutError):
        return False
    transport.close()
    return True


def unverified() -> ssl.SSLContext:
    """Return settings of TLS that take any certificate: the app is on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context

"""Which channel the options of a sidecar lead to."""

from daprflow.sidecar.channel.connect import make_channel
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.tls import TlsChannel
from daprflow.sidecar.options import RuntimeOptions


async def test_the_app_protocol_chooses_the_channel() -> None:
    """``http`` and ``https`` have one each, and no port means no channel."""
    assert isinstance(make_channel(RuntimeOptions("a", 1)), HttpChannel)
    assert isinstance(make_channel(RuntimeOptions("a", 1, app_protocol="https")), TlsChannel)
    assert make_channel(RuntimeOptions("a")) is None

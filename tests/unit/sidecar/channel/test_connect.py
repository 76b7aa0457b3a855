"""Which channel the options of a sidecar lead to."""

import pytest

from daprflow.sidecar.channel.connect import ProtocolNotOffered, make_channel
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.tls import TlsChannel
from daprflow.sidecar.options import RuntimeOptions


async def test_the_app_protocol_chooses_the_channel() -> None:
    """``http`` and ``https`` have one each, and no port means no channel."""
    assert isinstance(make_channel(RuntimeOptions("a", 1)), HttpChannel)
    assert isinstance(make_channel(RuntimeOptions("a", 1, app_protocol="https")), TlsChannel)
    assert make_channel(RuntimeOptions("a")) is None


@pytest.mark.parametrize("protocol", ["grpc", "grpcs", "h2c", "HTTP", ""])
def test_other_protocols_are_refused(protocol: str) -> None:
    """What is not offered is named, with what is."""
    with pytest.raises(ProtocolNotOffered, match=f"'{protocol}'.*'http' or 'https'"):
        make_channel(RuntimeOptions("a", 1, app_protocol=protocol))

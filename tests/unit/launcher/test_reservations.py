"""Ports promised to programs that have not bound them yet."""

import sys

import pytest

from daprflow.launcher import ports
from daprflow.launcher.reservations import is_reserved, reserve
from tests.helpers.own_ports import free_port

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has abstract socket names"
)


def test_a_promised_port_is_not_given_away() -> None:
    """Another run passes over it, though nobody listens there yet."""
    with ports.listen_from(free_port()) as listener:
        port = listener.getsockname()[1]
        promise = reserve(port)
    assert promise is not None

    with promise, ports.listen_from(port) as other:
        assert other.getsockname()[1] != port


def test_a_promise_ends_when_it_is_closed() -> None:
    """Nothing is left behind that somebody would have to clean up."""
    port = free_port()
    promise = reserve(port)
    assert promise is not None
    assert is_reserved(port)

    promise.close()

    assert not is_reserved(port)

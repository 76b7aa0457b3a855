"""What is known of a host by its name alone."""

import pytest

from daprflow.protocol.hosts import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_this_machine_is_known(host: str) -> None:
    """By its name, and by any of its addresses."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "10.0.0.1", "127.0.0.1.example.org", "::2", "é"])
def test_no_other_is_taken_for_it(host: str) -> None:
    """Whatever a name begins with, and an address that means every interface."""
    assert not is_loopback(host)

"""Taking ports and naming who has them."""

import os
import socket

import pytest

from daprflow.launcher import ports
from daprflow.launcher.exits import Exit, LaunchError
from tests.helpers.own_ports import free_port


def test_a_free_port_is_taken_exactly() -> None:
    """The port asked for is the port that listens."""
    port = free_port()
    with ports.listen(port, flag="--x") as listener:
        assert listener.getsockname() == ("127.0.0.1", port)


@pytest.mark.row("FS-11")
def test_a_taken_port_names_process_and_flag() -> None:
    """FS-11: the message says who has the port and how to choose another."""
    with (
        ports.listen_from(20_000) as listener,
        pytest.raises(LaunchError) as caught,
    ):
        ports.listen(listener.getsockname()[1], flag="--dapr-http-port")
    assert caught.value.code is Exit.PORT_TAKEN
    assert f"process {os.getpid()} (" in str(caught.value)
    assert "--dapr-http-port" in str(caught.value)


def test_an_address_of_another_machine_is_one_line() -> None:
    """What is not taken but impossible is said as such."""
    with pytest.raises(LaunchError, match=r"cannot listen on 192\.0\.2\.1:"):
        ports.listen(20_000, host="192.0.2.1", flag="--host")


def test_an_impossible_address_is_not_tried_on_every_port() -> None:
    """The first refusal that has nothing to do with the port ends the search."""
    with pytest.raises(LaunchError, match=r"cannot listen on '192\.0\.2\.1': .*--app-channel-add"):
        ports.listen_from(20_000, host="192.0.2.1")


@pytest.mark.row("FC-06")
def test_picks_are_distinct_and_below_the_ephemeral_range() -> None:
    """G20: sockets hold what was picked, so no port is given twice."""
    held = [ports.listen_from(20_000) for _ in range(50)]
    try:
        numbers = [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()
    assert len(set(numbers)) == 50
    assert max(numbers) < ports.ephemeral_start()


@pytest.mark.row("FS-36")
def test_promised_ports_are_distinct_and_none_of_the_usual_ones() -> None:
    """Nobody else is given a promised port until the promise ends; what is to be avoided is."""
    with ports.promised_port() as one, ports.promised_port({one + 1}) as two:
        assert len({one, two, one + 1, 3500}) == 4
        assert max(one, two) < ports.ephemeral_start()
        with ports.listen(one, flag="--dapr-http-port"):
            pass  # it is free for whom it was promised to


def test_the_http_api_leaves_the_grpc_api_the_port_that_it_wants() -> None:
    """A gRPC API may be told to take the usual port of the HTTP API."""
    with ports.http_listener(None) as usual:
        wanted = usual.getsockname()[1]
    with ports.http_listener(None, wanted) as listener:
        assert listener.getsockname()[1] != wanted


def test_both_apis_leave_the_app_its_port() -> None:
    """An app may listen on what would be the usual port of either API."""
    for take in (ports.http_listener, ports.grpc_listener):
        with take(None) as usual:
            wanted = usual.getsockname()[1]
        with take(None, None, wanted) as listener:
            assert listener.getsockname()[1] != wanted


@pytest.mark.row("FC-06")
def test_a_port_inside_the_ephemeral_range_falls_back_below_it() -> None:
    """The usual gRPC port lies inside; the next choice does not."""
    with (
        socket.create_server(("127.0.0.1", 0)) as blocker,
        ports.listen_from(blocker.getsockname()[1]) as listener,
    ):
        assert listener.getsockname()[1] < ports.ephemeral_start()


def test_avoided_ports_are_passed_over() -> None:
    """A port promised to something else is not picked."""
    port = free_port()
    with ports.listen_from(port, avoid={port}) as listener:
        assert listener.getsockname()[1] != port


def test_a_port_nobody_has_has_no_owner() -> None:
    """Nothing is invented."""
    assert ports.owner_of(free_port()) is None


def test_a_port_is_free_again_after_its_connections_closed() -> None:
    """Connections in TIME_WAIT do not move the next run to another port."""
    port = free_port()
    with ports.listen(port, flag="--x") as listener:
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = listener.accept()
        served.close()
        client.close()
    ports.require_free(port, flag="--x")

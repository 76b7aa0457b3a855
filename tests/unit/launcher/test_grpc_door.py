"""The door of the gRPC API: open before gRPC is, one port all the time, closed for good."""

import asyncio
import contextlib
import socket
from pathlib import Path

import grpc
import pytest

from daprflow.launcher.doors import take_doors
from daprflow.launcher.exits import LaunchError
from daprflow.launcher.grpc_door import EARLY, GrpcDoor
from daprflow.protocol import messages as m
from tests.helpers.own_ports import free_port
from tests.helpers.sidecar import Components, in_process_sidecar

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
SETTINGS = 4
STORE: Components = {"store": ("state.in-memory", {})}


async def test_who_comes_before_grpc_is_there_is_served(tmp_path: Path) -> None:
    """A call on a connection of before the start is answered; so is the next one on it."""
    doors = take_doors(free_port(), free_port())
    async with in_process_sidecar(tmp_path, STORE) as sidecar:
        door = GrpcDoor(doors.grpc)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{doors.grpc_port}") as channel:
            stub = m.DaprStub(channel)
            early = asyncio.create_task(ask(stub))
            await asyncio.sleep(0)
            await door.open(sidecar.runtime)
            assert await early == m.GetStateResponse()
            assert await ask(stub) == m.GetStateResponse()
        await door.close(0)
    doors.close()


async def test_a_crowd_before_grpc_is_there_is_served(tmp_path: Path) -> None:
    """More callers than are let in early wait at the port until gRPC takes them."""
    doors = take_doors(free_port(), free_port())
    loop = asyncio.get_running_loop()
    async with in_process_sidecar(tmp_path, STORE) as sidecar:
        with contextlib.ExitStack() as crowd:
            address = ("127.0.0.1", doors.grpc_port)
            callers = [
                crowd.enter_context(socket.create_connection(address)) for _ in range(2 * EARLY)
            ]
            door = GrpcDoor(doors.grpc)
            await door.open(sidecar.runtime)
            for caller in callers:
                caller.settimeout(0)
                await loop.sock_sendall(caller, HELLO)
            answers = await asyncio.gather(*(loop.sock_recv(caller, 9) for caller in callers))
            assert {answer[3] for answer in answers} == {SETTINGS}
        await door.close(0)
    doors.close()


async def test_a_door_that_closes_gives_its_port_back(tmp_path: Path) -> None:
    """After the end the port can be taken by anybody, also where gRPC was still starting."""
    port = free_port()
    for wait in (False, True):
        doors = take_doors(free_port(), port)
        async with in_process_sidecar(tmp_path, STORE) as sidecar:
            door = GrpcDoor(doors.grpc)
            await door.open(sidecar.runtime)
            if wait:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    await ask(m.DaprStub(channel))
            await door.close(0)
        doors.close()
        with socket.create_server(("127.0.0.1", port)):
            pass


async def test_nobody_else_gets_the_port(tmp_path: Path) -> None:
    """A second run that names the same port is refused while the first has it."""
    doors = take_doors(free_port(), free_port())
    async with in_process_sidecar(tmp_path, STORE) as sidecar:
        door = GrpcDoor(doors.grpc)
        await door.open(sidecar.runtime)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{doors.grpc_port}") as channel:
            await ask(m.DaprStub(channel))
        with pytest.raises(LaunchError, match="--dapr-grpc-port"):
            take_doors(free_port(), doors.grpc_port)
        await door.close(0)
    doors.close()


async def ask(stub: m.DaprStub) -> m.GetStateResponse:
    """Make one call."""
    request = m.GetStateRequest(store_name="store", key="a")
    answer: m.GetStateResponse = await stub.GetState(request)
    return answer

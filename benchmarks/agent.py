"""The load process: carries out orders read from standard input, one JSON line each."""

import asyncio
import sys

import msgspec
import uvloop

from benchmarks.client import saturate
from benchmarks.messages import (
    Failed,
    Order,
    PublishAlone,
    PublishMany,
    Remind,
    Report,
    Saturate,
    Started,
)
from benchmarks.publishing import Ledger, publish_alone, publish_many
from benchmarks.reminding import ActorSink, Ticks, remind
from benchmarks.sink import Sink


def _say(report: Report) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


async def _carry_out(order: Order, ledger: Ledger, ticks: Ticks) -> Report:
    try:
        match order:
            case Saturate():
                return await saturate(order)
            case PublishMany():
                return await publish_many(order, ledger)
            case PublishAlone():
                return await publish_alone(order, ledger)
            case Remind():
                return await remind(order, ticks)
    except (OSError, TimeoutError) as error:
        return Failed(reason=f"{type(error).__name__}: {error}")


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    ledger, ticks = Ledger(), Ticks()
    events = await loop.create_server(lambda: Sink(ledger.note), "127.0.0.1", 0)
    actors = await loop.create_server(lambda: ActorSink(ticks.note), "127.0.0.1", 0)
    sink_port, actor_port = (each.sockets[0].getsockname()[1] for each in (events, actors))
    _say(Started(sink_port, actor_port))
    decoder = msgspec.json.Decoder(Order)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _say(await _carry_out(decoder.decode(line), ledger, ticks))
    events.close()
    actors.close()


if __name__ == "__main__":
    uvloop.run(_serve())

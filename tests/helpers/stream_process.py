"""A client in a process of its own: takes an event from a stream, says so, and never judges it."""

import asyncio
import sys

import grpc

from daprflow.protocol import messages as m


async def _hold(port: str, topic: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = m.DaprStub(channel).SubscribeTopicEventsAlpha1()
        request = m.SubscribeTopicEventsRequestInitialAlpha1(pubsub_name="pubsub", topic=topic)
        await call.write(m.SubscribeTopicEventsRequestAlpha1(initial_request=request))
        await call.read()
        _say("open")
        event = (await call.read()).event_message
        _say(event.id)
        await asyncio.Event().wait()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_hold(*sys.argv[1:]))

"""An HTTP app that calls a gRPC service of another team, through the sidecar."""

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow

from .greeter import GreeterStub

app = DaprFlow("front")


@app.provide
async def greeter(client: Client) -> GreeterStub:
    return GreeterStub(client.grpc_channel("greeter"))


@app.invoke
async def welcome(name: str, *, greeter: GreeterStub) -> str:
    try:
        answer = await greeter.Greet(StringValue(value=name), timeout=2)
    except grpc.aio.AioRpcError as error:  # errors are gRPC's own
        if error.code() is grpc.StatusCode.NOT_FOUND:
            raise HTTPException(404, f"nobody is called {name}") from None
        raise
    text: str = answer.value
    return text


@app.invoke
async def spell(name: str, *, greeter: GreeterStub) -> list[str]:
    return [each.value async for each in greeter.Spell(StringValue(value=name))]

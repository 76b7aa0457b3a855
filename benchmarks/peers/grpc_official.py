"""Peer: an app on Dapr's gRPC extension, with a topic and a method; it serves by threads."""

import json
import sys
import threading

from dapr.ext.grpc import App, InvokeMethodRequest, InvokeMethodResponse, SubscriptionMessage

app = App()


@app.subscribe(pubsub_name="pubsub", topic="orders")  # type: ignore[untyped-decorator,unused-ignore]
def on_order(event: SubscriptionMessage) -> None:
    """Handle an order."""
    int(event.data()["id"])  # type: ignore[no-untyped-call,unused-ignore]


@app.method(name="quote")  # type: ignore[untyped-decorator,unused-ignore]
def quote(request: InvokeMethodRequest) -> InvokeMethodResponse:
    """Answer an invocation."""
    order = json.loads(request.data)
    order["total"] += 1
    return InvokeMethodResponse(json.dumps(order).encode(), "application/json")


if __name__ == "__main__":
    port = int(sys.argv[1])
    print(port, flush=True)
    threading.Thread(target=app.run, args=(port,), daemon=True).start()
    sys.stdin.read()

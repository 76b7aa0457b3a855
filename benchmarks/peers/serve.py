"""Serve an ASGI application as a peer: uvicorn with uvloop and httptools, no logging."""

import importlib
import os
import socket
import sys
import threading
from typing import Any

import uvicorn


def serve(app: Any, port: int = 0) -> None:
    """Serve ``app`` on a port of loopback, print the port, end when standard input closes.

    Port 0 takes a free one.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    config = uvicorn.Config(
        app, http="httptools", loop="uvloop", log_level="error", access_log=False, lifespan="auto"
    )
    end_with_parent()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


def end_with_parent() -> None:
    """End this process when its standard input closes, however the parent ended."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    serve(importlib.import_module(f"benchmarks.peers.{sys.argv[1]}").app, *map(int, sys.argv[2:]))

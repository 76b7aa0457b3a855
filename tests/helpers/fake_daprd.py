"""A stand-in for ``daprd``: answers health, tells what it was started with, ends when asked."""

import http.client
import http.server
import os
import sys
from pathlib import Path


class Api(http.server.BaseHTTPRequestHandler):
    """Healthy at once; a POST is a crash."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        os._exit(4)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def subscriptions(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    token = os.environ["APP_API_TOKEN"]
    connection.request("GET", "/dapr/subscribe", headers={"dapr-api-token": token})
    return connection.getresponse().read().decode()


def main(words: list[str]) -> None:
    version = os.environ.get("FAKE_DAPRD_VERSION", "1.18.3")
    if words == ["--version"]:
        tell(version)
        return
    tell('time="now" level=info msg="starting" ver=1.18.3 \x1b[31m')
    if os.environ.get("FAKE_DAPRD") == "crash":
        tell("something is wrong with it")
        sys.exit(3)
    flags = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    for word in words:
        tell("flag", word)
        if word.startswith("--resources-path="):
            for file in sorted(Path(word.partition("=")[2]).iterdir()):
                tell("resource", file.name, file.read_text(encoding="utf-8"))
        if word.startswith("--config="):
            tell("configuration", Path(word.partition("=")[2]).read_text(encoding="utf-8"))
    tell("tokens", bool(os.environ["DAPR_API_TOKEN"]), bool(os.environ["APP_API_TOKEN"]))
    tell("subscriptions", subscriptions(int(flags["app-port"])))
    address = ("127.0.0.1", int(flags["dapr-http-port"]))
    http.server.ThreadingHTTPServer(address, Api).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])

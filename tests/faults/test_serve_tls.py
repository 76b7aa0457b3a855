"""``daprflow serve`` over HTTPS, beside a sidecar that is told so."""

import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.certificates import files_of
from tests.helpers.cli_run import Run, finish, write
from tests.helpers.own_ports import free_port

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

DAPRFLOW = (sys.executable, "-m", "daprflow")
APP = """
from daprflow import DaprFlow

app = DaprFlow("shop")


@app.invoke
async def total() -> int:
    return 7
"""


@pytest.mark.row("S-34")
def test_an_app_over_https_is_invoked_through_its_sidecar(tmp_path: Path) -> None:
    """``--app-protocol https`` and ``--tls-cert`` fit each other; callers verify by themselves."""
    files = files_of(tmp_path, "good")
    write(tmp_path, {"app.py": APP})
    port = free_port()
    words = ("serve", "app.py", "--port", str(port), "--tls-cert", str(files.pair))
    flags = ("--app-id", "shop", "--app-port", str(port), "--app-protocol", "https")
    ports = ("--dapr-http-port", str(free_port()), "--dapr-grpc-port", str(free_port()))
    with Run(
        tmp_path, "run", "--sidecar", "embedded", *flags, *ports, "--", *DAPRFLOW, *words
    ) as run:
        run.ready()
        url = f"http://127.0.0.1:{run.port('Dapr HTTP')}/v1.0/invoke/shop/method/total"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
            assert answer.read() == b"7"
        known = ssl.create_default_context(cafile=files.ca)
        health = f"https://localhost:{port}/healthz"
        with urllib.request.urlopen(health, context=known) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            urllib.request.urlopen(health)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tls-key", "key.pem"), "give --tls-cert, too"),
        (("--tls-cert", "none.pem"), "'none.pem' cannot be read"),
    ],
)
def test_what_cannot_be_served_with(tmp_path: Path, words: tuple[str, str], told: str) -> None:
    """A file that is missing is told in one line, and nothing is served."""
    write(tmp_path, {"app.py": APP})
    code, text = finish(tmp_path, "serve", "app.py", *words)
    assert code != 0
    assert told in text.replace("\n", " ")
    assert "Traceback" not in text

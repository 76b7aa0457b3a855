"""A project of ``daprflow new``, as its README says it is run and tried."""

import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, finish

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        ("service", ["published to pubsub/orders", "5"]),
        ("workflow", ["1", "1 ", "sent"]),
        ("actor", ["1", "1"]),
    ],
)
def test_what_the_readme_says_works(tmp_path: Path, template: str, answers: list[str]) -> None:
    """The new project runs, and the commands that try it are answered."""
    assert finish(tmp_path, "new", "shop", "--template", template)[0] == 0
    home = tmp_path / "shop"
    blocks = SHELL.findall((home / "README.md").read_text())
    run_it, try_it = ([shlex.split(line) for line in blocks[at].splitlines()] for at in (1, 2))
    assert run_it == [["daprflow", "run", "shop"]]
    with Run(home, *run_it[0][1:]) as run:
        run.ready()
        for words, answer in zip(try_it, answers, strict=True):
            code, text = eventually(home, words[1:], answer)
            assert code == 0, text
            assert answer in text
        run.send(signal.SIGINT)
        assert run.ended() == 0
        assert run.all_gone()


def eventually(home: Path, words: list[str], answer: str) -> tuple[int, str]:
    """Run a command until it says what it does once everything before it has happened."""
    code, text = finish(home, *words)
    for _ in range(20):
        if code == 0 and answer in text:
            break
        code, text = finish(home, *words)
    return code, text

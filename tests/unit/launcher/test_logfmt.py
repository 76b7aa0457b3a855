"""Log lines of a real runtime in our own form."""

from daprflow.launcher.logfmt import retagged


def test_a_runtime_line_keeps_level_scope_and_message() -> None:
    """Time, app id and instance are left out; quotes inside a message are read."""
    line = (
        r'time="2026-11-21T12:00:00Z" level=warning msg="cannot read \"a\"" app_id=shop '
        "instance=vm scope=dapr.runtime type=log ver=1.18.3"
    )

    assert retagged(line) == 'daprd | WARNING dapr.runtime: cannot read "a"'


def test_a_one_word_message_is_read_too() -> None:
    """Go leaves the quotes away where a message is one word; a scope may be absent."""
    assert retagged("time=x level=info msg=starting") == "daprd | INFO    dapr: starting"


def test_any_other_line_stays_as_it_is() -> None:
    """A panic or a line of a library is passed on whole."""
    line = "panic: level=info but no message"

    assert retagged(line) == f"daprd | {line}"

"""What holds pages to what is printed tells one from the other."""

from pathlib import Path

import pytest

from tests.helpers.screen_player import Player
from tests.helpers.screens import Typed, masked, ports, same, screens

PAGE = """
```console
$ daprflow publish pubsub orders \\
    '{"id": 1}'
published to pubsub/orders
$ daprflow list
```

<!-- numbers vary -->
```text
order 7

order 8
```

```python
print("no screen")
```
"""


def test_a_page_is_taken_apart() -> None:
    """Commands with what they print, lines of other terminals, and nothing else."""
    typed, shown = screens(PAGE)
    assert typed.typed == (
        Typed(
            "daprflow publish pubsub orders \\\n    '{\"id\": 1}'", ("published to pubsub/orders",)
        ),
        Typed("daprflow list", ()),
    )
    assert not typed.numbers_vary
    assert shown.shown == ("order 7", "order 8")
    assert shown.numbers_vary
    assert shown.line == 9


def test_a_block_that_begins_with_no_command_is_refused() -> None:
    """Output without its command is a mistake of the page."""
    with pytest.raises(ValueError, match="begins with"):
        screens("```console\nready\n```\n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 392bcf", "order ac2b50"),
        ("ready after 0.3 s", "ready after 12.4 s"),
        ("06:41:58 ERROR   x", "23:00:01 ERROR   x"),
        ("Dapr HTTP 3500, Dapr gRPC 50001, app 8000", "Dapr HTTP 3501, Dapr gRPC 30768, app 8003"),
        ("due 2026-11-22T06:41:58.12Z", "due 2027-01-02T00:00:00+00:00"),
    ],
)
def test_what_no_two_runs_print_alike_is_masked(one: str, other: str) -> None:
    """Ids, times, amounts of time and ports."""
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("order 7", "order 8"), ("total 12.50", "total 12.51"), ("app 'shop'", "app 'till'")],
)
def test_what_differs_is_told(one: str, other: str) -> None:
    """Numbers are compared unless the page says that they vary; words always are."""
    assert masked(one) != masked(other)
    assert (masked(one, numbers=True) == masked(other, numbers=True)) is ("app" not in one)


def test_dots_stand_for_any_lines() -> None:
    """A page may leave lines out, none or several, and nothing else."""
    assert same(["a", "...", "d"], ["a", "b", "c", "d"])
    assert same(["a", "..."], ["a"])
    assert not same(["a", "...", "d"], ["a", "b"])
    assert not same(["a"], ["a", "b"])
    assert not same(["a", "b"], ["a"])


def test_ports_of_a_banner_are_found() -> None:
    """In the order in which it names them."""
    line = "  ports     Dapr HTTP 3500, Dapr gRPC 50001, app 8000"
    assert ports(["app 'shop' is ready after 0.3 s", line]) == ["3500", "50001", "8000"]


def test_a_port_that_an_example_names_is_given_to_one_reader(tmp_path: Path) -> None:
    """Wherever it stands in the copy: another run on the machine may have it."""
    (tmp_path / "dapr.yaml").write_text("apps:\n- appID: shop\n  appPort: 8097\n")
    (tmp_path / "till.py").write_text('SHOP = "http://localhost:8097"\n')
    with Player(tmp_path, "~/shop", tmp_path / "home"):
        port = (tmp_path / "dapr.yaml").read_text().split()[-1]
        assert port != "8097"
        assert (tmp_path / "till.py").read_text() == f'SHOP = "http://localhost:{port}"\n'

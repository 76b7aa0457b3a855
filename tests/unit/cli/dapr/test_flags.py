"""Flags in the forms that the official command line takes."""

import pytest

from daprflow.cli.dapr.flags import Flag, FlagError, Kind, parse

FLAGS = (
    Flag("app-id", short="a"),
    Flag("app-port", Kind.NUMBER, "p"),
    Flag("resources-path", Kind.LIST),
    Flag("enable-app-health-check", Kind.SWITCH),
    Flag("kubernetes", Kind.SWITCH, "k"),
)


@pytest.mark.parametrize(
    "words",
    [
        ("--app-id", "x", "--app-port", "80"),
        ("--app-id=x", "--app-port=80"),
        ("-a", "x", "-p", "80"),
        ("-ax", "-p80"),
        ("-a=x", "-p=80"),
        ("-ka", "x", "-kp80"),
        ("--app-id", "old", "-p80", "--app-id", "x"),
    ],
)
def test_all_forms_of_a_flag_mean_the_same(words: tuple[str, ...]) -> None:
    """A value follows its flag as a word, after '=' or at once; the last one counts."""
    given = parse(words, FLAGS, "run")
    assert (given.text("app-id"), given.number("app-port")) == ("x", 80)


def test_words_and_the_command_are_kept_apart() -> None:
    """What follows '--' is the command as it is; flags may stand behind other words."""
    given = parse(("python", "-a", "x", "main.py", "--", "-p", "--", "y"), FLAGS, "run")
    assert given.words == ("python", "main.py")
    assert given.command == ("-p", "--", "y")
    assert given.text("app-id") == "x"


def test_no_command_is_none() -> None:
    """A command line without '--' has no command, one that ends with it an empty one."""
    assert parse(("-a", "x"), FLAGS, "run").command is None
    assert parse(("-a", "x", "--"), FLAGS, "run").command == ()


def test_a_list_is_given_several_times_or_with_commas() -> None:
    """Every value of a list counts, and those with commas are several."""
    words = ("--resources-path", "a,b", "--resources-path=c")
    assert parse(words, FLAGS, "run").many("resources-path") == ("a", "b", "c")


@pytest.mark.parametrize(
    ("words", "on"),
    [
        (("--enable-app-health-check", "app"), True),
        (("--enable-app-health-check=true",), True),
        (("--enable-app-health-check=T",), True),
        (("--enable-app-health-check=false",), False),
        ((), False),
    ],
)
def test_a_switch_takes_a_value_only_after_an_equals_sign(
    words: tuple[str, ...], *, on: bool
) -> None:
    """The word behind a switch is no value of it."""
    assert parse(words, FLAGS, "run").on("enable-app-health-check") is on


@pytest.mark.parametrize("text", ["0", "-1"])
def test_ports_that_are_none_are_as_if_left_out(text: str) -> None:
    """The official program writes -1 and 0 for a port that nobody chose."""
    assert parse(("--app-port", text), FLAGS, "run").number("app-port") is None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--app-identity", "x"), "'dapr run' has no flag '--app-identity'"),
        (("-x",), "'dapr run' has no flag '-x'"),
        (("-a",), "flag '--app-id' needs a value"),
        (("-p", "many"), "flag '--app-port' takes a number, not 'many'"),
        (("-k=maybe",), "flag '--kubernetes' is true or false, not 'maybe'"),
    ],
)
def test_what_cannot_be_read_is_named(words: tuple[str, ...], problem: str) -> None:
    """An unknown flag, and a value that a flag cannot have, are told with the flag's name."""
    with pytest.raises(FlagError) as caught:
        parse(words, FLAGS, "run")
    assert problem in str(caught.value)

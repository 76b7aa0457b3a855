"""Protobuf's JSON form, as it is read."""

import msgspec
import pytest

from daprflow.protocol.protojson import ProtoJsonError, read_message


class Part(msgspec.Struct, frozen=True, rename="camel"):
    long_name: str = ""


class Message(msgspec.Struct, frozen=True, rename="camel"):
    some_parts: tuple[Part, ...] = ()
    one_part: Part | None = None
    big_number: int = 0
    labels: dict[str, str] = {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"someParts": [{"longName": "x"}], "onePart": {"longName": "y"}, "bigNumber": "7"}',
        b'{"some_parts": [{"long_name": "x"}], "one_part": {"long_name": "y"}, "big_number": 7}',
        b'{"someParts": [{"longName": "x"}], "onePart": {"longName": "y"}, "bigNumber":7, "n":1}',
        b'{"someParts": [{"longName": "x","z":1}], "onePart": {"long_name": "y"}, "bigNumber":7}',
    ],
)
def test_both_spellings_mean_the_same(body: bytes) -> None:
    """Names in camel and in snake case are read, a number may be text, unknown ones go."""
    assert read_message(Message, body) == Message((Part("x"),), Part("y"), 7)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"onePart": null}'])
def test_nothing_given_means_the_defaults(body: bytes) -> None:
    """An empty body is an empty message."""
    assert read_message(Message, body) == Message()


def test_the_names_of_a_map_stay() -> None:
    """A map's names are data, not fields."""
    assert read_message(Message, b'{"labels": {"long_name": "x"}}').labels == {"long_name": "x"}


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b"{", b'{"bigNumber": "secret"}', b'{"someParts": {}}', b'"\xff"', b"[" * 9999],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """The error says why and quotes no value."""
    with pytest.raises(ProtoJsonError) as caught:
        read_message(Message, body)
    assert "secret" not in str(caught.value)

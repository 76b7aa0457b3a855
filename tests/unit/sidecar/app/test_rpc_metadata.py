"""Headers of HTTP as metadata of gRPC, and back."""

import pytest

from daprflow.sidecar.app.rpc_metadata import headers_of, metadata_of


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("x-mine", "x-mine"),
        ("cookie", "dapr-cookie"),
        ("content-type", "dapr-content-type"),
        ("host", "dapr-host"),
        ("authorization", "authorization"),
        ("accept-encoding", "accept-encoding"),
        ("grpc-timeout", "dapr-grpc-timeout"),
    ],
)
def test_headers_that_mean_something_to_http_are_renamed(name: str, sent: str) -> None:
    """Others keep their names; those of gRPC itself get the prefix as well."""
    assert metadata_of(((name, "v"), (name, "w"))) == ((sent, "v"), (sent, "w"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("te", "trailers"),
        ("user-agent", "x"),
        ("x-data-bin", "AA=="),
        ("destination-app-id", "x"),
        ("x-name", "caf\xe9"),
        ("x-name", "a\tb"),
        ("x!name", "v"),
        ("x:name", "v"),
    ],
)
def test_what_metadata_cannot_carry_is_left_out(name: str, value: str) -> None:
    """The library would refuse the whole call for it."""
    assert metadata_of(((name, value), ("a", "b"))) == (("a", "b"),)


def test_an_answers_metadata_become_headers() -> None:
    """Bytes stay behind, and so does what the answer itself says of its body."""
    metadata = (
        ("x", "1"),
        ("x", "2"),
        ("y-bin", b"\x00"),
        ("content-type", "a/b"),
        ("grpc-q", "3"),
    )
    assert headers_of(metadata) == (("x", "1"), ("x", "2"), ("dapr-grpc-q", "3"))

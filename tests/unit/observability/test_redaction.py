"""What no log line holds: secrets, by type, by name, by form and by value, and control codes."""

import pickle

import pytest

from daprflow.observability import Secret
from daprflow.observability.redaction import LONGEST, MASK, Redaction, escaped, one_line

CANARY = "c4n4ry-5ecret-value"


def test_a_secret_shows_itself_on_request_alone() -> None:
    """Every way of making text of it gives the mask; it cannot be pickled."""
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>30}",
        "%s" % secret,  # noqa: UP031 - one of the ways
        f"{[secret]}",
    ]
    assert not any(CANARY in each for each in shown)
    assert secret == Secret(CANARY)
    assert secret != Secret("other")
    assert secret
    assert not Secret("")
    with pytest.raises(TypeError, match="reveal"):
        pickle.dumps(secret)


@pytest.mark.row("S-03")
@pytest.mark.parametrize(
    "name",
    [
        "password", "db_password", "PASSWD", "token", "accessToken", "X-Api-Key", "api_key",
        "authorization", "client-secret", "connectionString", "dapr-api-token", "account_key",
        "privateKey", "Set-Cookie", "dsn",
    ],
)  # fmt: skip
def test_names_of_secrets_hide_their_values(name: str) -> None:
    """A field's name is enough, at whatever depth it stands."""
    redaction = Redaction()
    assert redaction.value(name, CANARY) == MASK
    nested = redaction.value("given", {"options": [{name: CANARY}]})
    assert nested == {"options": [{name: MASK}]}


def test_harmless_names_keep_their_values() -> None:
    """What only looks like a secret's name hides nothing."""
    redaction = Redaction()
    for name in ("tokens", "prompt_tokens", "secret_store", "key", "path", "total"):
        assert redaction.value(name, 12) == 12


@pytest.mark.row("S-03")
@pytest.mark.parametrize(
    "text",
    [
        f"password={CANARY}",
        f"token: {CANARY}",
        f'{{"api_key": "{CANARY}"}}',
        f"Headers({{'authorization': 'Bearer {CANARY}'}})",
        f"Authorization: Bearer {CANARY}",
        f"GET /?access_token={CANARY}&x=1",
        f"postgresql://ann:{CANARY}@db/x",
        f"AccountName=x;AccountKey={CANARY};EndpointSuffix=y",
        f"redis://:{CANARY}@cache:6379/0",
        f"connect(user='a', password='{CANARY}')",
        f"my_secret = '{CANARY}'",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{CANARY}",
    ],
)
def test_secrets_of_a_known_form_are_taken_out_of_texts(text: str) -> None:
    """Queries, headers, connection strings, calls, JSON and tokens lose their secret."""
    shown = Redaction().text(text)
    assert CANARY not in shown
    assert MASK in shown


def test_known_values_are_taken_out_wherever_they_stand() -> None:
    """A value that is known, such as the app's token, needs no name."""
    redaction = Redaction([CANARY, "ab"])
    assert redaction.text(f"it is{CANARY}, about") == f"it is{MASK}, about"
    assert redaction.value("note", ["x", {"y": CANARY}]) == ["x", {"y": MASK}]
    redaction.add("another-value")
    assert redaction.text("another-value") == MASK


def test_the_longer_of_two_known_values_goes_first() -> None:
    """One that is part of the other leaves no rest of it."""
    assert Redaction(["secret-a", "secret-a-and-more"]).text("secret-a-and-more") == MASK


def test_plain_texts_stay_as_they_are() -> None:
    """Ordinary sentences are not touched."""
    text = "the keys of 3 orders were read; see https://example.org/a?b=1 (token of the day)"
    assert Redaction().text(text) == text


@pytest.mark.row("S-24")
def test_control_codes_become_visible() -> None:
    """Terminal escapes, carriage returns, turned text and half characters cannot act (S-24)."""
    assert escaped("a\x1b[31mb\rc\x9bd\u202ee\ud800f\x00") == (
        "a\\x1b[31mb\\x0dc\\x9bd\\u202ee\\ud800f\\x00"
    )
    assert escaped("line\n\tnext ä 漢") == "line\n\tnext ä 漢"
    assert one_line("a\nINFO forged\tb") == "a\\nINFO forged\\tb"


def test_long_texts_are_cut() -> None:
    """A field has a length that it cannot pass, and says how much is missing."""
    shown = Redaction().text("x" * (3 * LONGEST))
    assert len(shown) < LONGEST + 50
    assert "more characters" in shown


def test_a_secret_at_the_cut_is_not_left_in_half() -> None:
    """Values are taken out before the text is cut."""
    text = "x" * (LONGEST - 5) + CANARY
    assert CANARY[:5] not in Redaction([CANARY]).text(text)


def test_values_without_a_form_of_json_become_text() -> None:
    """Bytes tell their length alone, what is deep or wide is left out, and numbers fit JSON."""
    redaction = Redaction()

    class Broken:
        def __str__(self) -> str:
            raise ValueError(CANARY)

    assert redaction.value("body", CANARY.encode()) == f"<{len(CANARY)} bytes>"
    assert redaction.value("x", float("nan")) == "nan"
    assert CANARY not in redaction.value("x", Broken())
    deep: object = "end"
    for _ in range(20):
        deep = [deep]
    assert "end" not in str(redaction.value("x", deep))
    assert len(redaction.value("x", list(range(1000)))) == 100

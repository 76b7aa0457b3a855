"""Personal data in a conversation's texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.sidecar.blocks.personal_data import scrub


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("mail ann@example.com today", "mail <EMAIL_ADDRESS> today"),
        ("call +1 (212) 555-0100 now", "call <PHONE_NUMBER> now"),
        ("card 4111 1111 1111 1111.", "card <CREDIT_CARD>."),
        ("4111 1111 1111 1111 12 Main Street", "<CREDIT_CARD> <STREET_ADDRESS>"),
        ("ssn 123-45-6789", "ssn <US_SSN>"),
        ("DE89370400440532013000", "<IBAN>"),
        ("from 10.0.0.1 and fe80::1:2", "from <IP> and <IP>"),
        ("aa:bb:cc:dd:ee:ff", "<MAC_ADDRESS>"),
        ("12 Main Street, 12345", "<STREET_ADDRESS>, <ZIP_CODE>"),
        ("P.O. Box 12", "<PO_BOX>"),
    ],
)
def test_personal_data_is_named_by_kind(text: str, scrubbed: str) -> None:
    """What belongs to a person goes; the words around it stay."""
    assert scrub(text) == scrubbed


@pytest.mark.parametrize("text", ["", "order 42 costs 17 at 12:30", "12 monkeys", "in 2024: 1000"])
def test_ordinary_words_stay(text: str) -> None:
    """Small numbers and times are nobody's data."""
    assert scrub(text) == text


@given(st.text(alphabet="a1@.-: x+(", max_size=60))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    """What stands in the place of data is no data."""
    once = scrub(text)
    assert "@a.a" not in once
    assert scrub(once).count("<") >= once.count("<")


@pytest.mark.parametrize("part", ["a", "1", ":", "a.", "1 ", "a@", "1-", "(1"])
def test_a_long_text_takes_time_in_proportion(part: str) -> None:
    """No repeated text makes the patterns run away."""
    assert scrub(part * 100_000) is not None

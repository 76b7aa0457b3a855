"""Takes personal data out of texts, as a conversation's ``scrubPII`` asks."""

import re

_STREETS = (
    "street|st|avenue|ave|road|rd|highway|hwy|square|sq|trail|drive|dr|court|ct|park|parkway|pkwy|"
    "circle|cir|boulevard|blvd"
)
# Where two begin at one place the earlier of this list is meant.
_KINDS: tuple[tuple[str, str], ...] = (
    (
        "EMAIL_ADDRESS",
        r"(?<![\w.+-])[\w!#$%&'*+/=?^{|}~.-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,9}[a-z0-9-]{1,62}[a-z0-9]",
    ),
    ("CREDIT_CARD", r"\b(?:\d{4}[ -]?){3}\d{3,4}\b"),
    ("US_SSN", r"\b\d{3}-\d{2}-\d{4}\b"),
    ("IBAN", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    ("MAC_ADDRESS", r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"),
    ("IP", r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
    (
        "IP",
        r"(?<![\w:])(?=[0-9a-f]{0,4}:[0-9a-f]{0,4}:)(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])",
    ),
    ("ISBN", r"\b(?:97[89]-?)?(?:\d-?){9}[\dx]\b"),
    (
        "PHONE_NUMBER",
        r"(?<!\w)(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}\b",
    ),
    ("PO_BOX", r"\bp\.? ?o\.? box \d+"),
    ("STREET_ADDRESS", rf"\b\d{{1,5}} [a-z][\w ]{{0,29}}?\b(?:{_STREETS})\b\.?"),
    ("ZIP_CODE", r"\b\d{5}(?:-\d{4})?\b"),
)
_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _KINDS)
_SHORTEST_NUMBER = 7


def scrub(text: str) -> str:
    """Return ``text`` with personal data replaced by its kind, such as ``<EMAIL_ADDRESS>``.

    The kinds and their names are those of the real runtime; what belongs to one is a matter of
    patterns, so the two can differ over doubtful cases.
    """
    parts: list[str] = []
    end = 0
    for start, _, stop, name in _found(text):
        if start >= end:
            parts += (text[end:start], f"<{name}>")
            end = stop
    return "".join((*parts, text[end:]))


def _found(text: str) -> list[tuple[int, int, int, str]]:
    found = [
        (match.start(), rank, match.end(), name)
        for rank, (name, pattern) in enumerate(_PATTERNS)
        for match in pattern.finditer(text)
        if name != "PHONE_NUMBER" or sum(map(str.isdigit, match[0])) >= _SHORTEST_NUMBER
    ]
    return sorted(found)

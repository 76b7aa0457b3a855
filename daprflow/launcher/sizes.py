"""Sizes as Kubernetes writes them, such as ``4Mi``."""

import re

_QUANTITY = re.compile(r"([0-9]+)(Ki|Mi|Gi|k|M|G)?")
_FACTORS = {
    "": 1,
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
}


def size_of(text: str) -> int | None:
    """Return a number of bytes; ``-1``, which means no limit, as it is; None for anything else."""
    if text == "-1":
        return -1
    match = _QUANTITY.fullmatch(text)
    return None if match is None else int(match[1]) * _FACTORS[match[2] or ""]

"""``secretstores.local.file``: secrets in a JSON file, read once."""

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from daprflow.sidecar.components.base import ComponentContext, ComponentError

_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
_PLAIN_DIGITS = 6
_PLAIN_ZEROS = -4
_objects = msgspec.json.Decoder(dict[str, Any])


class FileSecrets:
    """The secrets of one file; nested names are joined with a separator."""

    def __init__(self, context: ComponentContext) -> None:
        metadata = context.metadata
        self._file = metadata.get("secretsfile", "")
        self._base_dir = context.base_dir
        self._separator = metadata.get("nestedseparator") or ":"
        self._multi_valued = metadata.get("multivalued", "").lower() in _TRUE
        self._secrets: dict[str, dict[str, str]] = {}

    @property
    def capabilities(self) -> tuple[str, ...]:
        """One feature, in the multi-valued form only."""
        return ("MULTIPLE_KEY_VALUES_PER_SECRET",) if self._multi_valued else ()

    async def open(self) -> None:
        """Read the file."""
        if not self._file:
            raise ComponentError("missing local secrets file in metadata; set 'secretsFile'")
        path = self._base_dir / self._file
        document = await asyncio.to_thread(_read, path)
        flatten = self._grouped if self._multi_valued else self._single
        self._secrets = dict(flatten(document))

    async def close(self) -> None:
        """Forget the secrets."""
        self._secrets = {}

    async def get(self, name: str, metadata: Mapping[str, str], /) -> dict[str, str]:  # noqa: ARG002 - this store has no request metadata
        """Return the pairs of one secret."""
        found = self._secrets.get(name)
        if found is None:
            raise ComponentError(f"secret {name} not found")
        return dict(found)

    async def bulk(self, metadata: Mapping[str, str], /) -> dict[str, dict[str, str]]:  # noqa: ARG002 - as above
        """Return every secret."""
        return {name: dict(pairs) for name, pairs in self._secrets.items()}

    def _single(self, document: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
        for name, value in _leaves(document, "", self._separator):
            yield name, {name: value}

    def _grouped(self, document: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
        for name, value in document.items():
            if isinstance(value, str):
                yield name, {name: value}
            elif isinstance(value, dict):
                yield name, dict(_leaves(value, "", self._separator))


def _read(path: Path) -> dict[str, Any]:
    try:
        return _objects.decode(path.read_bytes())
    except OSError as error:
        raise ComponentError(f"open {path}: {(error.strerror or 'failed').lower()}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The decoder's text may quote the file, which holds secrets.
        raise ComponentError(
            f"secrets file '{path}' is not a JSON object; check it with a JSON tool"
        ) from None


def _leaves(value: object, path: str, separator: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        yield path, _as_go_prints(value)
        return
    for key, item in items:
        yield from _leaves(item, f"{path}{separator}{key}" if path else key, separator)


def _as_go_prints(value: object) -> str:
    """Return a value as the real store has it: Go's ``%s`` leaves scars on what is no string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return f"%!s(bool={str(value).lower()})"
    if isinstance(value, int | float):
        return f"%!s(float64={_go_number(float(value))})"
    return "%!s(<nil>)"


def _go_number(number: float) -> str:
    mantissa, _, exponent = f"{Decimal(repr(number)).normalize():e}".partition("e")
    if _PLAIN_ZEROS <= int(exponent) < max(_PLAIN_DIGITS, 0) or number == 0:
        return f"{Decimal(repr(number)).normalize():f}"
    return f"{mantissa}e{int(exponent):+03d}"

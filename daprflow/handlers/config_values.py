"""Values of configuration items: text in the store, any type in Python."""

from typing import Any, TypeVar

import msgspec

from daprflow.addresses import type_name
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.decoding import BodyDecoder, Undecodable
from daprflow.handlers.envelopes import ConfigItem
from daprflow.protocol.configuration import ConfigurationItem

T = TypeVar("T")


class ValueReader:
    """Makes values of one type of the texts that configuration stores hold.

    ``str`` and ``bytes`` are the text as it is. Any other type is read as JSON, and where the text
    is no JSON of that type, as what the text alone can mean: ``blue`` for an enum or a
    ``str | None``, ``2025-01-31`` for a date.
    """

    __slots__ = ("_codecs", "_decoder", "_payload", "takes_none")

    def __init__(self, payload: Any, codecs: Codecs = NO_CODECS) -> None:
        self._payload = payload
        self._codecs = codecs
        self._decoder = BodyDecoder(payload, codecs)
        self.takes_none: bool = payload is not bytes and payload is not str and self._reads("null")

    def read(self, text: str) -> Any:
        """Return the value that ``text`` stands for.

        Raises:
            Undecodable: it stands for none; the error holds no part of the text.
        """
        try:
            return self._decoder.decode(text.encode())
        except Undecodable:
            try:
                hook = self._codecs.decode_other
                return msgspec.convert(text, self._payload, strict=False, dec_hook=hook)
            except (ValueError, TypeError, RecursionError):
                pass
            raise

    def _reads(self, text: str) -> bool:
        try:
            return self._decoder.decode(text.encode()) is None
        except Undecodable:
            return False


class ItemReader:
    """Makes typed items of those on the wire, with one reader per type."""

    def __init__(self, codecs: Codecs = NO_CODECS) -> None:
        self._codecs = codecs
        self._readers: dict[Any, ValueReader] = {}

    def read(self, key: str, item: ConfigurationItem, payload: type[T]) -> ConfigItem[T]:
        """Return ``item`` with its value as a ``payload``.

        Raises:
            ValueError: it is none; the text holds no part of the value.
        """
        reader = self._readers.get(payload)
        if reader is None:
            reader = self._readers[payload] = ValueReader(payload, self._codecs)
        try:
            value: T = reader.read(item.value)
        except Undecodable as error:
            what = f"the value of configuration item '{key}' is not '{type_name(payload)}'"
            raise ValueError(f"{what}: {error}") from None
        return ConfigItem(key, value, item.version, item.metadata or {})


def text_of(value: object, codecs: Codecs = NO_CODECS) -> str:
    """Return the text that a store holds for ``value``: text and bytes as they are, else JSON.

    Raises:
        TypeError: no JSON can hold the value.
        UnicodeDecodeError: the bytes are no text.
    """
    if isinstance(value, str):
        return value
    return (value if isinstance(value, bytes) else codecs.encode(value)).decode()

"""Configuration handlers: an item to the type a handler wants, its default where there is none."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from daprflow.addresses import type_name
from daprflow.errors import Drop, Retry
from daprflow.handlers import verdicts
from daprflow.handlers.calling import Call
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.config_values import ValueReader
from daprflow.handlers.decoding import Undecodable
from daprflow.handlers.envelopes import ConfigItem
from daprflow.handlers.faults import Faults
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.handlers.pool import PoolFull
from daprflow.handlers.registration import ConfigurationOptions
from daprflow.protocol.configuration import ConfigurationEvent, ConfigurationItem

logger = logging.getLogger(__name__)

ALL = "*"
"""Stands for the key of a handler that takes every item."""
_events = msgspec.json.Decoder(ConfigurationEvent)


@dataclass(frozen=True, slots=True)
class ConfigurationPlan:
    """What a handler wants to be told.

    Attributes:
        keys: empty for every item.
        has_default: whether it can be called while the store is away.
        call: takes a `Delivery` made by `delivery_of`.
    """

    store: str
    keys: tuple[str, ...]
    has_default: bool
    call: Next


@dataclass(frozen=True, slots=True)
class ItemReading:
    """How a handler's payload is made of an item.

    Attributes:
        envelope: whether it is given a `ConfigItem`.
        default: the text that counts where the item is missing; None where there is none.
    """

    reader: ValueReader
    envelope: bool
    default: str | None = None

    def payload(self, key: str, item: ConfigurationItem) -> tuple[Any, ...]:
        """Return the handler's argument; nothing where it is not to be called.

        Raises:
            Undecodable: the value does not fit.
        """
        if not item.removed:
            value = self.reader.read(item.value)
        elif self.default is not None:
            value = self.reader.read(self.default)
        elif self.reader.takes_none:
            value = None
        else:
            return ()
        if not self.envelope:
            return (value,)
        return (ConfigItem(key, value, item.version, item.metadata or {}),)


def reading(
    options: ConfigurationOptions, payload: Any, codecs: Codecs, *, envelope: bool
) -> tuple[ItemReading, str]:
    """Return how items are read, and what is wrong with the default; empty when nothing is."""
    reader = ValueReader(payload, codecs)
    default = options.default
    if default is None:
        return ItemReading(reader, envelope), ""
    wrong = f"has a default that is not '{type_name(payload)}'"
    try:
        raw = isinstance(default, str) and payload is str
        text = default if raw else codecs.encode(default).decode()
        text = default.decode() if isinstance(default, bytes) and payload is bytes else text
        reader.read(text)
    except Undecodable as error:
        return ItemReading(reader, envelope), f"{wrong}: {error}"
    except (TypeError, ValueError):
        return ItemReading(reader, envelope), f"{wrong}: no configuration store could hold it"
    return ItemReading(reader, envelope, text), ""


def handling(call: Call, reads: ItemReading | None, faults: Faults) -> Next:
    """Return a handler of items; ``reads`` is None where it takes no payload."""

    async def handle(delivery: Delivery) -> Outcome:
        try:
            key, item = _only(delivery)
            arguments = () if reads is None else reads.payload(key, item)
            if reads is None or arguments:
                await call(delivery, *arguments)
            else:
                logger.warning(
                    "configuration item '%s' is missing, and %s has no default for it; it keeps "
                    "what it has",
                    delivery.name,
                    faults.title,
                )
        except verdicts.FAULTS as error:
            return await faults.outcome(delivery, error)
        return verdicts.DONE

    return handle


def item_raised(title: str, delivery: Delivery, error: BaseException) -> Outcome:
    """Return what an exception says of an item."""
    match error:
        case Undecodable():
            logger.error("%s cannot read item '%s': %s", title, delivery.name, error)
            return verdicts.refusal(500, str(error), error)
        case Retry():
            return verdicts.refusal(500, "the handler asked for this item again", error)
        case Drop():
            return Outcome(body=verdicts.DONE.body, error=error)
        case PoolFull():
            return verdicts.busy(delivery, error)
        case _:
            return verdicts.failed(title, delivery, error)


def delivery_of(store: str, key: str, item: ConfigurationItem) -> Delivery:
    """Return what a handler is called with: an event in the sidecar's form with one item."""
    items: Mapping[str, ConfigurationItem] = {key: item}
    body = msgspec.json.encode(ConfigurationEvent("", items))
    return Delivery("configuration", f"{store}/{key}", body)


def _only(delivery: Delivery) -> tuple[str, ConfigurationItem]:
    """Return the one item of an event.

    Raises:
        Undecodable: an interceptor made something else of it.
    """
    try:
        ((key, item),) = _events.decode(delivery.body).items.items()
    except (ValueError, RecursionError):
        raise Undecodable("it is no configuration event with one item") from None
    return key, item

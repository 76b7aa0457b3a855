"""What an app subscribes to: what it says itself, and what resource files say for it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from daprflow.protocol.documents import Subscription
from daprflow.sidecar.blocks.pubsub_publish import BadMetadataError, is_raw

logger = logging.getLogger(__name__)


class Origin(StrEnum):
    """Who declared a subscription, in the metadata document's words."""

    DECLARATIVE = "DECLARATIVE"
    PROGRAMMATIC = "PROGRAMMATIC"
    STREAMING = "STREAMING"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One subscription and who declared it."""

    document: Subscription
    origin: Origin = Origin.PROGRAMMATIC

    @property
    def place(self) -> tuple[str, str]:
        """The component and the topic; an app has one subscription for each."""
        return self.document.pubsubname, self.document.topic


def merged(declared: Sequence[Subscription], own: Sequence[Subscription]) -> tuple[Wanted, ...]:
    """Return one subscription for each component and topic.

    As in the real runtime the app's own word goes before a file's; of several files the first
    counts, of several entries of the app the last, in the place of the first.

    Args:
        declared: of resource files, in their order.
        own: of the app's ``/dapr/subscribe``.
    """
    wanted: dict[tuple[str, str], Wanted] = {}
    for document in declared:
        item = Wanted(document, Origin.DECLARATIVE)
        wanted.setdefault(item.place, item)
    for document in own:
        item = Wanted(document)
        wanted[item.place] = item
    return tuple(wanted.values())


def raw_of(document: Subscription) -> tuple[bool, str]:
    """Tell whether a subscription takes plain bytes, and what is wrong where that cannot be told.

    As with the real runtime no message of such a subscription can be taken.
    """
    try:
        return is_raw(document.metadata), ""
    except BadMetadataError as error:
        logger.error(  # noqa: TRY400 - the text says all
            "no event of '%s/%s' can be delivered: %s", document.pubsubname, document.topic, error
        )
        return False, str(error)

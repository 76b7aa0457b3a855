"""What apps say to each other about parcels."""

from typing import Any

import msgspec

from daprflow import ExternalEvent, Topic


class Scan(msgspec.Struct):
    parcel: str
    place: str


class Goods(msgspec.Struct):
    parcel: str
    kind: str
    value: int


scans = Topic("pubsub", "scans", Scan)
unread = Topic("pubsub", "scans-unread", Any)
declarations = Topic("pubsub", "declarations", Goods)
paid = ExternalEvent("paid", bool)

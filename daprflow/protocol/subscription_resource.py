"""A Subscription document: what an app subscribes to, said in a file instead of by the app."""

import msgspec

from daprflow.protocol.documents import Subscription


class SubscriptionResource(msgspec.Struct, frozen=True):
    """One Subscription document, of ``v1alpha1`` or ``v2alpha1``.

    Attributes:
        document: the subscription in the form in which an app itself declares one.
        scopes: the app ids it is for; empty means every app.
        source: ``file:line`` of the document.
    """

    name: str
    document: Subscription
    scopes: tuple[str, ...] = ()
    namespace: str = ""
    source: str = ""

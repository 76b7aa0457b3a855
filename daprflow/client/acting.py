"""Actors: the client's method for them."""

from typing import Any, TypeVar, overload

from daprflow.actors.actor import ActorInterface
from daprflow.client.base import BaseClient
from daprflow.client.proxies import ActorProxy, RawActor

A = TypeVar("A", bound=ActorInterface)


class Acting(BaseClient):
    """The part of the client that calls actors."""

    @overload
    def actor(self, kind: type[A], actor_id: str, /) -> A: ...
    @overload
    def actor(self, kind: str, actor_id: str, /) -> RawActor: ...
    def actor(self, kind: Any, actor_id: str, /) -> Any:
        """Return an actor to call: ``await client.actor(CartActor, "ann").add("tea")``.

        A call waits until its turn comes. It is not repeated when a connection fails, for it may
        have been done.

        Args:
            kind: the class of the actor, or an `ActorInterface` of one that others host; the proxy
                has its public async methods. A name gives a `RawActor`, which calls by name.
            actor_id: any text.

        Raises:
            TypeError: ``kind`` is something else, or cannot be used.

        Example:
            ```python
            count = await client.actor(CartActor, "ann").add("tea")
            other = await client.actor("CartActor", "ann").invoke("add", "tea", returns=int)
            ```
        """
        from daprflow.client.actor_calls import ActorAddress  # noqa: PLC0415 - with the first actor

        if isinstance(kind, str):
            return RawActor(self._caller, ActorAddress(kind, actor_id))
        if not (isinstance(kind, type) and issubclass(kind, ActorInterface)):
            raise TypeError(
                f"an actor's class derives from Actor or ActorInterface; {kind!r} does not"
            )
        address = ActorAddress(kind.actor_type, actor_id)
        return ActorProxy(self._caller, address, self._caller.actor_methods(kind))

"""Proxies of actors: one that has the methods of a class, and one that calls by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from daprflow.protocol.envelopes import OCTET_STREAM
from daprflow.protocol.http import JSON

# Loaded with the first call of an actor.
if TYPE_CHECKING:
    from daprflow.actors.actor import ActorInterface
    from daprflow.client.actor_calls import ActorAddress
    from daprflow.client.caller import Caller

T = TypeVar("T")

Invoke = Callable[["Caller", "ActorAddress", tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]]
"""Calls one method of an actor."""


class RawActor:
    """An actor whose class is not at hand. Make it with ``client.actor("CartActor", "ann")``.

    Attributes:
        kind: the actor type's name.
        id: the actor's.

    Example:
        ```python
        cart = client.actor("CartActor", "ann")
        count = await cart.invoke("add", "tea", returns=int)
        ```
    """

    __slots__ = ("_address", "_caller")

    def __init__(self, caller: "Caller", address: "ActorAddress") -> None:
        self._caller = caller
        self._address = address

    @property
    def kind(self) -> str:
        """The actor type's name."""
        return self._address.kind

    @property
    def id(self) -> str:
        """The actor's id."""
        return self._address.actor_id

    @overload
    async def invoke(self, method: str, /, *arguments: object) -> bytes: ...
    @overload
    async def invoke(self, method: str, /, *arguments: object, returns: type[T]) -> T: ...
    async def invoke(self, method: str, /, *arguments: object, returns: Any = bytes) -> Any:
        """Call a method by its name.

        Args:
            method: its name.
            arguments: none is no body, one its JSON, more a JSON array; a single one of type
                `bytes` is the body itself.
            returns: what the answer is decoded to: `bytes` as it is, anything else from JSON.

        Raises:
            ActorError: the method failed, could not be called, or answered something else.
            SidecarUnavailable: no sidecar answered.

        Example:
            ```python
            count = await client.actor("CartActor", "ann").invoke("add", "tea", returns=int)
            ```
        """
        from daprflow.client import actor_calls  # noqa: PLC0415 - see above
        from daprflow.client.actor_calls import Body  # noqa: PLC0415 - see above

        codecs = self._caller.codecs
        match arguments:
            case ():
                body = Body()
            case (bytes() as content,):
                body = Body(content, OCTET_STREAM)
            case (only,):
                body = Body(codecs.encode(only), JSON)
            case several:
                body = Body(codecs.encode(several), JSON)
        response = await actor_calls.send(self._caller, self._address, method, body)
        return actor_calls.result(self._caller, response, self._address, method, returns)

    def __repr__(self) -> str:
        return f"<actor {self._address}>"


class ActorProxy:
    """Has the methods of an actor's class, each of which calls the actor."""

    __slots__ = ("_address", "_caller", "_methods")

    def __init__(
        self, caller: "Caller", address: "ActorAddress", methods: Mapping[str, Invoke]
    ) -> None:
        self._caller = caller
        self._address = address
        self._methods = methods

    @property
    def id(self) -> str:
        """The actor's id."""
        return self._address.actor_id

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        invoke = self._methods.get(name)
        if invoke is None:
            known = ", ".join(f"'{each}'" for each in self._methods) or "none"
            raise AttributeError(
                f"'{name}' of actor '{self._address}' is its own affair: a proxy has the public "
                f"async methods alone, {known}"
            )
        caller, address = self._caller, self._address

        def call(*arguments: Any, **named: Any) -> Awaitable[Any]:
            return invoke(caller, address, arguments, named)

        return call

    def __repr__(self) -> str:
        return f"<actor {self._address}>"


def methods_of(kind: "type[ActorInterface]", caller: "Caller") -> Mapping[str, Invoke]:
    """Return how the methods of a class are called, by their names in it; worked out once.

    Raises:
        TypeError: something in the class cannot be used.
    """
    from daprflow.client import actor_calls  # noqa: PLC0415 - see above
    from daprflow.client.actor_calls import Body  # noqa: PLC0415 - see above
    from daprflow.handlers.actor_arguments import Arguments  # noqa: PLC0415 - inspects, for callers of actors alone
    from daprflow.handlers.actor_shapes import MethodShape, shape_of  # noqa: PLC0415 - as above
    from daprflow.handlers.signature import SignatureError  # noqa: PLC0415 - as above

    def invoking(method: MethodShape) -> Invoke:
        declared = Arguments(method.arguments, caller.codecs)
        returns = method.signature.returns

        async def invoke(
            by: "Caller", actor: "ActorAddress", given: tuple[Any, ...], named: Mapping[str, Any]
        ) -> Any:
            try:
                values = declared.bound(given, named)
            except TypeError as error:
                raise TypeError(
                    f"method '{method.attribute}' of actor '{actor}' is not called so: {error}"
                ) from None
            content = declared.body(values)
            body = Body(content, declared.content_type if values else "")
            response = await actor_calls.send(by, actor, method.name, body)
            return actor_calls.result(by, response, actor, method.name, returns)

        return invoke

    try:
        shape = shape_of(kind)
    except SignatureError as error:
        raise TypeError(f"class '{kind.__qualname__}' {error}") from None
    return {each.attribute: invoking(each) for each in shape.methods.values()}

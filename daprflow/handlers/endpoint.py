"""The handle that ``@app.invoke`` returns: an endpoint of this app, still callable."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from daprflow.addresses import Endpoint
from daprflow.handlers.parameters import Parameter
from daprflow.handlers.registration import InvokeOptions, Registration

# Signatures are read at freeze, or when somebody asks; importing daprflow does not pay for that.
if TYPE_CHECKING:
    from daprflow.handlers.signature import Signature

In = TypeVar("In")
Out = TypeVar("Out")


class OwnEndpoint(Endpoint[In, Out]):
    """An invoke handler as a typed handle; calling it calls the function as it was written.

    Its types are read from the signature when first asked for, since annotations may name
    classes that are defined later.
    """

    __slots__ = ("__wrapped__", "_registration", "_signature")

    def __init__(self, registration: Registration, app_id: str = "", /) -> None:
        options = registration.options
        given = options if isinstance(options, InvokeOptions) else InvokeOptions(registration.name)
        self.verb: str = given.verb or "POST"
        self.is_route: bool = bool(given.verb)
        # What is no text is reported at freeze.
        self.method: str = str(given.name).strip("/") if given.verb else given.name
        self._app_id = app_id
        self._registration = registration
        self._signature: Signature | None = None
        self.__wrapped__: Callable[..., Any] = registration.function

    @property
    def app_id(self) -> str:
        """The app it belongs to; of a router's endpoint known once an app includes it."""
        if not self._app_id:
            raise RuntimeError(
                f"{self._registration.title} is on a router that no app includes yet; "
                "call app.include(router) first"
            )
        return self._app_id

    @property
    def takes(self) -> type[In]:
        """The type of the payload; ``NoneType`` where there is none."""
        payload = self._read().payload
        takes: type[In] = _or_any(type(None) if payload is None else payload.type)
        return takes

    @property
    def returns(self) -> type[Out]:
        """The type of the answer."""
        from daprflow.handlers.signature import answer_of  # noqa: PLC0415 - see above

        returns: type[Out] = _or_any(answer_of(self._read()))
        return returns

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of path, query and headers that the function takes by name."""
        return self._read().parameters

    def conflict(self, app_id: str) -> str:
        """Return why it cannot belong to that app; empty where it can."""
        if not self._app_id or self._app_id == app_id:
            return ""
        return (
            f"{self._registration.title} is on a router that app '{self._app_id}' includes, too, "
            "and its handle names one app alone; declare it on each app, or make the router in a "
            "function that each app calls"
        )

    def belong_to(self, app_id: str) -> None:
        """Say which app it belongs to; the first one counts."""
        self._app_id = self._app_id or app_id

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was written."""
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Endpoint({self._app_id!r}, {self.address!r})"

    def _read(self) -> "Signature":
        if self._signature is None:
            self._signature = self._read_now()
        return self._signature

    def _read_now(self) -> "Signature":
        from daprflow.handlers.signature import SignatureError, read_handler  # noqa: PLC0415 - see above
        from daprflow.handlers.templates import TemplateError, parse  # noqa: PLC0415 - see above

        registration = self._registration
        try:
            names = parse(self.method).names if self.is_route else ()
            return read_handler(registration.function, registration.source, names)
        except (SignatureError, TemplateError) as error:
            raise TypeError(f"{registration.title} {error}") from None


def _or_any(annotation: Any) -> Any:
    from daprflow.handlers.signature import MISSING  # noqa: PLC0415 - see above

    return Any if annotation is MISSING else annotation

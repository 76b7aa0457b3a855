"""The API token on a user's own routes; Dapr's have it from the app itself."""

from collections.abc import Collection, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow.handlers.tokens import Tokens
from daprflow.middleware.paths import DAPR_PATHS, Paths, passes
from daprflow.middleware.problem import send_problem

_CHALLENGE = (b"www-authenticate", b"ApiToken")


class ApiToken:
    """Refuses requests whose ``dapr-api-token`` is none of the tokens.

    ``APP_API_TOKEN`` holds for every endpoint of Dapr's without this; it is for routes of the
    user's own, which are open otherwise.

    On the way in: compares the header, in constant time, and answers 401. On the way out: nothing.

    Args:
        app: what is called by who has a token.
        tokens: one, or two while they are changed: the new one and the former.
        header: the header's name.
        exclude: paths that need none, such as ``/public/*``; those that a sidecar calls are left
            to the app's own check.

    Raises:
        ValueError: there is no token, or an empty one.

    Example:
        ```python
        shop = DaprFlow("shop", middleware=[Middleware(ApiToken, tokens="s3cret")])
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: str | Sequence[str],
        header: str = "dapr-api-token",
        exclude: Collection[str] = DAPR_PATHS,
    ) -> None:
        given = (tokens,) if isinstance(tokens, str) else tuple(tokens)
        if not given or not all(given):
            raise ValueError("'tokens' has an empty token, or none, which would let everybody in")
        self.app = app
        self._tokens = Tokens(given)
        self._header = header.lower().encode("ascii")
        self._excluded = Paths(exclude)

    def __repr__(self) -> str:
        return "ApiToken(tokens=***)"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass that carries one of the tokens, once."""
        if passes(scope, self._excluded):
            await self.app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == self._header]
        if len(given) == 1 and self._tokens.hold(given[0]):
            await self.app(scope, receive, send)
            return
        text = f"the '{self._header.decode()}' header does not hold this app's token"
        await send_problem(send, 401, text, [_CHALLENGE])

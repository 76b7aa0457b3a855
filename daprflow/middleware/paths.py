"""Which paths a middleware leaves alone: a look into a set, never a pattern per request."""

from collections.abc import Collection

from starlette.types import Scope

DAPR_PATHS = ("/dapr/*", "/job/*", "/configuration/*", "/actors/*", "/healthz", "/readyz")
"""What a sidecar calls on every app; bindings and methods have paths of their own at the root."""


class Paths:
    """A set of paths, and of prefixes written as ``/admin/*``.

    Raises:
        ValueError: one of them is not written so.
    """

    __slots__ = ("_exact", "_prefixes")

    def __init__(self, paths: Collection[str]) -> None:
        if isinstance(paths, str):
            raise ValueError(f"'exclude' is the text {paths!r}; give it a list of paths")  # noqa: TRY004 - reported as any wrong value
        for path in paths:
            if not path.startswith("/") or "*" in path.removesuffix("/*"):
                raise ValueError(
                    f"'{path}' is no path; write '/login', or '/public/*' for all that is below"
                )
        self._exact = frozenset(path for path in paths if not path.endswith("/*"))
        self._prefixes = tuple(path[:-1] for path in paths if path.endswith("/*"))

    def __contains__(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._prefixes)


def passes(scope: Scope, excluded: Paths) -> bool:
    """Whether a middleware has nothing to do with a scope: no HTTP, or an excluded path."""
    return scope["type"] != "http" or scope["path"] in excluded

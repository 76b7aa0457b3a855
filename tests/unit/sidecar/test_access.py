"""Access control of gRPC methods."""

import pytest

from daprflow.protocol.configuration_file import AccessControl, AccessOperation, AccessPolicy
from daprflow.sidecar.access import may_invoke

OPERATIONS = (
    AccessOperation("/pkg.Service/Get", "allow"),
    AccessOperation("/pkg.Service/*", "deny"),
    AccessOperation("/posts", "allow", ("POST",)),
)
CONTROL = AccessControl(
    "deny", policies=(AccessPolicy("caller", "default", "public", "deny", OPERATIONS),)
)


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        (None, "/pkg.Service/Get", True),
        (None, "/pkg.service/get", False),
        (None, "/pkg.Service/Put", False),
        (None, "posts", True),
        ("POST", "/POSTS", True),
        ("GET", "/posts", False),
    ],
)
def test_methods_count_as_they_are_spelt(verb: str | None, path: str, allowed: bool) -> None:  # noqa: FBT001 - a table's column
    """Over gRPC letters matter and verbs do not; over HTTP it is the other way round."""
    assert may_invoke(CONTROL, "caller", "default", verb, path) is allowed

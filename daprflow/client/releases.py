"""Which release of the runtime brought what the client may ask for."""

import re

import msgspec

from daprflow.errors import SidecarError
from daprflow.protocol.http import HttpRequest


class Feature(msgspec.Struct, frozen=True):
    """Something that a runtime has since a release.

    Attributes:
        prefix: how the path of its calls begins.
        since: the release's major and minor number.
    """

    name: str
    prefix: str
    since: tuple[int, int]


FEATURES = (
    Feature("jobs (alpha)", "/v1.0-alpha1/jobs/", (1, 14)),
    Feature("conversation (alpha 1)", "/v1.0-alpha1/conversation/", (1, 15)),
    Feature("workflows (stable API)", "/v1.0/workflows/", (1, 15)),
    Feature("conversation (alpha 2)", "/v1.0-alpha2/conversation/", (1, 16)),
    Feature("bulk publishing (stable API)", "/v1.0/publish/bulk/", (1, 17)),
    Feature("jobs (stable API)", "/v1.0/jobs/", (1, 18)),
)
"""What came after 1.12, the oldest release that is supported; read in the runtime's routes."""

NOT_FOUND, NOT_IMPLEMENTED = 404, 501
_VERSION = r"v?(\d+)\.(\d+)"


def may_be_unknown(failure: SidecarError) -> bool:
    """Tell whether a runtime answers like this to a call that it does not know.

    It takes an unknown path for an invocation that names no app.
    """
    if failure.status == NOT_FOUND:
        return failure.code in {"", "ERR_DIRECT_INVOKE"}
    return failure.status == NOT_IMPLEMENTED


def needed(request: HttpRequest) -> Feature | None:
    """Return the feature that ``request`` uses, None where every supported runtime has it."""
    return next((each for each in FEATURES if request.target.startswith(each.prefix)), None)


def parsed(version: str) -> tuple[int, int] | None:
    """Return major and minor number of a runtime's version, None where it is not one (``edge``)."""
    found = re.match(_VERSION, version)
    return (int(found[1]), int(found[2])) if found else None

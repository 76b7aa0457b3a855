"""Lists of APIs, as they concern gRPC."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.configuration_file import ApiRule, ConfigurationResource
from daprflow.sidecar.grpc_api import access
from daprflow.sidecar.grpc_api.access import MethodAccess
from daprflow.sidecar.grpc_api.call import SERVICE
from daprflow.sidecar.grpc_api.methods import METHODS
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.sidecar import resources


def rules(*names: str, protocol: str = "grpc") -> tuple[ApiRule, ...]:
    """Return rules for groups, each written as ``name.version``."""
    parts = [name.split(".") for name in names]
    return tuple(ApiRule(name, version, protocol) for name, version in parts)


@pytest.mark.row("S-30")
@pytest.mark.parametrize(
    ("allowed", "denied", "served"),
    [
        ((), (), ["GetState", "QueryStateAlpha1", "TryLockAlpha1", "NoSuchMethod"]),
        (rules("state.v1"), (), ["GetState"]),
        (rules("state.v1", "lock.v1alpha1"), rules("state.v1"), ["TryLockAlpha1"]),
        ((), rules("state.v1alpha1"), ["GetState", "TryLockAlpha1", "NoSuchMethod"]),
        (rules("state.v1", protocol="http"), (), ["GetState", "QueryStateAlpha1", "TryLockAlpha1",
                                                   "NoSuchMethod"]),
        (rules("nothing.v1"), (), ["GetState", "QueryStateAlpha1", "TryLockAlpha1",
                                   "NoSuchMethod"]),
    ],
)  # fmt: skip
def test_what_is_served(
    allowed: Sequence[ApiRule], denied: Sequence[ApiRule], served: list[str]
) -> None:
    """A list counts where it names a group of gRPC; what is allowed may be denied again."""
    configuration = ConfigurationResource(api_allowed=tuple(allowed), api_denied=tuple(denied))
    found = MethodAccess(configuration)
    asked = ("GetState", "QueryStateAlpha1", "TryLockAlpha1", "NoSuchMethod")
    assert [name for name in asked if found.permits(f"{SERVICE}{name}")] == served


def test_services_of_apps_are_not_concerned() -> None:
    """Calls for apps pass whatever the lists say."""
    configuration = ConfigurationResource(api_allowed=rules("state.v1"))
    assert MethodAccess(configuration).permits("/my.Service/Method")


def test_every_method_is_in_a_group() -> None:
    """No method of the API escapes the lists."""
    grouped = [name for names in access._GROUPS.values() for name in names]
    assert sorted(set(grouped)) == sorted(grouped)
    assert set(METHODS) <= set(grouped)


async def test_what_is_off_is_not_available(tmp_path: Path) -> None:
    """A method that is off is refused, even to a caller without the right token."""
    configuration = ConfigurationResource(api_denied=rules("state.v1"))
    files = replace(resources({"store": ("state.in-memory", {})}), configuration=configuration)
    options = RuntimeOptions("app1", api_token="secret")
    async with grpc_sidecar(tmp_path, {}, files=files, options=options) as sidecar:
        request = m.GetStateRequest(store_name="store", key="a")
        found = await refusal(sidecar.stub.GetState(request))
        other = await refusal(sidecar.stub.GetSecret(m.GetSecretRequest()))
    text = "requested endpoint is not available"
    assert (found.code, found.text) == ("UNIMPLEMENTED", "Not Implemented")
    assert found.info == m.ErrorInfo(
        reason="Not Implemented",
        domain="dapr.io",
        metadata={"http.code": "501", "http.error_message": text},
    )
    assert other.code == "UNAUTHENTICATED"

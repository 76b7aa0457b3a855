"""Which methods a Configuration's lists of APIs leave, by the groups of the real runtime."""

from collections.abc import Iterator, Mapping, Sequence

from daprflow.protocol.configuration_file import ApiRule, ConfigurationResource
from daprflow.sidecar.grpc_api.call import SERVICE

PREFIX = "/dapr.proto.runtime."
"""Calls of other services are for apps, and not concerned."""

_WORKFLOWS = ("Start", "Get", "Terminate", "RaiseEvent", "Purge", "Pause", "Resume")
_JOBS = ("ScheduleJob", "DeleteJob", "GetJob", "DeleteJobsByPrefix", "ListJobs")
_CONFIGURATION = ("GetConfiguration", "SubscribeConfiguration", "UnsubscribeConfiguration")
_SUBTLE = ("GetKey", "Encrypt", "Decrypt", "Sign", "Verify", "WrapKey", "UnwrapKey")

_GROUPS: Mapping[tuple[str, str], Sequence[str]] = {
    ("invoke", "v1"): ("InvokeService",),
    ("state", "v1"): (
        "GetState",
        "GetBulkState",
        "SaveState",
        "DeleteState",
        "DeleteBulkState",
        "ExecuteStateTransaction",
    ),
    ("state", "v1alpha1"): ("QueryStateAlpha1",),
    ("publish", "v1"): ("PublishEvent", "BulkPublishEvent"),
    ("publish", "v1alpha1"): ("BulkPublishEventAlpha1",),
    ("bindings", "v1"): ("InvokeBinding",),
    ("secrets", "v1"): ("GetSecret", "GetBulkSecret"),
    ("actors", "v1"): (
        "RegisterActorTimer",
        "UnregisterActorTimer",
        "RegisterActorReminder",
        "GetActorReminder",
        "UnregisterActorReminder",
        "UnregisterActorRemindersByType",
        "ListActorReminders",
        "GetActorState",
        "ExecuteActorStateTransaction",
        "InvokeActor",
    ),
    ("actors", "v1alpha1"): ("SubscribeActorEventsAlpha1",),
    ("metadata", "v1"): ("GetMetadata", "SetMetadata"),
    ("configuration", "v1alpha1"): tuple(f"{name}Alpha1" for name in _CONFIGURATION),
    ("configuration", "v1"): _CONFIGURATION,
    ("lock", "v1alpha1"): ("TryLockAlpha1",),
    ("unlock", "v1alpha1"): ("UnlockAlpha1",),
    ("subtlecrypto", "v1alpha1"): tuple(f"Subtle{name}Alpha1" for name in _SUBTLE),
    ("crypto", "v1alpha1"): ("EncryptAlpha1", "DecryptAlpha1"),
    ("workflows", "v1alpha1"): tuple(f"{name}WorkflowAlpha1" for name in _WORKFLOWS),
    ("workflows", "v1beta1"): tuple(f"{name}WorkflowBeta1" for name in _WORKFLOWS),
    ("jobs", "v1alpha1"): tuple(f"{name}Alpha1" for name in _JOBS),
    ("jobs", "v1"): _JOBS,
    ("shutdown", "v1"): ("Shutdown",),
    ("subscribe", "v1alpha1"): ("SubscribeTopicEventsAlpha1",),
    ("conversation", "v1alpha1"): ("ConverseAlpha1",),
    ("conversation", "v1alpha2"): ("ConverseAlpha2",),
}


class MethodAccess:
    """The methods that may be called; with an allow list nothing else may.

    Args:
        configuration: of its rules those for gRPC count, and of those whose group exists.
    """

    def __init__(self, configuration: ConfigurationResource) -> None:
        self._allowed = frozenset(_methods(configuration.api_allowed))
        self._denied = frozenset(_methods(configuration.api_denied))

    def permits(self, method: str) -> bool:
        """Tell whether a method is served, named with its service."""
        if not method.startswith(PREFIX):
            return True
        return method not in self._denied and (not self._allowed or method in self._allowed)


def _methods(rules: Sequence[ApiRule]) -> Iterator[str]:
    for rule in rules:
        if rule.protocol == "grpc":
            for name in _GROUPS.get((rule.name, rule.version), ()):
                yield f"{SERVICE}{name}"

"""What to do about an error of the runtime, by its code."""

import re

GARBAGE = (
    "see whether a proxy stands between, and that DAPR_HTTP_ENDPOINT or DAPR_HTTP_PORT name "
    "the sidecar's HTTP port"
)
LATE = "read the value again and write with its new ETag, or have 'update' do both"
_COMPONENT = (
    "declare a component of that name in the resources folder of this sidecar, look at its "
    "'scopes', or see what is loaded with 'client.metadata()'"
)
_MISSING_COMPONENT = (
    "ERR_STATE_STORE_NOT_FOUND",
    "ERR_STATE_STORE_NOT_CONFIGURED",
    "ERR_PUBSUB_NOT_FOUND",
    "ERR_PUBSUB_NOT_CONFIGURED",
    "ERR_SECRET_STORE_NOT_FOUND",
    "ERR_SECRET_STORES_NOT_CONFIGURED",
    "ERR_CONFIGURATION_STORE_NOT_FOUND",
    "ERR_CONFIGURATION_STORE_NOT_CONFIGURED",
    "ERR_LOCK_STORE_NOT_FOUND",
    "ERR_LOCK_STORE_NOT_CONFIGURED",
    "ERR_CRYPTO_PROVIDER_NOT_FOUND",
    "ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED",
    "ERR_CONVERSATION_NOT_FOUND",
)
NO_APP = re.compile("no host found|couldn't find service")
"""What the runtime says of an app that it does not find, by its resolver of names."""
_OPERATIONS = r"supported operations: ?(.+?)\.?$"
_HINTS = {
    **dict.fromkeys(_MISSING_COMPONENT, _COMPONENT),
    "ERR_PUBSUB_FORBIDDEN": "let the component's 'publishingScopes' name this app and topic",
    "ERR_PERMISSION_DENIED": "allow the secret in 'secrets.scopes' of the sidecar's Configuration",
    "ERR_API_UNIMPLEMENTED": "this runtime was built without it",
}


def of(status: int, code: str, message: str) -> str:
    """Return what to do about an error, empty where the message says it all."""
    if status == 401 and not code:  # noqa: PLR2004 - the status is the point
        return "set DAPR_API_TOKEN to the sidecar's token"
    if code == "ERR_INVOKE_OUTPUT_BINDING":
        return _of_binding(message)
    if code == "ERR_DIRECT_INVOKE":
        return _of_invocation(status, message)
    if code == "DAPR_SCHEDULER_SCHEDULE_JOB" and status == 409:  # noqa: PLR2004 - as above
        return "pass overwrite=True to replace it, or delete it first"
    return _of_size(message) or _of_state_ttl(message) or _HINTS.get(code, "")


def _of_size(message: str) -> str:
    if "message larger than max" in message:
        return "allow more with DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES"
    if message.endswith("stream too large"):
        return "send less, or start the sidecar with a larger --max-body-size"
    return ""


def _of_state_ttl(message: str) -> str:
    if "ActorStateTTL" not in message:
        return ""
    return "the runtime's Configuration needs 'features: [{name: ActorStateTTL, enabled: true}]'"


def _of_binding(message: str) -> str:
    if "couldn't find output binding" in message:
        return _COMPONENT
    found = re.search(_OPERATIONS, message)
    return f"ask for one of {', '.join(repr(each) for each in found[1].split())}" if found else ""


def _of_invocation(status: int, message: str) -> str:
    if status == 404:  # noqa: PLR2004 - as above
        return "the runtime does not know this call, or its Configuration does not allow the API"
    if NO_APP.search(message):
        return "start that app with a sidecar, under exactly that app id"
    return ""

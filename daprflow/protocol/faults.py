"""Every error of Dapr's that the sidecar gives: one function each, named after what went wrong."""

from collections.abc import Mapping, Sequence

from daprflow.protocol.details import BadRequest, ErrorInfo, FieldViolation, Known, ResourceInfo
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code

# ---- requests -----------------------------------------------------------------------------------


def malformed(text: str) -> Fault:
    """Return the fault of a body that cannot be read; ``text`` stands as it is."""
    return Fault(400, "ERR_MALFORMED_REQUEST", text)


def malformed_body(text: str) -> Fault:
    """Return the same for the routes that put a prefix before the decoder's text."""
    return malformed(f"failed deserializing HTTP body: {text}")


def unimplemented(message: str = "this API is currently not implemented") -> Fault:
    """Return the fault of a building block that is not offered."""
    return Fault(501, "ERR_API_UNIMPLEMENTED", message)


def no_app_id() -> Fault:
    """Return the fault of a path that no route owns and that names no app."""
    text = "failed getting app id either from the URL path or the header dapr-app-id"
    return Fault(404, "ERR_DIRECT_INVOKE", text)


def direct_invoke(app_id: str, error: str) -> Fault:
    """Return the fault of a service invocation that did not reach its app."""
    return Fault(500, "ERR_DIRECT_INVOKE", f"failed to invoke, id: {app_id}, err: {error}")


def invocation_denied(app_id: str, caller: str, verb: str, operation: str) -> Fault:
    """Return the fault of an invocation that the callee's access control refuses."""
    text = (
        f"fail to invoke, id: {app_id}, err: rpc error: code = PermissionDenied desc = access "
        f"control policy has denied access to id: {caller} operation: {operation} verb: {verb}"
    )
    return Fault(403, "ERR_DIRECT_INVOKE", text, grpc=Code.INTERNAL)


def stream(text: str) -> Fault:
    """Return the fault that ends a stream of gRPC, which the real runtime gives no code."""
    return Fault(500, "ERROR", text, grpc=Code.UNKNOWN)


# ---- health -------------------------------------------------------------------------------------


def not_ready(waiting: Sequence[str]) -> Fault:
    """Return the answer of ``/healthz`` before everything is ready."""
    return Fault(500, "ERR_HEALTH_NOT_READY", f"dapr is not ready: [{' '.join(waiting)}]")


def outbound_not_ready() -> Fault:
    """Return the answer of ``/healthz/outbound`` before the components are up."""
    return Fault(500, "ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready")


def app_id_mismatch() -> Fault:
    """Return the answer of ``/healthz?appid=`` with another app's id."""
    return Fault(500, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match")


# ---- state --------------------------------------------------------------------------------------


def state_not_configured(store: str, app_id: str) -> Fault:
    """Return the fault of a state call when no store is loaded at all."""
    info = ErrorInfo(metadata={"appID": app_id}, reason="DAPR_STATE_NOT_CONFIGURED")
    text = f"state store {store} is not configured"
    return Fault(500, "ERR_STATE_STORE_NOT_CONFIGURED", text, info, grpc=Code.FAILED_PRECONDITION)


def state_not_found(store: str, app_id: str) -> Fault:
    """Return the fault of an unknown store's name."""
    info = ErrorInfo(metadata={"appID": app_id}, reason="DAPR_STATE_NOT_FOUND")
    return Fault(400, "ERR_STATE_STORE_NOT_FOUND", f"state store {store} is not found", info)


def state_illegal_key(store: str, key: str, *, named: bool = True) -> Fault:
    """Return the fault of a key that holds the separator; not ``named`` within a transaction."""
    text = f"input key/keyPrefix '{key}' can't contain '||'"
    plain = _illegal_key(store, key, text)
    shown = f"api error: code = InvalidArgument desc = {text}"
    return _illegal_key(store, key if named else "", shown, over_grpc=plain)


def _illegal_key(store: str, key: str, text: str, over_grpc: Fault | None = None) -> Fault:
    return Fault(
        400,
        "ERR_MALFORMED_REQUEST",
        text,
        BadRequest((FieldViolation(key, text),)),
        _state(store),
        ErrorInfo(reason="DAPR_STATE_ILLEGAL_KEY"),
        over_grpc=over_grpc,
    )


def state_query_unsupported(store: str) -> Fault:
    """Return the fault of a query on a store without the query API."""
    return Fault(
        500,
        "ERR_STATE_STORE_NOT_SUPPORTED",
        "state store does not support querying",
        _state(store),
        ErrorInfo(reason="DAPR_STATE_QUERYING_NOT_SUPPORTED"),
    )


def state_keys_unsupported(store: str) -> Fault:
    """Return the fault of a list of a store that cannot tell its keys."""
    text = f"state store '{store}' cannot tell its keys"
    return Fault(501, "ERR_STATE_STORE_NOT_SUPPORTED", text)


def state_query(store: str, error: str) -> Fault:
    """Return the fault of a query that cannot be read or that the store refused."""
    text = f"state store {store} query failed: {error}"
    info = ErrorInfo(reason="DAPR_STATE_QUERY_FAILED")
    return Fault(500, "ERR_STATE_QUERY", text, _state(store), info)


def state_operation_unsupported(operation: str) -> Fault:
    """Return the fault of an unknown operation in a transaction."""
    text = f"operation type {operation} not supported"
    return Fault(400, "ERR_NOT_SUPPORTED_STATE_OPERATION", text, grpc=Code.UNIMPLEMENTED)


def state_get(store: str, key: str, error: str) -> Fault:
    """Return the fault of a get that the store refused."""
    return Fault(500, "ERR_STATE_GET", f"fail to get {key} from state store {store}: {error}")


def state_save(store: str, error: str, status: int = 500) -> Fault:
    """Return the fault of a save that the store refused."""
    text = f"failed saving state in state store {store}: {error}"
    return Fault(status, "ERR_STATE_SAVE", text)


def state_key_missing() -> Fault:
    """Return the fault of an item without a key, over gRPC."""
    return Fault(400, "ERR_STATE_SAVE", "state key cannot be empty")


def state_not_json(error: str) -> Fault:
    """Return the fault of an item that calls itself JSON and is not, over gRPC."""
    return Fault(400, "ERR_MALFORMED_REQUEST", error, grpc=Code.UNKNOWN)


def state_delete(key: str, error: str, status: int = 500) -> Fault:
    """Return the fault of a delete that the store refused."""
    return Fault(status, "ERR_STATE_DELETE", f"failed deleting state with key {key}: {error}")


def state_delete_many(store: str, error: str, status: int = 500) -> Fault:
    """Return the fault of a bulk delete that the store refused, over gRPC."""
    text = f"failed deleting state in state store {store}: {error}"
    return Fault(status, "ERR_STATE_BULK_DELETE", text)


def state_bulk_get(error: str) -> Fault:
    """Return the fault of a bulk get that the store refused."""
    return Fault(500, "ERR_STATE_BULK_GET", error, grpc=Code.UNKNOWN)


def state_transaction(error: str) -> Fault:
    """Return the fault of a transaction that the store refused, conflicts included."""
    text = f"error while executing state transaction: {error}"
    return Fault(500, "ERR_STATE_TRANSACTION", text)


def _state(store: str) -> ResourceInfo:
    return ResourceInfo(resource_name=store, resource_type="state")


# ---- pub/sub ------------------------------------------------------------------------------------


def pubsub_not_found(pubsub: str) -> Fault:
    """Return the fault of an unknown pub/sub component's name."""
    info = ErrorInfo(metadata={}, reason="DAPR_PUBSUB_NOT_FOUND")
    text = f"pubsub {pubsub} is not found"
    return Fault(404, "ERR_PUBSUB_NOT_FOUND", text, info, grpc=Code.INVALID_ARGUMENT)


def pubsub_name_empty(metadata: Mapping[str, str]) -> Fault:
    """Return the fault of a publish that names no component; no path of HTTP can do that."""
    text = "pubsub name is empty"
    details = _pubsub("", text, "NAME_EMPTY", dict(metadata))
    return Fault(404, "ERR_PUBSUB_EMPTY", text, *details, grpc=Code.INVALID_ARGUMENT)


def pubsub_topic_empty(pubsub: str, metadata: Mapping[str, str]) -> Fault:
    """Return the fault of a publish that names no topic; no path of HTTP can do that."""
    text = f"topic is empty in pubsub {pubsub}"
    details = _pubsub(pubsub, text, "TOPIC_NAME_EMPTY", dict(metadata))
    return Fault(404, "ERR_TOPIC_NAME_EMPTY", text, *details, grpc=Code.INVALID_ARGUMENT)


def pubsub_forbidden(pubsub: str, topic: str, app_id: str) -> Fault:
    """Return the fault of a topic that the component's scopes keep from this app."""
    text = f"topic {topic} is not allowed for app id {app_id}"
    details = _pubsub(pubsub, text, "FORBIDDEN", {"error": text, "topic": topic})
    return Fault(403, "ERR_PUBSUB_FORBIDDEN", text, *details)


def pubsub_metadata(pubsub: str, metadata: Mapping[str, str], error: str) -> Fault:
    """Return the fault of request metadata that cannot be read."""
    text = f"failed deserializing metadata. Error: {error}"
    reason = "METADATA_DESERIALIZATION"
    details = _pubsub(pubsub, text, reason, dict(metadata))
    return Fault(400, "ERR_PUBSUB_REQUEST_METADATA", text, *details)


def pubsub_cloud_event(pubsub: str, app_id: str, error: str) -> Fault:
    """Return the fault of a body that should be a CloudEvent and is not."""
    text = "cannot create cloudevent"
    reason = "CLOUD_EVENT_CREATION"
    details = _pubsub(pubsub, text, reason, {"appID": app_id, "error": error})
    return Fault(500, "ERR_PUBSUB_CLOUD_EVENTS_SER", text, *details, grpc=Code.INVALID_ARGUMENT)


def pubsub_stream(pubsub: str, reason: str) -> Fault:
    """Return the fault of a streaming subscription that cannot be started."""
    return stream(f"failed to create subscription for {pubsub}: {reason}")


def pubsub_publish(pubsub: str, topic: str, error: str) -> Fault:
    """Return the fault of a message that the broker refused."""
    text = f"error when publishing to topic {topic} in pubsub {pubsub}: {error}"
    details = _pubsub(pubsub, text, "PUBLISH_MESSAGE", {"error": error, "topic": topic})
    return Fault(500, "ERR_PUBSUB_PUBLISH_MESSAGE", text, *details)


def outbox_publish(app_id: str, error: str) -> Fault:
    """Return the fault of a transaction whose outbox could not publish."""
    text = f"error while publishing outbox message: {error}"
    info = ErrorInfo(metadata={"appID": app_id, "error": error}, reason="DAPR_PUBSUB_OUTBOX")
    return Fault(500, "ERR_PUBLISH_OUTBOX", text, info)


def pubsub_unmarshal(pubsub: str, topic: str, app_id: str, error: str) -> Fault:
    """Return the fault of a bulk publish whose body cannot be read."""
    text = f"error when unmarshaling the request for topic {topic} pubsub {pubsub}: {error}"
    details = _pubsub(pubsub, text, "UNMARSHAL_EVENTS", {"appID": app_id})
    return Fault(400, "ERR_PUBSUB_EVENTS_SER", text, *details)


def pubsub_marshal(pubsub: str, topic: str, app_id: str, error: str) -> Fault:
    """Return the fault of a bulk publish with an entry that makes no sense."""
    text = f"error marshaling events to bytes for topic {topic} pubsub {pubsub}. error: {error}"
    details = _pubsub(pubsub, text, "MARSHAL_EVENTS", {"appID": app_id, "error": error})
    return Fault(400, "ERR_PUBSUB_EVENTS_SER", text, *details)


def pubsub_envelope(pubsub: str, topic: str, app_id: str, error: str) -> Fault:
    """Return the fault of a bulk publish with an event that does not fit its content type."""
    text = f"error when marshalling cloud event envelope for topic {topic} pubsub {pubsub}: {error}"
    details = _pubsub(pubsub, text, "MARSHAL_ENVELOPE", {"appID": app_id, "error": error})
    return Fault(400, "ERR_PUBSUB_EVENTS_SER", text, *details)


def _pubsub(pubsub: str, text: str, reason: str, metadata: dict[str, str]) -> tuple[Known, ...]:
    resource = ResourceInfo(description=text, resource_name=pubsub, resource_type="pubsub")
    return resource, ErrorInfo(metadata=metadata, reason=f"DAPR_PUBSUB_{reason}")


# ---- secrets, bindings --------------------------------------------------------------------------


def secret_stores_not_configured() -> Fault:
    """Return the fault of a secret call when no store is loaded at all."""
    text = "secret store is not configured"
    return Fault(500, "ERR_SECRET_STORES_NOT_CONFIGURED", text, grpc=Code.FAILED_PRECONDITION)


def secret_store_not_found(store: str) -> Fault:
    """Return the fault of an unknown secret store's name (401, as the real one has it)."""
    text = f"failed finding secret store with key {store}"
    return Fault(401, "ERR_SECRET_STORE_NOT_FOUND", text, grpc=Code.INVALID_ARGUMENT)


def secret_get(store: str, key: str, error: str) -> Fault:
    """Return the fault of a secret that cannot be had, a missing one included."""
    text = f"failed getting secret with key {key} from secret store {store}: {error}"
    return Fault(500, "ERR_SECRET_GET", text)


def secret_denied(store: str, key: str) -> Fault:
    """Return the fault of a secret that the app's Configuration keeps from it."""
    text = f'access denied by policy to get "{key}" from "{store}"'
    return Fault(403, "ERR_PERMISSION_DENIED", text)


def secret_bulk(store: str, error: str) -> Fault:
    """Return the fault of a bulk call that the store refused."""
    text = f"failed getting secrets from secret store {store}: {error}"
    return Fault(500, "ERR_SECRET_GET", text)


def output_binding(name: str, error: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> Fault:
    """Return the fault of an output binding call; every failure is a 500."""
    text = f"error invoking output binding {name}: {error}"
    return Fault(500, "ERR_INVOKE_OUTPUT_BINDING", text, headers=headers)


# ---- conversation -------------------------------------------------------------------------------


def conversation_not_found(name: str) -> Fault:
    """Return the fault of a conversation component that this app does not see."""
    text = f"failed finding conversation component {name}"
    return Fault(400, "ERR_CONVERSATION_NOT_FOUND", text)


def conversation_without_inputs(name: str) -> Fault:
    """Return the fault of a call that says nothing."""
    text = f"failed conversing with component {name}: missing inputs in request"
    return Fault(400, "ERR_CONVERSATION_MISSING_INPUTS", text)


def conversation_invalid(name: str, go_type: str, reason: str) -> Fault:
    """Return the fault of a wrong message or tool choice; the runtime's text ends as Go's does."""
    text = f"failed conversing with component {name}: invalid params%!(EXTRA {go_type}={reason})"
    return Fault(400, "ERR_CONVERSATION_INVALID_PARMS", text)


def conversation_failed(name: str, error: str) -> Fault:
    """Return the fault of a model that did not answer."""
    text = f"failed conversing with component {name}: {error}"
    return Fault(500, "ERR_CONVERSATION_INVOKE", text)


# ---- configuration, locks -----------------------------------------------------------------------


def configuration_not_configured() -> Fault:
    """Return the fault of a configuration call when no store is loaded at all."""
    text = "configuration stores not configured"
    return Fault(500, "ERR_CONFIGURATION_STORE_NOT_CONFIGURED", text, grpc=Code.FAILED_PRECONDITION)


def configuration_not_found(store: str) -> Fault:
    """Return the fault of an unknown configuration store's name."""
    text = f"configuration store {store} not found"
    return Fault(400, "ERR_CONFIGURATION_STORE_NOT_FOUND", text)


def configuration_get(store: str, keys: Sequence[str], error: str) -> Fault:
    """Return the fault of a get that the store refused."""
    text = f"failed to get [{' '.join(keys)}] from Configuration store {store}: {error}"
    return Fault(500, "ERR_CONFIGURATION_GET", text)


def configuration_without_app() -> Fault:
    """Return the fault of a subscription where there is no app to call."""
    text = "app channel is not initialized. cannot subscribe to configuration updates"
    return Fault(500, "ERR_APP_CHANNEL_NIL", text)


def configuration_subscribe(store: str, keys: Sequence[str], error: str) -> Fault:
    """Return the fault of a subscription that the store refused."""
    text = f"failed to subscribe [{' '.join(keys)}] from Configuration store {store}: {error}"
    return Fault(500, "ERR_CONFIGURATION_SUBSCRIBE", text, grpc=Code.INVALID_ARGUMENT)


def lock_not_configured() -> Fault:
    """Return the fault of a lock call when no store is loaded at all."""
    text = "lock store is not configured"
    return Fault(500, "ERR_LOCK_STORE_NOT_CONFIGURED", text, grpc=Code.FAILED_PRECONDITION)


def lock_not_found(store: str) -> Fault:
    """Return the fault of an unknown lock store's name."""
    return Fault(400, "ERR_LOCK_STORE_NOT_FOUND", f"lock store {store} not found")


def lock_try(error: str) -> Fault:
    """Return the fault of an attempt that the store refused."""
    return Fault(500, "ERR_TRY_LOCK", f"failed to try acquiring lock: {error}")


def lock_unlock(error: str) -> Fault:
    """Return the fault of an unlock that the store refused."""
    return Fault(500, "ERR_UNLOCK", f"failed to release lock: {error}")


# ---- jobs ---------------------------------------------------------------------------------------


def job(
    status: int,
    reason: str,
    message: str,
    app_id: str,
    namespace: str = "",
    *,
    grpc: Code | None = None,
) -> Fault:
    """Return the fault of a call about a job; ``reason`` is its code, too."""
    metadata = {"appID": app_id, **({"namespace": namespace} if namespace else {})}
    return Fault(status, reason, message, ErrorInfo(metadata=metadata, reason=reason), grpc=grpc)


# ---- workflows ----------------------------------------------------------------------------------


def workflow_id_missing() -> Fault:
    """Return the fault of a call about a workflow that names none."""
    return Fault(400, "ERR_INSTANCE_ID_PROVIDED_MISSING", "no instance ID was provided")


def workflow_id_too_long(limit: int) -> Fault:
    """Return the fault of an instance id that is too long."""
    text = f"workflow instance ID exceeds the max length of {limit} characters"
    return Fault(400, "ERR_INSTANCE_ID_TOO_LONG", text)


def workflow_id_invalid(instance: str) -> Fault:
    """Return the fault of an instance id with a character that it must not have."""
    text = (
        f"workflow instance ID '{instance}' is invalid: only alphanumeric and underscore "
        "characters are allowed"
    )
    return Fault(400, "ERR_INSTANCE_ID_INVALID", text)


def workflow_name_missing() -> Fault:
    """Return the fault of a start that says not what to start."""
    return Fault(400, "ERR_WORKFLOW_NAME_MISSING", "workflow name is not configured")


def workflow_event_missing() -> Fault:
    """Return the fault of an event without a name."""
    return Fault(400, "ERR_WORKFLOW_EVENT_NAME_MISSING", "missing workflow event name")


# ---- cryptography -------------------------------------------------------------------------------


def crypto_not_configured() -> Fault:
    """Return the fault of an app that sees no cryptography component."""
    return Fault(500, "ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED", "crypto providers not configured")


def crypto_not_found(name: str) -> Fault:
    """Return the fault of a cryptography component that this app does not see."""
    return Fault(400, "ERR_CRYPTO_PROVIDER_NOT_FOUND", f"crypto provider {name} not found")


def crypto_failed(error: str) -> Fault:
    """Return the fault of an operation that failed."""
    return Fault(500, "ERR_CRYPTO", f"failed to perform operation: {error}")


def crypto_broken_off(error: str) -> Fault:
    """Return the fault of a document that is broken after its head, found while it is answered."""
    return Fault(500, "ERROR", error)


def bad_request(reason: str) -> Fault:
    """Return the fault of a request that lacks something."""
    return Fault(400, "ERR_BAD_REQUEST", f"invalid request: {reason}")


def missing_header(name: str) -> Fault:
    """Return the fault of a request without a header it needs."""
    return bad_request(f"missing header '{name}'")

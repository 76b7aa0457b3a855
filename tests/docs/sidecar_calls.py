"""Every call that a sidecar takes, as the page about them has it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Path:
    """A route of the HTTP API.

    Attributes:
        verbs: with which it is called.
        path: below the sidecar's address.
        what: what it does.
        client: what of `daprflow.Client` does it; empty where nothing has to.
    """

    verbs: str
    path: str
    what: str
    client: str = ""


PATHS = (
    Path("GET", "/v1.0/state/{store}/{key}", "one value with its ETag", "state().get"),
    Path("POST, PUT", "/v1.0/state/{store}", "write one or many", "state().set, set_many"),
    Path("DELETE", "/v1.0/state/{store}/{key}", "delete one", "state().delete"),
    Path("POST, PUT", "/v1.0/state/{store}/bulk", "many values", "state().get_many"),
    Path("POST, PUT", "/v1.0/state/{store}/transaction", "all or nothing", "state().transaction"),
    Path("POST, PUT", "/v1.0-alpha1/state/{store}/query", "search", "state().query"),
    Path("POST, PUT", "/v1.0/publish/{pubsub}/{topic}", "publish one event", "publish"),
    Path("POST, PUT", "/v1.0/publish/bulk/{pubsub}/{topic}", "publish many", "publish_many"),
    Path("POST, PUT", "/v1.0-alpha1/publish/bulk/{pubsub}/{topic}", "the same"),
    Path("POST, PUT", "/v1.0/bindings/{name}", "call an output binding", "bind"),
    Path("GET", "/v1.0/secrets/{store}/{key}", "one secret", "secret"),
    Path("GET", "/v1.0/secrets/{store}/bulk", "all secrets", "secrets"),
    Path("GET", "/v1.0/configuration/{store}", "items", "configuration().get, get_many"),
    Path("GET", "/v1.0/configuration/{store}/subscribe", "follow", "configuration().subscribe"),
    Path("GET", "/v1.0/configuration/{store}/{id}/unsubscribe", "follow no more", "the same"),
    Path("GET", "/v1.0-alpha1/configuration/{store}", "as without alpha1, all three"),
    Path("POST", "/v1.0-alpha1/lock/{store}", "take a lock", "lock"),
    Path("POST", "/v1.0-alpha1/unlock/{store}", "give it back", "lock"),
    Path("PUT", "/v1.0-alpha1/crypto/{name}/encrypt", "encrypt", "encrypt, encrypt_stream"),
    Path("PUT", "/v1.0-alpha1/crypto/{name}/decrypt", "decrypt", "decrypt, decrypt_stream"),
    Path("POST", "/v1.0-alpha1/subtlecrypto/{name}/sign", "seven low-level calls: always 501"),
    Path("POST", "/v1.0-alpha1/conversation/{name}/converse", "say something, as text"),
    Path("POST", "/v1.0-alpha2/conversation/{name}/converse", "with messages, tools", "converse"),
    Path("POST", "/v1.0/jobs/{name}", "schedule a job", "schedule"),
    Path("GET", "/v1.0/jobs/{name}", "show it", "job"),
    Path("DELETE", "/v1.0/jobs/{name}", "delete it", "delete_job"),
    Path("POST, GET, DELETE", "/v1.0-alpha1/jobs/{name}", "the same three"),
    Path(
        "GET, POST, PUT, DELETE",
        "/v1.0/actors/{type}/{id}/method/{method}",
        "call an actor",
        "actor",
    ),
    Path("POST, PUT", "/v1.0/actors/{type}/{id}/state", "write its state", "in a turn"),
    Path("GET", "/v1.0/actors/{type}/{id}/state/{key}", "read its state", "in a turn"),
    Path("POST, PUT", "/v1.0/actors/{type}/{id}/reminders/{name}", "set", "Actor.remind"),
    Path("GET", "/v1.0/actors/{type}/{id}/reminders/{name}", "show it"),
    Path("DELETE", "/v1.0/actors/{type}/{id}/reminders/{name}", "delete", "Actor.unremind"),
    Path("POST, PUT", "/v1.0/actors/{type}/{id}/timers/{name}", "set", "Actor.set_timer"),
    Path("DELETE", "/v1.0/actors/{type}/{id}/timers/{name}", "delete", "Actor.unset_timer"),
    Path("POST", "/v1.0/workflows/{component}/{name}/start", "start an instance", "over gRPC"),
    Path("GET", "/v1.0/workflows/{component}/{id}", "its status", "over gRPC"),
    Path("POST", "/v1.0/workflows/{component}/{id}/pause", "have it hold still", "over gRPC"),
    Path("POST", "/v1.0/workflows/{component}/{id}/resume", "have it go on", "over gRPC"),
    Path("POST", "/v1.0/workflows/{component}/{id}/terminate", "end it", "over gRPC"),
    Path("POST", "/v1.0/workflows/{component}/{id}/purge", "forget it", "over gRPC"),
    Path("POST", "/v1.0/workflows/{component}/{id}/raiseEvent/{event}", "send", "over gRPC"),
    Path("POST", "/v1.0-beta1/workflows/{component}/{name}/start", "all seven, as `v1.0`"),
    Path("POST", "/v1.0-alpha1/workflows/{component}/{name}/start", "all seven, as `v1.0`"),
    Path("GET", "/v1.0/healthz", "whether all is ready", "healthy"),
    Path("GET", "/v1.0/healthz/outbound", "whether calls can be made", "healthy"),
    Path("GET", "/v1.0/metadata", "what is loaded", "metadata"),
    Path("PUT", "/v1.0/metadata/{key}", "add an attribute", "set_metadata"),
    Path("POST", "/v1.0/shutdown", "end the sidecar", "shutdown"),
)
INVOCATION = Path("any", "/v1.0/invoke/{app}/method/{method}", "call an app", "invoke, request")

WITH_CLIENT: Mapping[str, str] = {
    "SubscribeTopicEventsAlpha1": "`Client.subscribe`",
    "SubscribeActorEventsAlpha1": "apps host actors over HTTP",
    "ListJobs": "`daprflow job list`",
    "ListJobsAlpha1": "`daprflow job list`",
    "ListActorReminders": "`daprflow actor reminder list`",
    "EncryptAlpha1": "`Client.encrypt`",
    "DecryptAlpha1": "`Client.decrypt`",
}
"""Calls over gRPC that daprflow itself makes, or has another way for."""

LATER = (
    *("GetActorTimer", "ListActorTimers"),
    *("CreateIndexAlpha1", "GetIndexAlpha1", "ListIndexesAlpha1", "DeleteIndexAlpha1"),
    *("IndexDocumentsAlpha1", "GetDocumentsAlpha1", "DeleteDocumentsAlpha1", "SearchAlpha1"),
    *("CreateCollectionAlpha1", "GetCollectionAlpha1", "ListCollectionsAlpha1"),
    *("DeleteCollectionAlpha1", "UpsertVectorsAlpha1", "DeleteVectorsAlpha1"),
    *("GetVectorsAlpha1", "QueryVectorsAlpha1", "BatchQueryVectorsAlpha1"),
    *("SetBinaryFileAlpha1", "GetBinaryFileAlpha1", "DeleteBinaryFileAlpha1"),
)
"""Methods of the messages' next release, 1.19, which a runtime of 1.18 answers as unknown."""

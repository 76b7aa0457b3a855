"""A sidecar in a hundred lines, for tests of the client alone."""

from typing import Any
from urllib.parse import unquote_plus

import msgspec
from starlette.requests import Request
from starlette.responses import Response


class SmallSidecar:
    """An ASGI app that answers a client's calls as the runtime does, in small."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, int]] = {}
        self.writes = 0
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.healthy = True
        self.health_checks = 0
        self.answers: dict[str, Response] = {}
        self.before_write: list[tuple[str, bytes]] = []
        self.metadata: dict[str, str] = {}
        self.peers: set[tuple[str, int]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.peers.add(scope["client"])
            response = await self.answer(Request(scope, receive))
            await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        raw: bytes = request.scope["raw_path"].partition(b"?")[0]
        path = raw.decode()
        if path == "/v1.0/healthz/outbound":
            self.health_checks += 1
            return Response(status_code=204 if self.healthy else 500)
        query = request.scope["query_string"].decode()
        self.requests.append((request.method, f"{path}?{query}" if query else path, b""))
        body = await request.body()
        self.requests[-1] = (request.method, f"{path}?{query}" if query else path, body)
        self.headers.append(dict(request.headers))
        if path in self.answers:
            return self.answers[path]
        if path.startswith("/v1.0/state/"):
            return self.state(
                request.method, [unquote_plus(p) for p in path.split("/")[4:]], request, body
            )
        return Response(status_code=204)

    def state(self, method: str, keys: list[str], request: Request, body: bytes) -> Response:
        if method == "POST":
            return self.save(msgspec.json.decode(body)[0])
        stored = self.values.get(keys[0])
        if method == "DELETE":
            etag = request.headers.get("if-match")
            if etag and (stored is None or str(stored[1]) != etag):
                return error(409, "ERR_STATE_DELETE", "possible etag mismatch")
            self.values.pop(keys[0], None)
            return Response(status_code=204)
        if stored is None:
            return Response(status_code=204)
        headers = {"ETag": str(stored[1]), "content-type": "application/json"}
        return Response(stored[0], headers=headers | self.metadata)

    def save(self, item: dict[str, Any]) -> Response:
        if self.before_write:
            key, value = self.before_write.pop(0)
            self.put(key, value)
        stored = self.values.get(item["key"])
        first_write = (item.get("options") or {}).get("concurrency") == "first-write"
        etag = item.get("etag")
        conflict = etag and (stored is None or str(stored[1]) != etag)
        if conflict or (first_write and not etag and stored):
            return error(409, "ERR_STATE_SAVE", "possible etag mismatch")
        self.put(item["key"], msgspec.json.encode(item.get("value")))
        return Response(status_code=204)

    def put(self, key: str, value: bytes) -> None:
        self.writes += 1
        self.values[key] = (value, self.writes)


def error(status: int, code: str, message: str) -> Response:
    """Return an answer in Dapr's plain error shape."""
    body = msgspec.json.encode({"errorCode": code, "message": message})
    return Response(body, status, media_type="application/json")

"""Hosts outside Dapr that apps invoke by a name, as HTTPEndpoint documents define them."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from daprflow.protocol.http import Headers, StreamedRequest, StreamedResponse
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.blocks.external import ExternalHosts
from daprflow.sidecar.components.base import ComponentError

if TYPE_CHECKING:
    from daprflow.sidecar.loading import Loader

KIND = "HTTPEndpoint"


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An endpoint whose secrets are resolved; ``headers`` in lower case go over the caller's."""

    resource: HttpEndpointResource
    headers: Headers
    hosts: ExternalHosts


class HttpEndpoints:
    """The endpoints that one app sees.

    Args:
        loader: looks up what documents refer to.
        app_id: whose endpoints they are.
    """

    def __init__(self, loader: "Loader", app_id: str) -> None:
        self._loader = loader
        self._app_id = app_id
        self._endpoints: dict[str, _Endpoint] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which endpoints are invoked, in the order of their files."""
        return tuple(self._endpoints)

    async def take(self, resources: Sequence[HttpEndpointResource]) -> None:
        """Serve ``resources`` from now on, and no others.

        Raises:
            ComponentError: a secret or a certificate is missing or bad; nothing has changed.
        """
        made = {
            resource.name: await self._made(resource)
            for resource in resources
            if not resource.scopes or self._app_id in resource.scopes
        }
        old, self._endpoints = self._endpoints, made
        await _close(old.values())

    async def close(self) -> None:
        """Give back every connection."""
        old, self._endpoints = self._endpoints, {}
        await _close(old.values())

    async def stream(self, name: str, request: StreamedRequest) -> StreamedResponse:
        """Send ``request`` to the endpoint's address and the method's path.

        Raises:
            AppUnreachable: no answer came.
        """
        endpoint = self._endpoints[name]
        own = {header for header, _ in endpoint.headers}
        kept = tuple(pair for pair in request.headers if pair[0] not in own)
        request = replace(request, headers=(*kept, *endpoint.headers))
        return await endpoint.hosts.stream(endpoint.resource.base_url, request)

    async def _made(self, resource: HttpEndpointResource) -> _Endpoint:
        headers = await self._resolved(resource, resource.headers)
        context = await self._tls(resource)
        return _Endpoint(resource, headers, ExternalHosts(context))

    async def _resolved(
        self, resource: HttpEndpointResource, items: Sequence[MetadataItem]
    ) -> Headers:
        values = await self._loader.resolve(
            ComponentResource(
                resource.name,
                KIND,
                metadata=tuple(items),
                secret_store=resource.secret_store,
                source=resource.source,
            )
        )
        return tuple(values.items())

    async def _tls(self, resource: HttpEndpointResource) -> ssl.SSLContext | None:
        tls = resource.client_tls
        if tls is None:
            return None
        items = [item for item in (tls.root_ca, tls.certificate, tls.private_key) if item]
        pem = dict(await self._resolved(resource, items))
        try:
            return await asyncio.to_thread(
                _context,
                pem.get("clienttls.rootca", ""),
                pem.get("clienttls.certificate", ""),
                pem.get("clienttls.privatekey", ""),
            )
        except (ssl.SSLError, ValueError) as error:
            raise ComponentError(
                f"endpoint '{resource.name}' ({resource.source}): its clientTLS is not PEM "
                f"({type(error).__name__}); write the text of the certificates and of the key"
            ) from None


def _context(root: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if root:
        context.load_verify_locations(cadata=root)
    if certificate:
        with TemporaryDirectory() as folder:  # private; the ssl module reads keys from files alone
            file = Path(folder) / "client.pem"
            file.write_text(f"{certificate}\n{key}\n", encoding="utf-8")
            context.load_cert_chain(file)
    return context


async def _close(endpoints: Iterable[_Endpoint]) -> None:
    for endpoint in endpoints:
        await endpoint.hosts.close()

"""An HTTPEndpoint document: from its YAML to its value."""

import logging
from urllib.parse import urlsplit

from daprflow.protocol.http_endpoint import ClientTls, HttpEndpointResource
from daprflow.protocol.resources import MetadataItem
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_entries,
    read_mapping,
    read_name,
    read_scopes,
    read_secret_store,
    read_section,
    read_text,
    read_value,
)
from daprflow.sidecar.resource_yaml import YamlMapping

logger = logging.getLogger(__name__)


def read_endpoint(document: YamlMapping) -> HttpEndpointResource:
    """Return the endpoint that ``document`` defines.

    Raises:
        DocumentError: something is missing or of a wrong type.
    """
    head = read_mapping(document, "metadata", "the endpoint needs 'metadata' with a 'name'")
    spec = read_mapping(document, "spec", "the endpoint needs 'spec' with a 'baseUrl'")
    return HttpEndpointResource(
        name=read_name(head, "endpoint"),
        base_url=_address(spec),
        headers=tuple(
            read_value(entry, read_text(entry, "name", required=True))
            for entry in read_entries(spec, "headers")
        ),
        client_tls=_tls(spec),
        scopes=read_scopes(document),
        secret_store=read_secret_store(document),
        namespace=read_text(head, "namespace"),
        source=document.place("kind"),
    )


def _address(spec: YamlMapping) -> str:
    address = read_text(spec, "baseUrl", required=True)
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DocumentError(
            f"{spec.place('baseUrl')}: baseUrl '{address}' is no address; write for example "
            "https://api.example.org"
        )
    return address.rstrip("/")


def _tls(spec: YamlMapping) -> ClientTls | None:
    section = read_section(spec, "clientTLS")
    if section is None:
        return None
    if read_text(section, "renegotiation") not in {"", "Never", "RenegotiateNever"}:
        logger.warning(
            "%s: TLS renegotiation is never allowed by the embedded sidecar",
            section.place("renegotiation"),
        )
    tls = ClientTls(
        _pem(section, "rootCA"), _pem(section, "certificate"), _pem(section, "privateKey")
    )
    if (tls.certificate is None) != (tls.private_key is None):
        raise DocumentError(
            f"{spec.place('clientTLS')}: 'certificate' and 'privateKey' belong together"
        )
    return tls


def _pem(section: YamlMapping, key: str) -> MetadataItem | None:
    entry = read_section(section, key)
    return None if entry is None else read_value(entry, f"clientTLS.{key}")

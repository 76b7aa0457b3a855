"""Resources as documents, the other way round from reading them."""

from datetime import timedelta
from typing import Any

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.configuration_tree import Tree, configuration_spec, some
from daprflow.protocol.documents import BulkSubscribe, Routes
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.other_resource import OtherResource
from daprflow.protocol.periods import go_duration
from daprflow.protocol.resiliency import (
    ACTOR_BREAKERS,
    APP_BREAKERS,
    ActorTarget,
    AppTarget,
    BreakerSpec,
    CodeRange,
    PolicyNames,
    ResiliencyResource,
    RetrySpec,
)
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.protocol.subscription_resource import SubscriptionResource

FIRST, SECOND = "dapr.io/v1alpha1", "dapr.io/v2alpha1"
_INIT_TIMEOUT = 5.0
_RETRY = RetrySpec()
_BREAKER = BreakerSpec()


def component_tree(component: ComponentResource) -> Tree:
    """Return a Component document; a value is always text, as a runtime hands it on."""
    timeout = None if component.init_timeout == _INIT_TIMEOUT else _period(component.init_timeout)
    return {
        **_head("Component", component.name, component.namespace),
        "spec": {
            "type": component.type,
            "version": component.version,
            **some(ignoreErrors=component.ignore_errors or None, initTimeout=timeout),
            "metadata": [_item(each) for each in component.metadata],
        },
        **some(
            auth=some(secretStore=component.secret_store),
            scopes=list(component.scopes),
        ),
    }


def subscription_tree(subscription: SubscriptionResource) -> Tree:
    """Return a Subscription document of ``v2alpha1``, whatever it was read from."""
    said = subscription.document
    return {
        **_head("Subscription", subscription.name, subscription.namespace, SECOND),
        "spec": {
            "pubsubname": said.pubsubname,
            "topic": said.topic,
            "routes": _routes(said.routes or Routes(default=said.route)),
            **some(
                deadLetterTopic=said.dead_letter_topic,
                metadata=dict(said.metadata),
                bulkSubscribe=_bulk(said.bulk_subscribe),
            ),
        },
        **some(scopes=list(subscription.scopes)),
    }


def resiliency_tree(resiliency: ResiliencyResource) -> Tree:
    """Return a Resiliency document."""
    components = {
        name: some(inbound=_names(each.inbound), outbound=_names(each.outbound))
        for name, each in resiliency.components.items()
    }
    return {
        **_head("Resiliency", resiliency.name, resiliency.namespace),
        "spec": {
            "policies": some(
                timeouts={name: _period(each) for name, each in resiliency.timeouts.items()},
                retries={name: _retry(each) for name, each in resiliency.retries.items()},
                circuitBreakers={
                    name: _breaker(each) for name, each in resiliency.circuit_breakers.items()
                },
            ),
            "targets": some(
                apps={name: _app(each) for name, each in resiliency.apps.items()},
                actors={name: _actor(each) for name, each in resiliency.actors.items()},
                components=components,
            ),
        },
        **some(scopes=list(resiliency.scopes)),
    }


def endpoint_tree(endpoint: HttpEndpointResource) -> Tree:
    """Return an HTTPEndpoint document."""
    tls: dict[str, Any] = {}
    if endpoint.client_tls is not None:
        parts = endpoint.client_tls
        named = {
            "rootCA": parts.root_ca,
            "certificate": parts.certificate,
            "privateKey": parts.private_key,
        }
        tls = {name: _source(item) for name, item in named.items() if item is not None}
    return {
        **_head("HTTPEndpoint", endpoint.name, endpoint.namespace),
        "spec": {
            "baseUrl": endpoint.base_url,
            **some(headers=[_item(each) for each in endpoint.headers], clientTLS=tls),
        },
        **some(auth=some(secretStore=endpoint.secret_store), scopes=list(endpoint.scopes)),
    }


def other_tree(resource: OtherResource) -> Tree:
    """Return the document of a resource that is handed on as it is."""
    return {
        **_head(resource.kind, resource.name, resource.namespace, resource.version),
        "spec": resource.spec,
        **some(scopes=list(resource.scopes)),
    }


def configuration_tree(name: str, configuration: ConfigurationResource) -> Tree:
    """Return a Configuration document."""
    return {**_head("Configuration", name, ""), "spec": configuration_spec(configuration)}


def _head(kind: str, name: str, namespace: str, version: str = FIRST) -> dict[str, Any]:
    metadata = {"name": name, **some(namespace=namespace)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _item(item: MetadataItem) -> Tree:
    return {"name": item.name, **_source(item)}


def _source(item: MetadataItem) -> Tree:
    if item.secret_key_ref is not None:
        reference = item.secret_key_ref
        return {"secretKeyRef": {"name": reference.name, **some(key=reference.key)}}
    if item.value is None and item.env_ref:
        return {"envRef": item.env_ref}
    return {"value": item.value or ""}


def _routes(routes: Routes) -> Tree:
    rules = [{"match": each.match, "path": each.path} for each in routes.rules]
    return some(rules=rules, default=routes.default)


def _bulk(bulk: BulkSubscribe | None) -> Tree:
    if bulk is None:
        return {}
    return {
        "enabled": bulk.enabled,
        **some(
            maxMessagesCount=bulk.max_messages_count,
            maxAwaitDurationMs=bulk.max_await_duration_ms,
        ),
    }


def _retry(retry: RetrySpec) -> Tree:
    growing = retry.exponential
    matching = some(
        httpStatusCodes=_codes(retry.http_codes), gRPCStatusCodes=_codes(retry.grpc_codes)
    )
    pause = None if growing or retry.duration == _RETRY.duration else _period(retry.duration)
    longest = _period(retry.max_interval) if growing else None
    return {
        "policy": "exponential" if growing else "constant",
        **some(duration=pause, maxInterval=longest, maxRetries=retry.max_retries),
        **some(matching=matching),
    }


def _codes(codes: tuple[CodeRange, ...] | None) -> str | None:
    if codes is None:
        return None
    return ",".join(
        str(each.first) if each.first == each.last else f"{each.first}-{each.last}"
        for each in codes
    )


def _breaker(breaker: BreakerSpec) -> Tree:
    return {
        "maxRequests": breaker.max_requests,
        **some(
            interval=_period(breaker.interval) if breaker.interval else None,
            timeout=_period(breaker.timeout),
            trip=breaker.trip,
        ),
    }


def _names(names: PolicyNames) -> dict[str, Any]:
    return some(timeout=names.timeout, retry=names.retry, circuitBreaker=names.circuit_breaker)


def _app(target: AppTarget) -> Tree:
    size = None if target.breakers == APP_BREAKERS else target.breakers
    return {**_names(target.policies), **some(circuitBreakerCacheSize=size)}


def _actor(target: ActorTarget) -> Tree:
    size = None if target.breakers == ACTOR_BREAKERS else target.breakers
    return {
        **_names(target.policies),
        **some(circuitBreakerScope=target.scope, circuitBreakerCacheSize=size),
    }


def _period(seconds: float) -> str:
    return go_duration(timedelta(seconds=seconds))

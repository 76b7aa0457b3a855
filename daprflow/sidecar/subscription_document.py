"""A Subscription document, of either version: from its YAML to its value."""

from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription
from daprflow.protocol.expressions import ExpressionError, compile_expression
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_count,
    read_entries,
    read_flag,
    read_mapping,
    read_name,
    read_pairs,
    read_scopes,
    read_section,
    read_text,
)
from daprflow.sidecar.resource_yaml import YamlMapping

_FIRST, _SECOND = "dapr.io/v1alpha1", "dapr.io/v2alpha1"


def read_subscription(document: YamlMapping) -> SubscriptionResource:
    """Return the subscription that ``document`` defines.

    Raises:
        DocumentError: something is missing or of a wrong type, or a rule is not CEL.
    """
    head = read_mapping(document, "metadata", "the subscription needs 'metadata' with a 'name'")
    needs = "the subscription needs 'spec' with 'pubsubname', 'topic' and where events go"
    spec = read_mapping(document, "spec", needs)
    version = document.get("apiVersion")
    if version not in {_FIRST, _SECOND}:
        raise DocumentError(
            f"{document.place('apiVersion')}: a subscription has apiVersion '{_SECOND}' "
            f"(or '{_FIRST}'), not '{version}'"
        )
    return SubscriptionResource(
        name=read_name(head, "subscription"),
        document=Subscription(
            pubsubname=read_text(spec, "pubsubname", required=True),
            topic=read_text(spec, "topic", required=True),
            route=read_text(spec, "route", required=True) if version == _FIRST else "",
            routes=_routes(spec) if version == _SECOND else None,
            dead_letter_topic=read_text(spec, "deadLetterTopic"),
            metadata=read_pairs(spec, "metadata"),
            bulk_subscribe=_bulk(spec),
        ),
        scopes=read_scopes(document),
        namespace=read_text(head, "namespace"),
        source=document.place("kind"),
    )


def _routes(spec: YamlMapping) -> Routes:
    routes = read_mapping(
        spec, "routes", "the subscription needs 'routes' with 'default', 'rules' or both"
    )
    rules = tuple(_rule(entry) for entry in read_entries(routes, "rules"))
    default = read_text(routes, "default")
    if not rules and not default:
        raise DocumentError(f"{spec.place('routes')}: 'routes' names no path; add a 'default'")
    return Routes(rules, default)


def _rule(entry: YamlMapping) -> Rule:
    rule = Rule(read_text(entry, "path", required=True), read_text(entry, "match"))
    if rule.match.strip():
        try:
            compile_expression(rule.match)
        except ExpressionError as error:
            raise DocumentError(f"{entry.place('match')}: {error}") from error
    return rule


def _bulk(spec: YamlMapping) -> BulkSubscribe | None:
    section = read_section(spec, "bulkSubscribe")
    if section is None:
        return None
    return BulkSubscribe(
        read_flag(section, "enabled"),
        read_count(section, "maxMessagesCount"),
        read_count(section, "maxAwaitDurationMs"),
    )

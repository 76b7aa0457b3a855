"""A Configuration as the ``spec`` of its document, the other way round from reading one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from daprflow.protocol.configuration_file import (
    AccessControl,
    AccessPolicy,
    ApiLogging,
    ApiRule,
    ConfigurationResource,
    MetricsSpec,
    MtlsSpec,
    NamedLimit,
    OtelSpec,
    PipelineHandler,
    SecretScope,
    TracingSpec,
    WorkflowConfiguration,
)
from daprflow.protocol.periods import go_duration

Tree = Mapping[str, Any]
"""A document as it is written: mappings, lists, texts, numbers, truth values."""

_TRUST_DOMAIN, _SENTRY = "cluster.local", "dapr-sentry.dapr-system.svc.cluster.local:443"
"""As Dapr is installed where nobody says otherwise; the schema asks for both."""


def configuration_spec(configuration: ConfigurationResource, namespace: str = "default") -> Tree:
    """Return the ``spec``, with what differs from what is so anyway.

    Args:
        configuration: of an app.
        namespace: the app's, and that of callers of whom no other is said.
    """
    workflow = configuration.workflow
    return some(
        tracing=_tracing(configuration.tracing),
        metrics=_metrics(configuration.metrics),
        accessControl=_access(configuration.access_control, namespace),
        secrets=some(scopes=[_scope(each) for each in configuration.secret_scopes]),
        api=some(
            allowed=[_rule(each) for each in configuration.api_allowed],
            denied=[_rule(each) for each in configuration.api_denied],
        ),
        components=some(deny=list(configuration.denied_components)),
        httpPipeline=_pipeline(configuration.http_pipeline),
        appHttpPipeline=_pipeline(configuration.app_http_pipeline),
        features=[{"name": name, "enabled": on} for name, on in configuration.features],
        workflow=_workflow(workflow),
        logging=_logging(configuration.api_logging),
        mtls=_mtls(configuration.mtls),
    )


def some(**parts: Any) -> dict[str, Any]:
    """Return what says something; zero and false do."""
    return {name: part for name, part in parts.items() if part not in (None, "", [], {})}


def _tracing(tracing: TracingSpec) -> Tree:
    zipkin = some(endpointAddress=tracing.zipkin)
    found = some(stdout=tracing.stdout or None, zipkin=zipkin, otel=_otel(tracing.otel))
    if not found and not tracing.sampling_rate:
        return {}
    return {"samplingRate": tracing.sampling_rate or "1", **found}


def _otel(otel: OtelSpec) -> Tree:
    if not otel.endpoint:
        return {}
    return {
        "endpointAddress": otel.endpoint,
        "isSecure": otel.is_secure,
        "protocol": otel.protocol or "grpc",
        **some(
            headers=[{"name": name, "value": value} for name, value in otel.headers],
            timeout=_seconds(otel.timeout),
        ),
    }


def _metrics(metrics: MetricsSpec) -> Tree:
    http = some(
        increasedCardinality=None if metrics.increased_cardinality else False,
        pathMatching=list(metrics.path_matching),
        excludeVerbs=metrics.exclude_verbs or None,
    )
    rules = [
        {
            "name": rule.name,
            "labels": [
                {"name": label.name, "regex": dict(label.patterns)} for label in rule.labels
            ],
        }
        for rule in metrics.rules
    ]
    buckets = [int(limit) for limit in metrics.latency_buckets]
    found = some(
        latencyDistributionBuckets=buckets,
        http=http,
        rules=rules,
        recordErrorCodes=metrics.record_error_codes or None,
    )
    return {"enabled": metrics.enabled, **found} if found or not metrics.enabled else {}


def _access(access: AccessControl | None, namespace: str) -> Tree:
    if access is None:
        return {}
    return some(
        defaultAction=access.default_action,
        trustDomain=access.trust_domain,
        policies=[_policy(each, namespace) for each in access.policies],
    )


def _policy(policy: AccessPolicy, namespace: str) -> Tree:
    operations = [
        {"name": each.name, **some(httpVerb=list(each.verbs)), "action": each.action}
        for each in policy.operations
    ]
    return {
        "appId": policy.app_id,
        **some(
            defaultAction=policy.default_action,
            trustDomain=policy.trust_domain,
            namespace=policy.namespace or namespace,
            operations=operations,
        ),
    }


def _scope(scope: SecretScope) -> Tree:
    return {
        "storeName": scope.store,
        **some(
            defaultAccess=scope.default_access,
            allowedSecrets=list(scope.allowed),
            deniedSecrets=list(scope.denied),
        ),
    }


def _rule(rule: ApiRule) -> Tree:
    return {"name": rule.name, "version": rule.version, **some(protocol=rule.protocol)}


def _pipeline(handlers: tuple[PipelineHandler, ...]) -> Tree:
    return some(handlers=[{"name": each.name, "type": each.type} for each in handlers])


def _workflow(workflow: WorkflowConfiguration) -> Tree:
    kept = workflow.retention
    return some(
        maxConcurrentWorkflowInvocations=workflow.max_workflows or None,
        maxConcurrentActivityInvocations=workflow.max_activities or None,
        workflowConcurrencyLimits=_limits(workflow.workflow_limits),
        activityConcurrencyLimits=_limits(workflow.activity_limits),
        stateRetentionPolicy=some(
            anyTerminal=_seconds(kept.any_terminal),
            completed=_seconds(kept.completed),
            failed=_seconds(kept.failed),
            terminated=_seconds(kept.terminated),
        ),
    )


def _limits(limits: tuple[NamedLimit, ...]) -> list[Tree]:
    return [{"name": each.name, "maxConcurrent": each.most} for each in limits]


def _logging(calls: ApiLogging) -> Tree:
    return some(
        apiLogging=some(
            enabled=calls.enabled,
            obfuscateURLs=calls.obfuscate_urls or None,
            omitHealthChecks=calls.omit_health_checks or None,
        )
    )


def _mtls(mtls: MtlsSpec | None) -> Tree:
    if mtls is None:
        return {}
    return some(
        enabled=mtls.enabled,
        workloadCertTTL=_seconds(mtls.workload_cert_ttl),
        allowedClockSkew=_seconds(mtls.allowed_clock_skew),
        controlPlaneTrustDomain=_TRUST_DOMAIN,
        sentryAddress=_SENTRY,
    )


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else go_duration(timedelta(seconds=seconds))

"""The Deployment of an app: a pod without rights, watched, and given the time to end."""

from collections.abc import Mapping
from typing import Any

from daprflow.manifests.annotations import annotations_of, pod_seconds
from daprflow.manifests.model import AppModel
from daprflow.manifests.objects import head, labels, selector
from daprflow.manifests.settings import Amount, Probe
from daprflow.protocol.configuration_tree import Tree, some

_TOKEN = "token"  # noqa: S105 - the key that Dapr's injector looks for


def deployment(app: AppModel) -> Tree:
    """Return the Deployment; the sidecar's annotations are on its pods, where they count.

    Raises:
        LaunchError: settings of the sidecar contradict each other.
    """
    settings = app.settings
    replicas = {"replicas": settings.replicas} if settings.scaling.by == "none" else {}
    return {
        **head("apps/v1", "Deployment", app),
        "spec": {
            **replicas,
            "selector": {"matchLabels": selector(app)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {
                "metadata": {"labels": labels(app), "annotations": annotations_of(app)},
                "spec": _pod(app),
            },
        },
    }


def _pod(app: AppModel) -> Tree:
    settings = app.settings
    return {
        "serviceAccountName": app.app_id,
        "terminationGracePeriodSeconds": pod_seconds(app),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": settings.user,
            "runAsGroup": settings.user,
            "fsGroup": settings.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **some(
            imagePullSecrets=[{"name": name} for name in settings.pull_secrets],
            nodeSelector=dict(settings.node_selector),
        ),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(app)},
            }
        ],
        "containers": [_container(app)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def _container(app: AppModel) -> Tree:
    settings, probes = app.settings, app.settings.probes
    return {
        "name": "app",
        "image": app.image,
        **some(imagePullPolicy=settings.pull_policy, command=list(app.command)),
        "ports": [{"name": "http", "containerPort": settings.port, "protocol": "TCP"}],
        "env": environment(app),
        "startupProbe": _probe(probes.startup),
        "livenessProbe": _probe(probes.liveness),
        "readinessProbe": _probe(probes.readiness),
        "resources": some(
            requests=_amount(settings.resources.requests), limits=_amount(settings.resources.limits)
        ),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - of a container
    }


def environment(app: AppModel) -> list[Tree]:
    """Return an app's variables: who it is, its tokens, and those of its settings on top."""
    sidecar = app.settings.sidecar
    given: dict[str, Tree] = {
        "APP_ID": {"value": app.app_id},
        "APP_PORT": {"value": str(app.settings.port)},
        "DAPRFLOW_HOST": {"value": "0.0.0.0"},  # noqa: S104 - of the pod
        "DAPRFLOW_GRACE": {"value": str(app.settings.grace)},
        "DAPRFLOW_WORKERS": {"value": str(app.settings.workers)},
        "DAPRFLOW_LOG_LEVEL": {"value": app.settings.log_level},
        "PYTHONDONTWRITEBYTECODE": {"value": "1"},
    }
    tokens: Mapping[str, str] = {
        "APP_API_TOKEN": sidecar.app_token_secret,
        "DAPR_API_TOKEN": sidecar.api_token_secret,
    }
    given |= {name: _secret(secret, _TOKEN) for name, secret in tokens.items() if secret}
    for name, value in app.settings.variables.items():
        if isinstance(value, str):
            given[name] = {"value": value}
        else:
            given[name] = _secret(value.secret, value.key)
    return [{"name": name, **source} for name, source in given.items()]


def _secret(name: str, key: str) -> Tree:
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def _probe(probe: Probe) -> Tree:
    return {
        "httpGet": {"path": probe.path, "port": "http"},
        "periodSeconds": probe.period,
        "timeoutSeconds": probe.timeout,
        "failureThreshold": probe.failures,
    }


def _amount(amount: Amount) -> dict[str, Any]:
    return some(cpu=amount.cpu, memory=amount.memory)

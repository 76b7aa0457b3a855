"""How many replicas an app has: by processor time, or by what waits in its topics."""

from typing import Any

from daprflow.manifests.model import AppModel, Model
from daprflow.manifests.objects import head
from daprflow.manifests.triggers import Trigger, triggers_of
from daprflow.protocol.configuration_tree import Tree

_CPU = 80


def scaling(app: AppModel, model: Model) -> tuple[Tree, ...]:
    """Return the objects that scale an app: none, an autoscaler of the cluster, or KEDA's."""
    by = app.settings.scaling.by
    if by == "none":
        return ()
    return (_autoscaler(app),) if by == "cpu" else _scaled_object(app, model)


def _fewest(app: AppModel) -> int:
    fewest = app.settings.scaling.min
    return app.settings.replicas if fewest is None else fewest


def _autoscaler(app: AppModel) -> Tree:
    settings = app.settings.scaling
    use = {"type": "Utilization", "averageUtilization": settings.cpu or _CPU}
    # Of the app alone: a sidecar at its limit would hide what the app needs.
    source = {"name": "cpu", "container": "app", "target": use}
    return {
        **head("autoscaling/v2", "HorizontalPodAutoscaler", app),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.app_id},
            "minReplicas": max(_fewest(app), 1),
            "maxReplicas": settings.max,
            "metrics": [{"type": "ContainerResource", "containerResource": source}],
        },
    }


def _scaled_object(app: AppModel, model: Model) -> tuple[Tree, ...]:
    settings = app.settings.scaling
    by_lag = triggers_of(app, model).triggers
    triggers = [_trigger(app, each) for each in by_lag]
    triggers += [_cron(e.timezone, e.start, e.end, e.replicas) for e in settings.cron]
    if settings.cpu is not None or not triggers:
        triggers.append(_cpu(settings.cpu or _CPU))
    scaled = {
        **head("keda.sh/v1alpha1", "ScaledObject", app),
        "spec": {
            "scaleTargetRef": {"name": app.app_id},
            "minReplicaCount": _fewest(app),
            "maxReplicaCount": settings.max,
            "pollingInterval": settings.poll,
            "cooldownPeriod": settings.cooldown,
            "triggers": triggers,
        },
    }
    by_name = {each.name: each for each in by_lag if each.secrets}
    return (*(_authentication(app, each) for each in by_name.values()), scaled)


def _trigger(app: AppModel, trigger: Trigger) -> Tree:
    found: dict[str, Any] = {"type": trigger.type, "metadata": dict(trigger.metadata)}
    if trigger.secrets:
        found["authenticationRef"] = {"name": _authentication_name(app, trigger)}
    return found


def _authentication_name(app: AppModel, trigger: Trigger) -> str:
    return f"{app.app_id}-{trigger.name}"


def _authentication(app: AppModel, trigger: Trigger) -> Tree:
    references = [
        {"parameter": parameter, "name": each.name, "key": each.key or each.name}
        for parameter, each in trigger.secrets
    ]
    return {
        **head(
            "keda.sh/v1alpha1", "TriggerAuthentication", app, _authentication_name(app, trigger)
        ),
        "spec": {"secretTargetRef": references},
    }


def _cron(timezone: str, start: str, end: str, replicas: int) -> Tree:
    return {
        "type": "cron",
        "metadata": {
            "timezone": timezone,
            "start": start,
            "end": end,
            "desiredReplicas": str(replicas),
        },
    }


def _cpu(use: int) -> Tree:
    return {
        "type": "cpu",
        "metricType": "Utilization",
        "metadata": {"value": str(use), "containerName": "app"},
    }

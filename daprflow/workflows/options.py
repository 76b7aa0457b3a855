"""How much a worker does at once, and how closely it watches workflows."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class WorkflowSettings:
    """How an app works for its workflows.

    Attributes:
        max_workflows: how many turns of workflows are answered at once.
        max_activities: how many activities run at once; further ones wait.
        kept: how many suspended workflows stay in memory; the others are replayed.
        drain: seconds that activities may go on when the app stops; then they are cancelled, and
            the runtime has them run again.
        watch: whether code is watched for clocks, networks and other things that are not durable.
            None does so where ``daprflow run`` or a `TestSidecar` runs the app.
        replay: whether every turn goes through the whole history; for tests.

    Example:
        ```python
        shop = DaprFlow("shop", workflows=WorkflowSettings(max_activities=20))
        ```
    """

    max_workflows: int = 200
    max_activities: int = 100
    kept: int = 1000
    drain: float = 5.0
    watch: bool | None = None
    replay: bool = False


DEFAULTS = WorkflowSettings()


def watching(settings: WorkflowSettings) -> WorkflowSettings:
    """Return settings for development and tests: code is watched, unless they say otherwise."""
    return replace(settings, watch=settings.watch is not False)

"""What the code says, for the comparison with what is deployed."""

from pathlib import Path

from daprflow.launcher.target import Loaded
from daprflow.manifests.compare_model import Code
from daprflow.manifests.facts import Source, facts_of
from daprflow.manifests.settings import read_settings
from daprflow.transports.route import DaprRoute


def code_of(loaded: Loaded, target: str, base: Path, environment: str) -> Code:
    """Return what an app says that is imported already.

    Raises:
        LaunchError: ``daprflow.toml`` is wrong, exit code `Exit.USAGE`.
    """
    (facts,) = facts_of([Source(target, base)], environment)
    app = loaded.app
    hosted = loaded.asgi is not app or any(not isinstance(each, DaprRoute) for each in app.routes)
    port = read_settings(base).of(facts.app_id, environment).port
    return Code(facts, hosted, port)

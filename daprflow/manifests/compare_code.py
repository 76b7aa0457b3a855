"""What the code says, for the comparison with what is deployed."""

from pathlib import Path

from msgspec import structs

from daprflow.launcher import defaults
from daprflow.launcher.target import Loaded
from daprflow.manifests.collect import without
from daprflow.manifests.compare_model import Code
from daprflow.manifests.configuration import configuration_of, files_of
from daprflow.manifests.facts import Source, facts_of
from daprflow.manifests.model import AppFacts
from daprflow.manifests.settings import read_settings
from daprflow.sidecar.resources import load_resources
from daprflow.transports.route import DaprRoute


def code_of(loaded: Loaded, target: str, base: Path, environment: str) -> Code:
    """Return what an app says that is imported already.

    Raises:
        LaunchError: ``daprflow.toml`` is wrong, exit code `Exit.USAGE`, or a file that it names.
    """
    (facts,) = facts_of([Source(target, base)], environment)
    facts = _counting(facts)
    app = loaded.app
    hosted = loaded.asgi is not app or any(not isinstance(each, DaprRoute) for each in app.routes)
    settings = read_settings(base)
    own = settings.of(facts.app_id, environment)
    return Code(
        facts, hosted, own.port, configuration_of(facts, files_of(settings, own), own.namespace)
    )


def _counting(facts: AppFacts) -> AppFacts:
    """Leave out what the code declares and a resource file beside it says: the file counts."""
    found = load_resources(defaults.folders((), facts.folder), elsewhere=True)
    declared = facts.declarations
    return structs.replace(
        facts,
        declarations=structs.replace(
            declared,
            components=without(declared.components, found.components),
            resiliencies=without(declared.resiliencies, found.resiliencies),
        ),
    )

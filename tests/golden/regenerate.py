"""The golden files: what ``daprflow manifests`` makes of examples, kept to see every change.

``python -m tests.golden.regenerate`` writes them anew; look at the difference before you commit.
"""

import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from daprflow.manifests.collect import Place, Wanted, collect
from daprflow.manifests.facts import Source
from daprflow.manifests.model import Model
from daprflow.manifests.settings import read_settings
from daprflow.manifests.targets import maker
from daprflow.manifests.variants import ENVIRONMENTS
from daprflow.manifests.variants import TARGETS as DIFFERING
from daprflow.manifests.write import rendered

FOLDER = Path(__file__).parent
EXAMPLES = FOLDER.parents[1] / "examples"


@dataclass(frozen=True, slots=True)
class Golden:
    """One folder of golden files.

    Attributes:
        name: of the folder.
        target: what the files are for.
        apps: examples, by the names of their folders; the first one's ``daprflow.toml`` counts.
        env: the environment.
    """

    name: str
    target: str
    apps: tuple[str, ...]
    env: str = "prod"


GOLDEN = (
    Golden("kubernetes", "kubernetes", ("kubernetes",)),
    Golden("kubernetes-staging", "kubernetes", ("kubernetes",), "staging"),
    Golden("kubernetes-several", "kubernetes", ("actors", "declarative", "pubsub", "workflows")),
    Golden("components", "components", ("kubernetes",)),
    Golden("components-several", "components", ("bindings", "declarative", "resiliency")),
    Golden("helm", "helm", ("kubernetes",)),
    Golden("helm-several", "helm", ("actors", "pubsub")),
    Golden("compose", "compose", ("quickstart",)),
    Golden("compose-prod", "compose", ("kubernetes",)),
    Golden("compose-several", "compose", ("actors", "declarative", "pubsub", "workflows")),
    Golden("dapr-run", "dapr-run", ("quickstart",)),
    Golden("dapr-run-several", "dapr-run", ("actors", "declarative", "pubsub", "workflows")),
    Golden("docker", "docker", ("quickstart",)),
    Golden("dev", "dev", ("quickstart",)),
)


def made(golden: Golden) -> dict[str, str]:
    """Return the files of one folder: path and text."""
    model = replace(
        model_of(golden.apps, golden.env),
        output=EXAMPLES / golden.apps[0] / "deploy",
        variants=_variants(golden),
    )
    return {file.path: rendered(file, golden.target) for file in maker(golden.target)(model)}


@cache
def model_of(apps: tuple[str, ...], env: str) -> Model:
    """Return what the files of examples are made of."""
    places = tuple(Place(Source(".", EXAMPLES / name)) for name in apps)
    return collect(Wanted(places, env, apart=True), read_settings(EXAMPLES / apps[0]))


def _variants(golden: Golden) -> tuple[Model, ...]:
    if golden.target not in DIFFERING:
        return ()
    return tuple(model_of(golden.apps, env) for env in ENVIRONMENTS)


def kept(golden: Golden) -> dict[str, str]:
    """Return the files as they are kept."""
    folder = FOLDER / golden.name
    return {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def main() -> None:
    """Write every folder anew."""
    for golden in GOLDEN:
        folder = FOLDER / golden.name
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in made(golden).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The target ``compose``: apps in containers, with sidecars, placement, scheduler and Redis."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daprflow.launcher.options import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT
from daprflow.manifests import components
from daprflow.manifests.annotations import SPARE, app_seconds, sidecar_seconds
from daprflow.manifests.docker import dockerfile_name
from daprflow.manifests.images import dockerfile, dockerignore
from daprflow.manifests.machine_ports import machine_ports
from daprflow.manifests.model import AppModel, File, Model
from daprflow.manifests.naming import deployment_name
from daprflow.manifests.network import REDIS_PORT, Adapted, Place, adapted, notes_of, outside
from daprflow.manifests.projects import project_of
from daprflow.manifests.runtime_words import (
    PLACEMENT_PORT,
    RELEASE,
    SCHEDULER_PORT,
    Around,
    runtime_words,
)
from daprflow.manifests.settings import SecretVariable
from daprflow.manifests.yaml_text import document
from daprflow.protocol.configuration_tree import Tree

REDIS_IMAGE = "redis:7-alpine"
_RUNTIME = f"daprio/daprd:{RELEASE}"
_SERVICES = f"daprio/dapr:{RELEASE}"
_RESTART = "unless-stopped"
_CONTAINED: Tree = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
_RESOURCES = "/resources"
_CONFIGURATION = "/configuration.yaml"
_TOKENS = ("DAPR_API_TOKEN", "APP_API_TOKEN")
_EXAMPLE = """\
# Copy this file to '.env', which no repository should have, and fill it in.
"""


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of the services that are not apps; none of them is an app's id."""

    redis: str
    placement: str
    scheduler: str


def files(model: Model) -> tuple[File, ...]:
    """Return the Compose file, what its sidecars and images are made of, and what to fill in."""
    names = _names(model)
    network = adapted(model, _place(names))
    configured = {app.app_id: outside(app.configuration) for app in model.apps}
    host = network.host or any(found for _, found in configured.values())
    within = replace(
        model,
        apps=tuple(replace(app, configuration=configured[app.app_id][0]) for app in model.apps),
        components=network.components,
        http_endpoints=network.http_endpoints,
    )
    secret = sorted({*network.variables, *(v for app in model.apps for v in _secrets(app))})
    return (
        File("compose.yaml", _compose(within, names, network, host=host)),
        *(replace(file, path=_placed(file.path)) for file in components.files(within)),
        *(image for app in model.apps for image in _image(app, model)),
        *([File(".env.example", _EXAMPLE + "".join(f"{n}=\n" for n in secret))] if secret else ()),
    )


def notes(model: Model) -> tuple[str, ...]:
    """Return what is another in containers than on a developer's machine, a sentence each."""
    return notes_of(model, _place(_names(model)))


def _place(names: _Names) -> Place:
    return Place(f"{names.redis}:{REDIS_PORT}", contained=True)


def _placed(path: str) -> str:
    return path if path.startswith("configuration/") else f"resources/{path}"


def _names(model: Model) -> _Names:
    taken = {name for app in model.apps for name in (app.app_id, _sidecar_name(app))}

    def free(name: str) -> str:
        return name if name not in taken else free(f"{name}-server")

    return _Names(free("redis"), free("placement"), free("scheduler"))


def _sidecar_name(app: AppModel) -> str:
    return f"{app.app_id}-dapr"


def _compose(model: Model, names: _Names, network: Adapted, *, host: bool) -> str:
    services: dict[str, Any] = {}
    for app, published in zip(model.apps, machine_ports(model.apps), strict=True):
        services[app.app_id] = _app(app, model, published, host=host)
        if app.settings.sidecar.enabled:
            services[_sidecar_name(app)] = _sidecar(app, names, network)
    services |= _around(names, redis=network.redis)
    volumes = [names.scheduler, *([names.redis] if network.redis else [])]
    tree = {
        "name": deployment_name(model),
        "services": services,
        "volumes": {name: {} for name in sorted(volumes)},
    }
    said = "".join(f"# Note: {' '.join(note.split())}.\n" for note in network.notes)
    return said + document(tree)


def _app(app: AppModel, model: Model, published: int, *, host: bool) -> Tree:
    settings = app.settings
    variables = {
        "APP_ID": app.app_id,
        "APP_PORT": str(settings.port),
        "DAPR_HTTP_PORT": str(DEFAULT_HTTP_PORT),
        "DAPR_GRPC_PORT": str(DEFAULT_GRPC_PORT),
        **_tokens(app),
        **{
            name: _required(name) if isinstance(value, SecretVariable) else _literal(value)
            for name, value in settings.variables.items()
        },
    }
    hosts = {"extra_hosts": ["host.docker.internal:host-gateway"]} if host else {}
    return {
        "image": app.image,
        "build": _built(app, model),
        **({"entrypoint": list(map(_literal, app.command))} if app.command else {}),
        "environment": dict(sorted(variables.items())),
        "ports": [f"127.0.0.1:{published}:{settings.port}"],
        **hosts,
        "init": True,
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - of the container
        **_CONTAINED,
        "stop_grace_period": f"{app_seconds(app) + SPARE}s",
        "restart": _RESTART,
    }


def _built(app: AppModel, model: Model) -> Tree:
    """Return how the image is built: in the folder of the project, by a Dockerfile beside this."""
    output, folder = model.output.resolve(), project_of(app.facts).folder
    file = Path(_relative(output, folder), dockerfile_name(app, model))
    return {"context": _relative(folder, output), "dockerfile": file.as_posix()}


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _image(app: AppModel, model: Model) -> tuple[File, File]:
    name = dockerfile_name(app, model)
    return (
        File(name, dockerfile(app), (app.app_id,)),
        File(f"{name}.dockerignore", dockerignore(), (app.app_id,)),
    )


def _sidecar(app: AppModel, names: _Names, network: Adapted) -> Tree:
    configuration = f"./configuration/{app.app_id}.yaml" if app.configuration else ""
    around = Around(
        resources=_RESOURCES,
        configuration=_CONFIGURATION if configuration else "",
        placement=f"{names.placement}:{PLACEMENT_PORT}",
        scheduler=f"{names.scheduler}:{SCHEDULER_PORT}",
    )
    volumes = [f"./resources:{_RESOURCES}:ro"]
    if configuration:
        volumes.append(f"{configuration}:{_CONFIGURATION}:ro")
    variables = {**_tokens(app), **{name: _required(name) for name in network.variables}}
    needs = {
        app.app_id: {"condition": "service_started", "restart": True},
        names.placement: {"condition": "service_started"},
        names.scheduler: {"condition": "service_started"},
        **({names.redis: {"condition": "service_healthy"}} if network.redis else {}),
    }
    return {
        "image": _RUNTIME,
        "network_mode": f"service:{app.app_id}",
        "command": [_literal(word) for word in runtime_words(app, around)],
        **({"environment": dict(sorted(variables.items()))} if variables else {}),
        "volumes": volumes,
        "depends_on": needs,
        "healthcheck": _healthy(["/daprd", "--wait", f"--dapr-http-port={DEFAULT_HTTP_PORT}"]),
        "read_only": True,
        **_CONTAINED,
        "stop_grace_period": f"{sidecar_seconds(app) + SPARE}s",
        "restart": _RESTART,
    }


def _around(names: _Names, *, redis: bool) -> dict[str, Tree]:
    placement = ["./placement", f"--port={PLACEMENT_PORT}"]
    scheduler = [
        "./scheduler",
        f"--port={SCHEDULER_PORT}",
        # The one folder of the image that its user may write to, and a volume takes its rights.
        "--etcd-data-dir=/var/lock/dapr/scheduler",
        f"--override-broadcast-host-port={names.scheduler}:{SCHEDULER_PORT}",
    ]
    common = {**_CONTAINED, "restart": _RESTART}
    services: dict[str, Tree] = {
        names.placement: {"image": _SERVICES, "command": placement, **common},
        names.scheduler: {
            "image": _SERVICES,
            "command": scheduler,
            "volumes": [f"{names.scheduler}:/var/lock"],
            **common,
        },
    }
    if redis:
        services[names.redis] = {
            "image": REDIS_IMAGE,
            "command": ["redis-server", "--appendonly", "yes"],
            "volumes": [f"{names.redis}:/data"],
            "healthcheck": _healthy(["redis-cli", "ping"]),
            "restart": _RESTART,
        }
    return services


def _healthy(command: list[str]) -> Tree:
    return {
        "test": ["CMD", *command],
        "interval": "5s",
        "timeout": "3s",
        "retries": 5,
        "start_period": "30s",
    }


def _tokens(app: AppModel) -> Mapping[str, str]:
    sidecar = app.settings.sidecar
    wanted = zip(_TOKENS, (sidecar.api_token_secret, sidecar.app_token_secret), strict=True)
    return {name: _required(name) for name, secret in wanted if secret}


def _secrets(app: AppModel) -> list[str]:
    """Return the variables of an app whose values are secrets."""
    variables = app.settings.variables.items()
    return [*_tokens(app), *(n for n, value in variables if isinstance(value, SecretVariable))]


def _required(name: str) -> str:
    return f"${{{name}:?set it in .env}}"


def _literal(text: str) -> str:
    """Return a text in which Compose replaces nothing."""
    return text.replace("$", "$$")

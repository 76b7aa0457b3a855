"""What runs an app beside a sidecar: pods, services of Compose, apps of a run file."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from daprflow.launcher.options import DEFAULT_APP_PORT
from daprflow.manifests.compare_model import HttpProbe, Setting, Workload
from daprflow.sidecar.resource_fields import as_text
from daprflow.sidecar.resource_yaml import YamlMapping

ANNOTATION = "dapr.io/"
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where the pod's own template is in each kind of object."""
_RUN_FILE = {
    "appID": "app-id",
    "appPort": "app-port",
    "appProtocol": "app-protocol",
    "enableAppHealthCheck": "enable-app-health-check",
    "appHealthCheckPath": "app-health-check-path",
}
"""The names that a run file has for what annotations say."""
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_PORT_VARIABLES = ("DAPRFLOW_PORT", "APP_PORT")
_SIDECAR = "daprd"


def workloads_of(document: YamlMapping) -> Iterator[Workload]:
    """Yield what a document runs beside a sidecar."""
    kind = str(document.get("kind"))
    if kind in TEMPLATES:
        yield from _pods(document, kind)
    elif isinstance(document.get("services"), YamlMapping):
        yield from _services(document["services"])
    elif "version" in document and isinstance(document.get("apps"), list):
        yield from _run_file(document)


def below(mapping: YamlMapping, *keys: str) -> YamlMapping | None:
    """Return the mapping below some keys; None where there is none."""
    at: Any = mapping
    for key in keys:
        at = at.get(key) if isinstance(at, YamlMapping) else None
    return at if isinstance(at, YamlMapping) else None


def entries(mapping: YamlMapping | None, key: str) -> list[YamlMapping]:
    """Return the mappings of a list; what is none is left out."""
    value = None if mapping is None else mapping.get(key)
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, YamlMapping)]


def variables_of(owner: YamlMapping, key: str) -> dict[str, Setting]:
    """Return the variables that stand there themselves, in any of the forms there are.

    A mapping, a list of ``name`` and ``value``, or a list of ``NAME=value``.
    """
    value = owner.get(key)
    if isinstance(value, YamlMapping):
        given = {name: each for name, each in value.items() if each is not None}
        return {name: Setting(as_text(each), value.place(name)) for name, each in given.items()}
    found: dict[str, Setting] = {}
    for each in value if isinstance(value, list) else []:
        if isinstance(each, YamlMapping):
            if each.get("value") is not None:
                found[_name(each)] = Setting(as_text(each["value"]), each.place("value"))
            continue
        name, equals, text = str(each).partition("=")
        if equals:
            found[name] = Setting(text, owner.place(key))
    return found


# ---- Kubernetes


def _pods(document: YamlMapping, kind: str) -> Iterator[Workload]:
    template = below(document, *TEMPLATES[kind])
    if template is None:
        return
    notes = below(template, "metadata", "annotations")
    settings = {
        key.removeprefix(ANNOTATION): Setting(as_text(value), notes.place(key))
        for key, value in (notes or {}).items()
        if notes is not None and key.startswith(ANNOTATION)
    }
    if not settings:
        return
    containers = [
        each for each in entries(below(template, "spec"), "containers") if _name(each) != _SIDECAR
    ]
    main = containers[0] if containers else None
    words = [] if main is None else [*_words(main.get("command")), *_words(main.get("args"))]
    head = below(document, "metadata")
    yield Workload(
        title=f"{kind} '{_name(head)}'",
        place=document.place("kind") if notes is None else notes.place(),
        settings=settings,
        listens=() if main is None else _listens(main, words, variables_of(main, "env")),
        probes=() if main is None else tuple(_probes(main)),
        tls=_flag(words, "tls-cert") is not None,
        cluster=True,
        namespace="" if head is None else as_text(head.get("namespace") or ""),
    )


def _listens(
    container: YamlMapping, words: Sequence[str], variables: Mapping[str, Setting]
) -> tuple[Setting, ...]:
    """Return where the app listens: as its command says, its variables, or its ports."""
    key = "args" if "args" in container else "command"
    said = _said(words, container.place(key), variables, str(DEFAULT_APP_PORT))
    if said is not None:
        return (said,)
    return tuple(
        Setting(as_text(each["containerPort"]), each.place("containerPort"))
        for each in entries(container, "ports")
        if each.get("containerPort") is not None
    )


def _probes(container: YamlMapping) -> Iterator[HttpProbe]:
    ports = {
        _name(each): as_text(each.get("containerPort")) for each in entries(container, "ports")
    }
    for name in _PROBES:
        probe = below(container, name, "httpGet")
        if probe is not None:
            port = as_text(probe.get("port"))
            path = as_text(probe.get("path") or "/").partition("?")[0]
            yield HttpProbe(path, ports.get(port, port), probe.place("path"))


def _name(mapping: YamlMapping | None) -> str:
    return "" if mapping is None else as_text(mapping.get("name") or "")


# ---- Compose


def _services(services: YamlMapping) -> Iterator[Workload]:
    for name, service in services.items():
        if not isinstance(service, YamlMapping):
            continue
        words = [*_words(service.get("entrypoint")), *_words(service.get("command"))]
        if not _is_sidecar(words, as_text(service.get("image") or "")):
            continue
        settings = _flags(words, service.place("command"))
        app = _partner(services, service, settings)
        yield Workload(
            title=f"service '{name}'",
            place=services.place(name),
            settings=settings,
            listens=() if app is None else _service_listens(app),
            tls=app is not None and _flag(_command(app), "tls-cert") is not None,
        )


def _is_sidecar(words: Sequence[str], image: str) -> bool:
    named = any(PurePath(word).name == _SIDECAR for word in words)
    return named or image.rpartition("/")[2].partition(":")[0] == _SIDECAR


def _partner(
    services: YamlMapping, sidecar: YamlMapping, settings: Mapping[str, Setting]
) -> YamlMapping | None:
    """Return the service of the app: whose network is shared, who is called, or has its id."""
    shared = as_text(sidecar.get("network_mode") or "").removeprefix("service:")
    named = [settings[key].value for key in ("app-channel-address", "app-id") if key in settings]
    for name in (shared, *named):
        found = services.get(name)
        if isinstance(found, YamlMapping) and found is not sidecar:
            return found
    return None


def _service_listens(service: YamlMapping) -> tuple[Setting, ...]:
    place, known = service.place("command"), variables_of(service, "environment")
    said = _said(_command(service), place, known, str(DEFAULT_APP_PORT))
    return () if said is None else (said,)


def _command(service: YamlMapping) -> list[str]:
    return [*_words(service.get("entrypoint")), *_words(service.get("command"))]


# ---- run files


def _run_file(document: YamlMapping) -> Iterator[Workload]:
    common = below(document, "common")
    for app in entries(document, "apps"):
        settings = _named(common) | _named(app)
        folder = PurePath(as_text(app.get("appDirPath") or ""))
        settings.setdefault("app-id", Setting(folder.name, app.place("appDirPath")))
        words = _words(app.get("command"))
        said = _said(words, app.place("command"), variables_of(app, "env"))
        yield Workload(
            title=f"app '{settings['app-id'].value}'",
            place=app.place(),
            settings=settings,
            listens=() if said is None else (said,),
            tls=_flag(words, "tls-cert") is not None,
        )


def _named(mapping: YamlMapping | None) -> dict[str, Setting]:
    return {
        name: Setting(as_text(mapping[key]), mapping.place(key))
        for key, name in _RUN_FILE.items()
        if mapping is not None and mapping.get(key)
    }


# ---- command lines


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError:
            return value.split()
    if not isinstance(value, list):
        return []
    texts = [as_text(each) for each in value if not isinstance(each, YamlMapping | list)]
    # What a shell is given is one word.
    return [word for text in texts for word in (_words(text) if " serve " in text else [text])]


def _said(
    words: Sequence[str], place: str, variables: Mapping[str, Setting], default: str = ""
) -> Setting | None:
    """Return the port that a command or its variables say, else the ``default`` of ours."""
    serves = "serve" in words
    if serves or "uvicorn" in words:
        given = _flag(words, "port")
        if given is not None:
            return Setting(given, place)
    found = next((variables[name] for name in _PORT_VARIABLES if name in variables), None)
    return Setting(default, place) if found is None and serves and default else found


def _flag(words: Sequence[str], name: str) -> str | None:
    return found.value if (found := _flags(words, "").get(name)) is not None else None


def _flags(words: Sequence[str], place: str) -> dict[str, Setting]:
    """Return the flags of a command line: ``-name value``, ``--name=value``, ``--name``."""
    found: dict[str, Setting] = {}
    for index, word in enumerate(words):
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        following = words[index + 1] if index + 1 < len(words) else "-"
        taken = value if equals else "true" if following.startswith("-") else following
        found[name] = Setting(taken, place)
    return found

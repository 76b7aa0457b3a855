"""TARGET on the command line: where it lies, and the application it means."""

import importlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError

ENTRY_FILES = ("app.py", "main.py")
MOST_LAYERS = 20


@dataclass(frozen=True, slots=True)
class Target:
    """An application that was named but not imported.

    Attributes:
        text: what the user wrote.
        module: its import name.
        attribute: the name inside the module; empty to take the only application there.
        root: the folder to put first on ``sys.path``.
        file: the module's file, where it is known without importing.
    """

    text: str
    module: str
    attribute: str
    root: Path
    file: Path | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """An imported application.

    Attributes:
        asgi: what to serve: the app itself, or the host it was installed into.
        app: the `daprflow.DaprFlow`.
        folder: where its module lies.
    """

    asgi: Any
    app: Any
    folder: Path


def resolve(text: str, base: Path) -> Target:
    """Find TARGET: ``module:app``, a file (``:app`` may follow), or a folder.

    Raises:
        LaunchError: there is nothing of that name, exit code `Exit.USAGE`.
    """
    path = base / text
    if path.is_dir():
        for name in ENTRY_FILES:
            if (path / name).is_file():
                return _for_file(text, path / name, "")
        raise LaunchError(
            f"folder '{text}' has no {' or '.join(ENTRY_FILES)}; name the file", Exit.USAGE
        )
    head, colon, attribute = text.rpartition(":") if ":" in text else (text, "", "")
    file = base / head
    if file.suffix == ".py":
        if not file.is_file():
            raise LaunchError(f"no file '{head}' in {base}", Exit.USAGE)
        return _for_file(text, file, attribute)
    if not all(part.isidentifier() for part in head.split(".")) or (colon and not attribute):
        raise LaunchError(f"'{text}' is no target; give a folder, a file or module:app", Exit.USAGE)
    return Target(text, head, attribute, base, None)


def _for_file(text: str, file: Path, attribute: str) -> Target:
    file = file.resolve()
    parts, root = [file.stem], file.parent
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    wrong = next((part for part in parts if not part.isidentifier()), None)
    if wrong == file.stem:
        raise LaunchError(f"'{text}' cannot be imported: rename '{file.name}'", Exit.USAGE)
    if wrong is not None:
        raise LaunchError(
            f"'{text}' cannot be imported: folder '{wrong}' has an '__init__.py', and no package "
            f"can be named '{wrong}'; remove that file, or rename the folder",
            Exit.USAGE,
        )
    return Target(text, ".".join(parts), attribute, root, file)


def load(target: Target) -> Loaded:
    """Import the module and find its application; nothing is frozen yet.

    Raises:
        LaunchError: the module is missing or fails, or does not hold exactly one application.
    """
    sys.path.insert(0, str(target.root))
    module = _import(target)
    apps = [value for value in vars(module).values() if _is_daprflow(value)]
    _refuse_mounts(vars(module), apps)
    name, asgi = _find(target, module)
    app = asgi if _is_daprflow(asgi) else _hosted(asgi, apps)
    if app is None:
        raise LaunchError(
            f"'{name}' in module '{target.module}' is no DaprFlow and hosts none of this module",
            Exit.USAGE,
        )
    return Loaded(asgi, app, Path(module.__file__ or ".").resolve().parent)


def _import(target: Target) -> ModuleType:
    try:
        module = importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        if error.name and f"{target.module}.".startswith(f"{error.name}."):
            raise LaunchError(
                f"no module '{error.name}' in {target.root} or among installed packages",
                Exit.USAGE,
            ) from None
        raise LaunchError(explain(error)) from None
    except Exception as error:  # noqa: BLE001 - a module may raise anything
        raise LaunchError(f"{explain(error)}{_advice(error, target)}") from None
    if target.file is not None and Path(module.__file__ or "").resolve() != target.file:
        raise LaunchError(
            f"'{target.file}' is hidden by module '{target.module}' of Python itself; rename it",
            Exit.USAGE,
        )
    return module


def _advice(error: BaseException, target: Target) -> str:
    if isinstance(error, ImportError) and "no known parent package" in str(error) and target.file:
        folder = target.file.parent.name
        return f"\nto import relatively, make folder '{folder}' a package: add an '__init__.py'"
    return ""


def explain(error: BaseException) -> str:
    """Render an error of the user's own code: their frames only, none of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (__file__, importlib.__file__, "<frozen ")
    first = next(
        (i for i, frame in enumerate(frames) if not frame.filename.startswith(ours)), len(frames)
    )
    linecache.checkcache()
    lines = traceback.format_exception_only(error)
    if frames[first:]:
        lines = ["the app failed:\n", *traceback.format_list(frames[first:]), *lines]
    return "".join(lines).rstrip()


def _find(target: Target, module: ModuleType) -> tuple[str, Any]:
    if target.attribute:
        return target.attribute, _attribute(target, module)
    values = vars(module)
    apps = [value for value in values.values() if _is_daprflow(value)]
    hosts = {n: v for n, v in values.items() if not _is_daprflow(v) and _hosted(v, apps)}
    # An app that lives in a host is served through the host, and a host through its middleware.
    inner = {id(layer) for host in hosts.values() for layer in list(layers(host))[1:]}
    hosts = {n: v for n, v in hosts.items() if id(v) not in inner}
    chosen = _distinct(hosts) or _distinct({n: v for n, v in values.items() if _is_daprflow(v)})
    if len(chosen) == 1:
        return next(iter(chosen.items()))
    if not chosen:
        raise LaunchError(
            f"module '{target.module}' holds no DaprFlow at its top level", Exit.USAGE
        )
    names = ", ".join(f"'{name}'" for name in sorted(chosen))
    raise LaunchError(
        f"module '{target.module}' holds several apps ({names}); "
        f"name one: {target.module}:{min(chosen)}",
        Exit.USAGE,
    )


def _distinct(values: dict[str, Any]) -> dict[str, Any]:
    """Keep the first name of each value."""
    first = {id(value): name for name, value in reversed(values.items())}
    return {name: value for name, value in values.items() if first[id(value)] == name}


def _attribute(target: Target, module: ModuleType) -> Any:
    value: Any = module
    for part in target.attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise LaunchError(
                f"module '{target.module}' has no '{target.attribute}'", Exit.USAGE
            ) from None
    return value


def _is_daprflow(value: object) -> bool:
    from daprflow.app import DaprFlow  # noqa: PLC0415 - the app side, only in an app's process

    return isinstance(value, DaprFlow)


def _hosted(value: object, apps: Iterable[Any]) -> Any:
    """Return the app that ``value`` wraps or that was installed into it; None when none was."""
    for layer in layers(value):
        if layer is not value and _is_daprflow(layer):
            return layer
        wrapped = getattr(layer, "daprflow_app", None)
        if wrapped is not None:
            return wrapped
        routes = _routes(layer)
        found = next((app for app in apps if any(route in routes for route in app.routes)), None)
        if found is not None:
            return found
    return None


def layers(value: Any) -> Iterator[Any]:
    """Go through ASGI middleware, which keeps what it wraps as ``app``, to the inside."""
    for _ in range(MOST_LAYERS):
        if isinstance(value, type | ModuleType) or not callable(value):
            return
        yield value
        value = getattr(value, "app", None)


def _routes(value: object) -> list[Any]:
    routes = getattr(value, "routes", None)
    return routes if isinstance(routes, list) else []


def _refuse_mounts(values: Mapping[str, Any], apps: Sequence[Any]) -> None:
    """Refuse an app below a prefix: no sidecar would find it, and its lifespan never runs.

    Raises:
        LaunchError: some host mounts an app of this module, or another host of it.
    """
    for name, host in values.items():
        if isinstance(host, type) or _is_daprflow(host):
            continue
        for route in _routes(host):
            prefix, inner = getattr(route, "path", ""), getattr(route, "app", None)
            if prefix and (_is_daprflow(inner) or _hosted(inner, apps)):
                raise LaunchError(
                    f"'{name}' mounts a DaprFlow under '{prefix}', but the sidecar calls "
                    "'/dapr/...' and '/<name>' at the root, and a mounted app's lifespan never "
                    f"runs; write app.install({name}) instead",
                    Exit.USAGE,
                )

"""``--config FILE``: accepted; what the embedded sidecar does not honour yet is said or refused."""

from pathlib import Path
from typing import Any

import yaml

from daprflow.launcher.exits import Exit, LaunchError

PROTECTING = ("accessControl", "secrets", "api", "httpPipeline", "appHttpPipeline", "mtls")
"""Parts that protect something: running without them would be less safe than what was asked for."""


def unhonoured(file: Path | None) -> str:
    """Return one line on what the embedded sidecar leaves out of a configuration file.

    Raises:
        LaunchError: it cannot be read, or protects something this sidecar would leave open.
    """
    if file is None:
        return ""
    spec = _spec(file)
    protecting = [name for name in PROTECTING if spec.get(name)]
    if protecting:
        raise LaunchError(
            f"the embedded sidecar does not honour {_names(protecting)} of '{file}', which "
            "protects the app; use a real runtime (--sidecar daprd) or leave --config out",
            Exit.USAGE,
        )
    others = [name for name, value in spec.items() if value]
    if not others:
        return ""
    return f"the embedded sidecar does not honour {_names(others)} of '{file}' yet"


def _spec(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise LaunchError(f"cannot read '{file}': {error.strerror}", Exit.USAGE) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise LaunchError(f"'{file}' is no YAML: {reason}", Exit.USAGE) from None
    if not isinstance(document, dict) or document.get("kind") != "Configuration":
        raise LaunchError(f"'{file}' holds no document of kind Configuration", Exit.USAGE)
    spec = document.get("spec")
    return spec if isinstance(spec, dict) else {}


def _names(parts: list[str]) -> str:
    return ", ".join(f"'spec.{part}'" for part in parts)

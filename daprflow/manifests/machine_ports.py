"""The ports of several apps on one machine, where no two have the same."""

from collections.abc import Iterable

from daprflow.manifests.model import AppModel


def machine_ports(apps: Iterable[AppModel]) -> list[int]:
    """Return where each app is reached: its own port, else the next that none before it has."""
    taken: list[int] = []
    for app in apps:
        port = app.settings.port
        while port in taken:
            port += 1
        taken.append(port)
    return taken

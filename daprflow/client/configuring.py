"""The client's way to configuration stores."""

from daprflow.client.base import BaseClient
from daprflow.client.configuration import Configuration
from daprflow.client.pushes import Pushes


class Configuring(BaseClient):
    """Configuration, as a part of the client."""

    def configuration(self, store: str, /, *further: str) -> Configuration:
        """Return a configuration store, or several where the earlier ones go first.

        Args:
            store: the component's name.
            further: stores that are asked for what those before them do not have.

        Example:
            ```python
            settings = client.configuration("overrides", "settings")  # overrides win
            ```
        """
        return Configuration(self._caller, (store, *further))

    def receive(self, pushes: Pushes | None, /) -> None:
        """Say what the app of this process is told by its sidecar; None when it is told nothing.

        Apps call it when they start and stop. Subscriptions are made to what is said when they
        begin.
        """
        self._caller.way.pushes = pushes

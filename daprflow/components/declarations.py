"""What an app declares in its code for one environment, as the resources that Dapr knows."""

import msgspec

from daprflow.protocol.configuration_file import AccessControl, ConfigurationResource
from daprflow.protocol.resiliency import ResiliencyResource
from daprflow.protocol.resources import ComponentResource

RUN_ENV = "dev"
"""The environment of ``daprflow run`` and ``daprflow check`` where nobody names one."""
TEST_ENV = "test"
"""That of a `TestSidecar`."""
MANIFESTS_ENV = "prod"
"""That of ``daprflow manifests``."""


class Declarations(msgspec.Struct, frozen=True):
    """The resources of one environment; each ``source`` is ``module:line``.

    Attributes:
        env: the environment; empty where only what is for every one is asked for.
        components: in the order of the code.
        resiliencies: the policies of the app.
        configuration: None where nothing of it is declared; its ``access_control`` is the app's
            access policy.
        warnings: one sentence each.

    Example:
        ```python
        declared = app.declared("prod")
        print([each.name for each in declared.components], declared.warnings)
        ```
    """

    env: str = ""
    components: tuple[ComponentResource, ...] = ()
    resiliencies: tuple[ResiliencyResource, ...] = ()
    configuration: ConfigurationResource | None = None
    warnings: tuple[str, ...] = ()

    @property
    def access_policy(self) -> AccessControl | None:
        """Who may invoke the app; None where the code does not say."""
        return None if self.configuration is None else self.configuration.access_control


NOTHING = Declarations()
"""Of an app that declares nothing."""

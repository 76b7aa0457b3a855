"""A sidecar in small and a client of it."""

from collections.abc import AsyncIterator

import pytest

from daprflow.client import Client
from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar


@pytest.fixture
def sidecar() -> SmallSidecar:
    """A sidecar in small."""
    return SmallSidecar()


@pytest.fixture
async def client(sidecar: SmallSidecar) -> AsyncIterator[Client]:
    """A client of that sidecar, in process."""
    async with Client(transport=InProcessTransport(sidecar)) as client:
        yield client

"""A JSON file that stands in for every secret store of a cloud or a cluster."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from daprflow.sidecar.components.base import ComponentContext, ComponentError

FILE = "secrets.json"
FOLDER = ".daprflow"

Secrets = dict[str, dict[str, str | dict[str, str]]]
Stamp = tuple[int, int, int] | None
"""What changes when a file is saved; None where there is none."""
_document = msgspec.json.Decoder(Secrets)


class JsonSecrets:
    """One store of the file: store, then secret, then a text or several pairs.

    The file lies in the data folder, which git ignores. Without one the store is empty. It is read
    again when it was saved since, so that a secret which was missing can be added meanwhile.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._name = context.name
        self.file = secrets_file(context.data_dir, context.base_dir)
        self._secrets: dict[str, dict[str, str]] = {}
        self._stamp: Stamp = None

    async def open(self) -> None:
        """Read the file.

        Raises:
            ComponentError: it is not in the form it should have; nothing of it is quoted.
        """
        self._stamp = await asyncio.to_thread(_stamp, self.file)
        found = await asyncio.to_thread(_read, self.file)
        self._secrets = {
            name: {name: value} if isinstance(value, str) else value
            for name, value in found.get(self._name, {}).items()
        }

    async def close(self) -> None:
        """Forget the secrets."""
        self._secrets = {}

    async def get(self, name: str, metadata: Mapping[str, str], /) -> dict[str, str]:
        """Return the pairs of one secret."""
        del metadata
        await self._follow()
        found = self._secrets.get(name)
        if found is None:
            raise ComponentError(
                f"secret {name} not found in '{self.file}'; add it there under '{self._name}'"
            )
        return dict(found)

    async def bulk(self, metadata: Mapping[str, str], /) -> dict[str, dict[str, str]]:
        """Return every secret."""
        del metadata
        await self._follow()
        return {name: dict(pairs) for name, pairs in self._secrets.items()}

    async def _follow(self) -> None:
        """Read the file again if it was saved since."""
        if await asyncio.to_thread(_stamp, self.file) != self._stamp:
            await self.open()


def secrets_file(data_dir: Path | None, base_dir: Path) -> Path:
    """Return where the file is: in the data folder, also when nothing else is kept there."""
    return (data_dir or base_dir / FOLDER) / FILE


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(file: Path) -> Secrets:
    try:
        return _document.decode(file.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ComponentError(f"cannot read '{file}': {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # The reason may quote a secret.
        raise ComponentError(
            f"'{file}' is not in the form "
            '{"store": {"secret": "value", "other": {"key": "value"}}}; mend it'
        ) from None

"""A folder that stands in for the storage buckets of clouds."""

from collections.abc import Mapping
from dataclasses import replace

from daprflow.sidecar.components.base import BindingAnswer, ComponentContext
from daprflow.sidecar.components.binding_localstorage import LocalStorageBinding
from daprflow.sidecar.components.own_files import OwnFolder

_NAMES = ("key", "blobName", "name", "fileName")
"""What the real ones call an object's name."""


class FolderBinding(LocalStorageBinding):
    """As ``bindings.localstorage``, in the data folder; an object's name goes by any of its words.

    Without a data folder the objects end with the sidecar.
    """

    def __init__(self, context: ComponentContext) -> None:
        super().__init__(replace(context, metadata={}))
        self._own = OwnFolder(context.data_dir, "objects", context.name)

    async def open(self) -> None:
        """Make the folder."""
        self._text = str(self._own.find())
        await super().open()

    async def close(self) -> None:
        """Forget objects that were to be kept nowhere."""
        self._own.forget()

    async def invoke(
        self, operation: str, data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Do one operation on the object that the metadata name."""
        name = next((metadata[word] for word in _NAMES if metadata.get(word)), "")
        return await super().invoke(operation, data, {"fileName": name} if name else {})

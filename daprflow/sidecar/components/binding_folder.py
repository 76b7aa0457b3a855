"""A folder that stands in for the storage buckets of clouds."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace

from daprflow.sidecar.components.base import BindingAnswer, ComponentContext
from daprflow.sidecar.components.binding_localstorage import LocalStorageBinding
from daprflow.sidecar.components.own_files import own_file

_NAMES = ("key", "blobName", "name", "fileName")
"""What the real ones call an object's name."""


class FolderBinding(LocalStorageBinding):
    """As ``bindings.localstorage``, in the data folder; an object's name goes by any of its words.

    Without a data folder the objects end with the sidecar.
    """

    def __init__(self, context: ComponentContext) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        where = ""
        if context.data_dir is not None:
            where = str(own_file(context.data_dir, "objects", context.name))
        super().__init__(replace(context, metadata={"rootpath": where}))

    async def open(self) -> None:
        """Make the folder."""
        if not self._text:
            self._temporary = tempfile.TemporaryDirectory(prefix="daprflow-objects-")
            self._text = self._temporary.name
        await super().open()

    async def close(self) -> None:
        """Forget objects that were to be kept nowhere."""
        if self._temporary is not None:
            self._temporary.cleanup()

    async def invoke(
        self, operation: str, data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Do one operation on the object that the metadata name."""
        name = next((metadata[word] for word in _NAMES if metadata.get(word)), "")
        return await super().invoke(operation, data, {"fileName": name} if name else {})

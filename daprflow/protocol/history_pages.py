"""Histories in pages: what our worker and our sidecar say of them in the metadata of their calls.

A real runtime takes no notice, and gives the whole history, if one message can hold it.
"""

from typing import Final

PAGED: Final = "daprflow-history-paged"
"""With ``GetWorkItems``: a history that one message cannot hold is left out and asked for."""
AT: Final = "daprflow-history-at"
"""With ``GetInstanceHistory``: where the page begins; empty for the first one."""
NEXT: Final = "daprflow-history-next"
"""With its answer: where the next page begins; left out with the last one."""

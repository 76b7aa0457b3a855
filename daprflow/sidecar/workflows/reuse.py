"""Whether the id of an instance may be used again."""

from collections.abc import Callable

from daprflow.sidecar.workflows.instance import Instance

Find = Callable[[str, str], Instance | None]


class Occupied(Exception):  # noqa: N818 - named for what was found
    """An id is in use; the text is the real runtime's."""


def taken_by(found: Instance, find: Find) -> None:
    """Return where an instance may be replaced by another one of its id.

    It must be over, and so must every child workflow below it: those could still send events that
    the new one would take for its own.

    Raises:
        Occupied: it may not.
    """
    instance_id = found.row.instance_id
    if found.execution.completed is None or found.gone or found.is_stepping:
        raise Occupied(f"an active workflow with ID '{instance_id}' already exists")
    active = _active_below(found, find)
    if active is not None:
        raise Occupied(
            f"cannot recreate workflow with ID '{instance_id}': child workflow '{active}': "
            "orchestration has not yet completed"
        )


def _active_below(parent: Instance, find: Find) -> str | None:
    for child in parent.execution.descended.values():
        found = find(child.app_id or parent.row.app_id, child.instance_id)
        if found is None:
            continue
        if found.execution.completed is None:
            return child.instance_id
        if (active := _active_below(found, find)) is not None:
            return active
    return None

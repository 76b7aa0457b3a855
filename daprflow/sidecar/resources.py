"""What the resource files of a run say, and what is wrong with them."""

from dataclasses import dataclass

from daprflow.protocol.resources import ComponentResource


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a run.

    Attributes:
        components: in the order of their files.
        problems: one line each: file, line, object, what to do.
    """

    components: tuple[ComponentResource, ...] = ()
    problems: tuple[str, ...] = ()

"""What a diagram shows, as a TOML file says it: lanes with steps, or boxes with arrows."""

import tomllib
from pathlib import Path

import msgspec


class DescriptionError(ValueError):
    """A description does not make sense, or what it says does not fit where it shall stand."""


class Lane(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who takes part: a column.

    Attributes:
        note: a line below the title; a module, a process.
    """

    id: str
    title: str
    note: str = ""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happens; what stands later in the file happens later.

    Attributes:
        text: what; a line break begins another line.
        source: the lane an arrow comes from; empty for what is no arrow.
        target: the lane that it goes to.
        at: the lane where something is done, in a box of its own; with neither this nor ``source``
            the text stands across all lanes, over a line.
        answer: whether the arrow is an answer, and dashed.
    """

    text: str
    source: str = ""
    target: str = ""
    at: str = ""
    answer: bool = False


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rectangle in pixels.

    Attributes:
        lines: what stands below the title, smaller.
        look: "part" is what daprflow is made of, "other" is somebody else's, "store" keeps
            something, "frame" holds other boxes.
    """

    id: str
    title: str
    x: int
    y: int
    width: int
    height: int
    lines: tuple[str, ...] = ()
    look: str = "part"


class Arrow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line from one box to another.

    Attributes:
        source: a box and a side of it, "sidecar.right"; a number of pixels from the side's middle
            may follow, "sidecar.right+20".
        target: likewise.
        text: what stands beside it, in its middle.
        below: whether the text of a level arrow stands below it.
        answer: whether it is dashed.
        both: whether it has a head at both ends.
    """

    source: str
    target: str
    text: str = ""
    below: bool = False
    answer: bool = False
    both: bool = False


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A diagram: it has lanes and steps, or boxes and arrows.

    Attributes:
        title: what it shows, for those who hear the page read.
        about: the same in a sentence or two.
        lane_width: pixels from one lane to the next.
    """

    title: str
    about: str
    lanes: tuple[Lane, ...] = ()
    steps: tuple[Step, ...] = ()
    lane_width: int = 200
    boxes: tuple[Box, ...] = ()
    arrows: tuple[Arrow, ...] = ()


def read(path: Path) -> Description:
    """Read one description.

    Raises:
        DescriptionError: it is none.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Description)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DescriptionError(f"'{path.name}': {error}") from error

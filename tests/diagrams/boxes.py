"""Diagrams of what is where: boxes at given places, with arrows between them."""

import re

from tests.diagrams.description import Arrow, Box, Description, DescriptionError
from tests.diagrams.svg import LEADING, LINE, LOOKS, TITLE, Canvas, width_of

MARGIN = 14
_END = re.compile(r"(?P<box>\w+)\.(?P<side>left|right|top|bottom)(?P<off>[+-]\d+)?")


def draw_boxes(description: Description, scheme: str = "") -> str:
    """Return the picture of boxes and arrows.

    Raises:
        DescriptionError: an arrow names a box that there is not, or a text does not fit.
    """
    boxes = {box.id: box for box in description.boxes}
    width = max(box.x + box.width for box in description.boxes) + MARGIN
    height = max(box.y + box.height for box in description.boxes) + MARGIN
    canvas = Canvas(width)
    for box in description.boxes:
        _box(canvas, box)
    for arrow in description.arrows:
        _arrow(canvas, arrow, boxes)
    return canvas.picture(description.title, description.about, height, scheme)


def _box(canvas: Canvas, box: Box) -> None:
    if box.look not in LOOKS:
        raise DescriptionError(f"'{box.id}' has the look '{box.look}'; there are {sorted(LOOKS)}")
    canvas.rectangle(box.x, box.y, box.width, box.height, box.look)
    room = box.width - 16
    if box.look == "frame":
        canvas.texts(
            box.x + 10, box.y + 20, [box.title], size=TITLE, room=room, anchor="start", bold=True
        )
        canvas.texts(
            box.x + 10, box.y + 37, list(box.lines), room=room, anchor="start", look="faint"
        )
        return
    tall = TITLE + len(box.lines) * LEADING
    if tall > box.height - 8:
        raise DescriptionError(f"'{box.id}' is too low for its lines")
    first = box.y + (box.height - tall) / 2 + TITLE - 2
    middle = box.x + box.width / 2
    canvas.texts(middle, first, [box.title], size=TITLE, room=room, bold=True)
    canvas.texts(middle, first + LEADING + 1, list(box.lines), room=room, look="faint")


def _end(text: str, boxes: dict[str, Box]) -> tuple[float, float, str]:
    """Return the point that "box.side+pixels" means, and the side.

    Raises:
        DescriptionError: it means none.
    """
    found = _END.fullmatch(text)
    if found is None or found["box"] not in boxes:
        raise DescriptionError(f"'{text}' is no side of a box")
    box, side, off = boxes[found["box"]], found["side"], int(found["off"] or 0)
    if side in {"left", "right"}:
        x = box.x if side == "left" else box.x + box.width
        return x, box.y + box.height / 2 + off, side
    y = box.y if side == "top" else box.y + box.height
    return box.x + box.width / 2 + off, y, side


def _arrow(canvas: Canvas, arrow: Arrow, boxes: dict[str, Box]) -> None:
    """Paint an arrow: straight where it can be, else with one or two corners."""
    x, y, leaves = _end(arrow.source, boxes)
    to_x, to_y, enters = _end(arrow.target, boxes)
    points = [(x, y), *_corners((x, y), (to_x, to_y), leaves, enters), (to_x, to_y)]
    canvas.line(points, dashed=arrow.answer, heads="both" if arrow.both else "end")
    if not arrow.text:
        return
    lines = arrow.text.split("\n")
    wide = max(width_of(line, LINE) for line in lines)
    middle = len(points) // 2
    (ax, ay), (bx, by) = points[middle - 1], points[middle]
    if abs(ay - by) < 1:  # level: above or below it
        off = LEADING if arrow.below else -6 - LEADING * (len(lines) - 1)
        canvas.texts((ax + bx) / 2, ay + off, lines, room=abs(bx - ax) - 6)
    else:  # upright: at its right
        foot = (ay + by) / 2 + 4 - LEADING * (len(lines) - 1) / 2
        canvas.texts(max(ax, bx) + 8, foot, lines, room=wide + 1, anchor="start")


def _corners(
    start: tuple[float, float], end: tuple[float, float], leaves: str, enters: str
) -> list[tuple[float, float]]:
    """Return where an arrow turns."""
    (x, y), (to_x, to_y) = start, end
    level = {"left", "right"}
    if (leaves in level) != (enters in level):
        return [(to_x, y)] if leaves in level else [(x, to_y)]
    if leaves in level:
        return [] if abs(y - to_y) < 1 else [((x + to_x) / 2, y), ((x + to_x) / 2, to_y)]
    return [] if abs(x - to_x) < 1 else [(x, (y + to_y) / 2), (to_x, (y + to_y) / 2)]

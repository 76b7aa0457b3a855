"""Diagrams of who does what when: a column for each, time goes down."""

from dataclasses import dataclass, field

from tests.diagrams.description import Description, DescriptionError, Step
from tests.diagrams.svg import LEADING, LINE, TITLE, Canvas, width_of

MARGIN = 14
HEAD = 48
GAP = 14
PADDING = 18


def draw_lanes(description: Description, scheme: str = "") -> str:
    """Return the picture of lanes and steps.

    Raises:
        DescriptionError: a step names a lane that there is not, or a text does not fit.
    """
    wide = description.lane_width
    width = wide * len(description.lanes) + 2 * MARGIN
    steps = _Steps(Canvas(width), wide)
    for number, lane in enumerate(description.lanes):
        steps.places[lane.id] = MARGIN + wide * (number + 0.5)
    for step in description.steps:
        steps.add(step)
    bottom = steps.y + GAP / 2
    canvas = Canvas(width)
    for lane in description.lanes:
        x = steps.places[lane.id]
        for begin, end in steps.visible(x, bottom):
            canvas.line([(x, begin), (x, end)], dashed=True, heads="none")
        canvas.rectangle(x - wide / 2 + 6, MARGIN, wide - 12, HEAD, "part")
        first = MARGIN + HEAD / 2 + (-4 if lane.note else 5)
        canvas.texts(x, first, [lane.title], size=TITLE, room=wide - 16, bold=True)
        if lane.note:
            canvas.texts(x, first + LEADING + 1, [lane.note], room=wide - 16, look="faint")
    canvas.pieces += steps.canvas.pieces
    return canvas.picture(description.title, description.about, bottom + MARGIN, scheme)


@dataclass(frozen=True, slots=True)
class _Text:
    """Where a text stands that no lane's line may cross."""

    left: float
    right: float
    top: float
    bottom: float


@dataclass(slots=True)
class _Steps:
    """Paints one step below the other.

    Attributes:
        wide: from one lane to the next.
        places: the middles of the lanes.
        y: where the next step begins.
        texts: what stands where lines may be.
    """

    canvas: Canvas
    wide: int
    places: dict[str, float] = field(default_factory=dict)
    y: float = MARGIN + HEAD + GAP
    texts: list[_Text] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Paint the next step.

        Raises:
            DescriptionError: it names a lane that there is not, or its text does not fit.
        """
        for lane in (step.source, step.target, step.at):
            if lane and lane not in self.places:
                raise DescriptionError(f"there is no lane '{lane}'")
        lines = step.text.split("\n")
        if step.at:
            self._done(self.places[step.at], lines)
        elif step.source:
            self._sent(step, lines)
        else:
            self._across(lines)

    def visible(self, x: float, bottom: float) -> list[tuple[float, float]]:
        """Return the stretches of a lane's line that cross no text."""
        top, stretches = float(MARGIN + HEAD), []
        for text in self.texts:
            if text.left <= x <= text.right:
                stretches.append((top, text.top))
                top = text.bottom
        return [*stretches, (top, bottom)]

    def _done(self, x: float, lines: list[str]) -> None:
        """Paint a box on a lane."""
        room, tall = self.wide - 20, len(lines) * LEADING + PADDING - 6
        self.canvas.rectangle(x - room / 2, self.y, room, tall, "other")
        self.canvas.texts(x, self.y + PADDING, lines, room=room - 6)
        self.y += tall + GAP

    def _sent(self, step: Step, lines: list[str]) -> None:
        """Paint an arrow with its text above it."""
        start, end = self.places[step.source], self.places[step.target]
        if step.source == step.target:
            raise DescriptionError(f"'{step.text}' goes from a lane to itself; use 'at'")
        foot, middle = self.y + len(lines) * LEADING, (start + end) / 2
        self.canvas.texts(middle, self.y + LINE, lines, room=abs(end - start) - 16)
        half = max(width_of(line, LINE) for line in lines) / 2 + 4
        self.texts.append(_Text(middle - half, middle + half, self.y - 1, foot))
        off = 2.0 if end > start else -2.0
        self.canvas.line([(start + off, foot + 3), (end - off, foot + 3)], dashed=step.answer)
        self.y = foot + 3 + GAP

    def _across(self, lines: list[str]) -> None:
        """Paint a line across all lanes with a text below it."""
        top, left = self.y + 4, MARGIN + 4
        self.canvas.line([(MARGIN, top), (self.canvas.width - MARGIN, top)], heads="none")
        room = self.canvas.width - 2 * left
        self.canvas.texts(left, top + PADDING, lines, room=room, anchor="start", bold=True)
        right = left + max(width_of(line, LINE, bold=True) for line in lines) + 4
        self.y = top + len(lines) * LEADING + PADDING
        self.texts.append(_Text(left, right, top + 3, self.y - 10))

"""The pieces of an SVG picture: boxes, lines and texts that can be read on light and on dark."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.diagrams.description import DescriptionError

TITLE, LINE = 14, 12
"""Sizes of letters, in pixels."""
LEADING = 16
"""From one line of text to the next."""

_SHARES = {
    **dict.fromkeys("iljtfI.,:;'|!/ ", 0.3),
    **dict.fromkeys("r()[]{}-", 0.36),
    **dict.fromkeys("csvxyzkJ", 0.52),
    **dict.fromkeys("mwMW@%…", 0.96),
}
_SHARE, _CAPITAL_SHARE, _BOLD = 0.575, 0.74, 1.1
"""Widths of letters as shares of their size, a little more than in Arial and Helvetica."""

COLOURS = {
    "light": {
        "page": "#ffffff",
        "text": "#1f2328",
        "faint": "#525b66",
        "line": "#525b66",
        "part": "#e8eaf6",
        "part-edge": "#3f51b5",
        "other": "#f6f8fa",
        "other-edge": "#8c959f",
        "store": "#fff4d6",
        "store-edge": "#9a6700",
        "frame-edge": "#8c959f",
    },
    "dark": {
        "page": "#1e2129",
        "text": "#e6e9f0",
        "faint": "#b3bac7",
        "line": "#b3bac7",
        "part": "#2c3566",
        "part-edge": "#8c9eff",
        "other": "#2b303b",
        "other-edge": "#7d8590",
        "store": "#4a3a12",
        "store-edge": "#d4a72c",
        "frame-edge": "#7d8590",
    },
}
"""Both schemes by role; ``page`` is what the documentation's pages have, and is not painted."""
FONTS = "Helvetica Neue, Arial, Liberation Sans, DejaVu Sans, sans-serif"
HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="head" d="M0,0 L10,5 L0,10 z"/></marker>'
)
"""An arrow's."""
LOOKS = frozenset({"part", "other", "store", "frame"})


def width_of(text: str, size: int, *, bold: bool = False) -> float:
    """Return how many pixels a line takes at most; fonts differ from machine to machine."""
    return (
        (_BOLD if bold else 1)
        * size
        * sum(
            _SHARES.get(letter, _CAPITAL_SHARE if letter.isupper() else _SHARE) for letter in text
        )
    )


def rules(scheme: str) -> str:
    """Return the style sheet of one scheme."""
    colours = COLOURS[scheme]
    lines = [
        f".text{{fill:{colours['text']}}}",
        f".faint{{fill:{colours['faint']}}}",
        f".line{{stroke:{colours['line']};fill:none}}",
        f".head{{fill:{colours['line']}}}",
        f".frame{{fill:none;stroke:{colours['frame-edge']}}}",
    ]
    lines += [
        f".{look}{{fill:{colours[look]};stroke:{colours[look + '-edge']}}}"
        for look in ("part", "other", "store")
    ]
    return "".join(lines)


@dataclass(slots=True)
class Canvas:
    """Takes the pieces in the order in which they are painted."""

    width: int
    pieces: list[str] = field(default_factory=list)

    def rectangle(self, x: float, y: float, width: float, height: float, look: str) -> None:
        """Paint a box."""
        dashes = ' stroke-dasharray="6 4"' if look == "frame" else ""
        self.pieces.append(
            f'<rect class="{look}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            f'rx="6" stroke-width="1.4"{dashes}/>'
        )

    def line(
        self, points: list[tuple[float, float]], *, dashed: bool = False, heads: str = "end"
    ) -> None:
        """Paint a line with an arrow's head at its "end", at "both" ends or at "none"."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        end = ' marker-end="url(#head)"' if heads in {"end", "both"} else ""
        start = ' marker-start="url(#head)"' if heads == "both" else ""
        self.pieces.append(
            f'<polyline class="line" points="{path}" stroke-width="1.4"{dashes}{start}{end}/>'
        )

    def texts(
        self,
        x: float,
        y: float,
        lines: list[str],
        *,
        size: int = LINE,
        room: float,
        anchor: str = "middle",
        bold: bool = False,
        look: str = "text",
    ) -> None:
        """Write lines, the first one with its foot at ``y``.

        Raises:
            DescriptionError: one of them is wider than ``room`` pixels.
        """
        weight = ' font-weight="600"' if bold else ""
        for number, line in enumerate(lines):
            if width_of(line, size, bold=bold) > room:
                raise DescriptionError(f"'{line}' is too long here: it has {room:g} pixels")
            self.pieces.append(
                f'<text class="{look}" x="{x:g}" y="{y + number * LEADING:g}" font-size="{size}" '
                f'text-anchor="{anchor}"{weight}>{escape(line)}</text>'
            )

    def picture(self, title: str, about: str, height: float, scheme: str = "") -> str:
        """Return the file; it follows the reader's colours unless ``scheme`` names some."""
        style = rules(scheme or "light")
        if not scheme:
            style += f"@media (prefers-color-scheme: dark){{{rules('dark')}}}"
        size = f'viewBox="0 0 {self.width} {height:g}" width="{self.width}" height="{height:g}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONTS}">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(about)}</desc>",
            f"<style>{style}</style>",
            f"<defs>{HEAD}</defs>",
        ]
        if scheme:
            page = COLOURS[scheme]["page"]
            lines.append(f'<rect width="100%" height="100%" fill="{page}"/>')
        return "\n".join((*lines, *self.pieces, "</svg>", ""))

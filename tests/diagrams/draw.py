"""The diagrams of the documentation, drawn from descriptions in ``docs/src/diagrams``.

``python -m tests.diagrams.draw`` writes them anew into ``docs/explanation/images``; look at them
before they are committed. With ``--look FOLDER`` it writes them there once on light and once on
dark, with the page behind them, for programs that turn SVG into pixels.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.diagrams.boxes import draw_boxes
from tests.diagrams.description import Description, DescriptionError, read
from tests.diagrams.lanes import draw_lanes
from tests.diagrams.svg import COLOURS

ROOT = Path(__file__).parents[2]
DESCRIPTIONS = ROOT / "docs" / "src" / "diagrams"
IMAGES = ROOT / "docs" / "explanation" / "images"


def draw(description: Description, scheme: str = "") -> str:
    """Return a picture as text.

    Args:
        description: what it shows.
        scheme: "light" or "dark"; empty where it follows its reader.

    Raises:
        DescriptionError: the description has nothing to show, or something does not fit.
    """
    if bool(description.lanes) == bool(description.boxes):
        raise DescriptionError("a diagram has lanes or boxes, and not both")
    if description.lanes:
        return draw_lanes(description, scheme)
    return draw_boxes(description, scheme)


def drawn(scheme: str = "") -> dict[str, str]:
    """Return every picture, by its file's name.

    Raises:
        DescriptionError: one of them cannot be drawn; its name is told.
    """
    pictures = {}
    for path in sorted(DESCRIPTIONS.glob("*.toml")):
        try:
            pictures[f"{path.stem}.svg"] = draw(read(path), scheme)
        except DescriptionError as error:
            raise DescriptionError(f"'{path.name}': {error}") from error
    return pictures


def main(arguments: Sequence[str]) -> None:
    """Write the files."""
    parser = argparse.ArgumentParser("tests.diagrams.draw")
    parser.add_argument("--look", type=Path, help="write them here, on light and on dark")
    look: Path | None = parser.parse_args(arguments).look
    if look is None:
        for name, text in drawn().items():
            (IMAGES / name).write_text(text, encoding="utf-8")
        return
    look.mkdir(parents=True, exist_ok=True)
    for scheme in COLOURS:
        for name, text in drawn(scheme).items():
            (look / f"{scheme}-{name}").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

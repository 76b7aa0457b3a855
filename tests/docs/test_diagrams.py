"""The diagrams of the documentation: drawn from their descriptions, and readable."""

import re
from pathlib import Path
from xml.parsers import expat

import pytest

from tests.diagrams.description import (
    Arrow,
    Box,
    Description,
    DescriptionError,
    Lane,
    Step,
    read,
)
from tests.diagrams.draw import DESCRIPTIONS, IMAGES, ROOT, draw, drawn, main
from tests.diagrams.svg import COLOURS, width_of

PAGES = sorted((ROOT / "docs" / "explanation").glob("*.md"))
NAMES = sorted(path.stem for path in DESCRIPTIONS.glob("*.toml"))
SHOWN = re.compile(r"!\[(?P<words>[^\]]+)\]\(images/(?P<name>[\w-]+)\.svg\)")
MODULE = re.compile(r"`(?P<path>[a-z_]+(?:/[a-z_]+)*(?:/|\.py))`")
READABLE = 4.5
"""Contrast that letters of this size need, by WCAG 2."""


def shown_on(page: Path) -> list[str]:
    """The diagrams that a page shows."""
    return [found["name"] for found in SHOWN.finditer(page.read_text(encoding="utf-8"))]


def luminance(colour: str) -> float:
    """The relative luminance of ``#rrggbb``."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """How well two colours can be told apart, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_committed_files_are_up_to_date() -> None:
    """What is committed is what the descriptions give; ``tests.diagrams.draw`` writes it."""
    committed = {path.name: path.read_text(encoding="utf-8") for path in IMAGES.glob("*.svg")}
    assert committed == drawn()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_explanation_has_one_diagram(page: Path) -> None:
    """An explanation shows one diagram, with words for those who do not see it."""
    assert len(shown_on(page)) == 1


def test_every_diagram_is_shown() -> None:
    """No diagram is drawn for nothing."""
    assert sorted(name for page in PAGES for name in shown_on(page)) == NAMES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_explanations_name_modules_that_exist(page: Path) -> None:
    """The files and folders that an explanation names are in the package."""
    named = {found["path"] for found in MODULE.finditer(page.read_text(encoding="utf-8"))}
    assert named
    assert [name for name in sorted(named) if not (ROOT / "daprflow" / name).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_diagrams_name_modules_that_exist(name: str) -> None:
    """The files that a diagram names are in the package."""
    description = read(DESCRIPTIONS / f"{name}.toml")
    texts = [lane.note for lane in description.lanes]
    texts += [line for box in description.boxes for line in box.lines]
    named = {found for text in texts for found in re.findall(r"\w+(?:/\w+)*\.py", text)}
    assert [name for name in sorted(named) if not (ROOT / "daprflow" / name).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_stands_alone(name: str) -> None:
    """A picture is XML, says in words what it shows, and loads nothing from elsewhere."""
    text = (IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    whole = True
    expat.ParserCreate().Parse(text, whole)  # raises where it is no XML
    assert re.search(r"<title>[^<]+</title>\n<desc>[^<]+</desc>", text)
    assert re.findall(r'https?://(?!www\.w3\.org/2000/svg")', text) == []
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("scheme", COLOURS)
@pytest.mark.parametrize("letters", ["text", "faint"])
@pytest.mark.parametrize("behind", ["page", "part", "other", "store"])
def test_letters_can_be_read(scheme: str, letters: str, behind: str) -> None:
    """On light and on dark every text stands out from what is behind it."""
    assert contrast(COLOURS[scheme][letters], COLOURS[scheme][behind]) >= READABLE


def test_the_contrast_of_black_and_white_is_known() -> None:
    """Contrast is measured as WCAG says: 21 between black and white."""
    assert round(contrast("#ffffff", "#000000"), 3) == 21


def test_wide_letters_take_more_than_narrow_ones() -> None:
    """The width of a line goes by its letters, and bold ones take more."""
    assert width_of("ill", 12) < width_of("abc", 12) < width_of("MWM", 12)
    assert width_of("abc", 12) < width_of("abc", 12, bold=True)


TWO = (Lane("a", "one"), Lane("b", "two"))
BOX = Box("a", "one", 0, 0, 100, 40)


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        (Description("t", "about"), "lanes or boxes"),
        (Description("t", "about", TWO, boxes=(BOX,)), "lanes or boxes"),
        (Description("t", "about", TWO, (Step("x", "a", "c"),)), "there is no lane 'c'"),
        (Description("t", "about", TWO, (Step("x", "a", "a"),)), "to itself"),
        (Description("t", "about", TWO, (Step("word " * 20, "a", "b"),)), "too long"),
        (Description("t", "about", TWO, (Step("word " * 20, at="a"),)), "too long"),
        (Description("t", "about", boxes=(Box("a", "o" * 40, 0, 0, 100, 40),)), "too long"),
        (Description("t", "about", boxes=(Box("a", "o", 0, 0, 99, 30, ("b",)),)), "too low"),
        (Description("t", "about", boxes=(Box("a", "o", 0, 0, 99, 40, (), "pink"),)), "'pink'"),
        (
            Description("t", "about", boxes=(BOX,), arrows=(Arrow("a.left", "b.right"),)),
            "'b.right' is no side",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(description: Description, problem: str) -> None:
    """A description that cannot be drawn, or does not fit, is an error that says where."""
    with pytest.raises(DescriptionError, match=problem):
        draw(description)


def test_lines_of_lanes_leave_texts_alone() -> None:
    """A lane's line is interrupted where the text of a passing arrow stands."""
    lanes = (*TWO, Lane("c", "three"))
    plain = draw(Description("t", "about", lanes, (Step("x", at="a"),)))
    passing = draw(Description("t", "about", lanes, (Step("passes", "a", "c"),)))
    assert plain.count("<polyline") == 3
    assert passing.count("<polyline") == 5  # one more piece of the middle lane, and the arrow


def test_an_arrow_turns_where_it_must() -> None:
    """Between boxes that do not face each other an arrow has a corner."""
    boxes = (BOX, Box("b", "two", 200, 200, 100, 40))
    text = draw(Description("t", "about", boxes=boxes, arrows=(Arrow("a.bottom", "b.left"),)))
    assert 'points="50,40 50,220 200,220"' in text


def test_pictures_to_look_at_have_a_page_behind_them(tmp_path: Path) -> None:
    """``--look`` writes each picture on light and on dark, with colours that do not change."""
    main(["--look", str(tmp_path)])
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(f"{scheme}-{name}.svg" for scheme in COLOURS for name in NAMES)
    text = (tmp_path / f"dark-{NAMES[0]}.svg").read_text(encoding="utf-8")
    assert COLOURS["dark"]["page"] in text
    assert "@media" not in text


def test_a_file_that_is_no_description_is_named(tmp_path: Path) -> None:
    """A member that there is not is an error with the file's name."""
    path = tmp_path / "wrong.toml"
    path.write_text('title = "t"\nabout = "a"\ncolour = "pink"\n', encoding="utf-8")
    with pytest.raises(DescriptionError, match=r"'wrong\.toml': .*colour"):
        read(path)

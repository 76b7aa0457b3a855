"""The page: results as tables between markers of a Markdown file."""

import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.compare.results import OURS, TIMES, Comparison, Curve, Group, Row
from benchmarks.table import number

FIGURES = "figures"
"""The marker around what was compared, on what and when."""


def replaced(page: str, name: str, text: str) -> str:
    """Return a page with the text between the markers of ``name`` replaced.

    A page without these markers gets them at its end.
    """
    first, last = f"<!-- compare:{name} -->", f"<!-- /compare:{name} -->"
    block = f"{first}\n\n{text.strip()}\n\n{last}"
    pattern = re.compile(re.escape(first) + ".*?" + re.escape(last), re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: block, page, count=1)
    return f"{page.rstrip()}\n\n{block}\n"


def section(done: Comparison, stamp: str, images: Sequence[str]) -> str:
    """Return the text of one section.

    Args:
        done: what was measured.
        stamp: on what and when, a line.
        images: paths of its plots, seen from the page.
    """
    lines = [f"## {done.title}", "", done.about, ""]
    for image in images:
        lines += [f"![{done.title}: the same figures as bars or lines]({image})", ""]
    for part in done.parts:
        lines += group(part) if isinstance(part, Group) else curve(part)
    lines += _behind(done)
    lines += [f"Not measured: {each}." for each in done.missing]
    return "\n".join([*lines, "", f"*{stamp}*"])


def _behind(done: Comparison) -> list[str]:
    found = [each for part in done.parts for each in part.behind()]
    if not found:
        return ["**Behind:** nothing that was measured here.", ""]
    return ["**Behind:** daprflow is worse than " + "; ".join(found) + ".", ""]


def group(part: Group) -> list[str]:
    """Return the table of contenders that did the same work."""
    title = part.title[0].upper() + part.title[1:]
    lines = [f"| {title} | {part.unit} | lowest to highest | {OURS} is |", "|---|--:|--:|--:|"]
    lines += [_line(part, row) for row in part.rows]
    return [*lines, ""]


def _line(part: Group, row: Row) -> str:
    name = f"**{row.contender}**" if row.contender.startswith(OURS) else row.contender
    if not row.values:
        return f"| {name} | | | {row.note} |"
    low, high = row.spread
    times = part.advantage(row)
    said = "" if times is None else f"{number(times)} {TIMES}"
    if times is not None and times < 1:
        said = f"**{said}**"
    return f"| {name} | {number(row.median)} | {number(low)} to {number(high)} | {said} |"


def curve(part: Curve) -> list[str]:
    """Return the table of contenders as something grows."""
    sizes = part.sizes()
    head = " | ".join(f"{size:,}" for size in sizes)
    title = part.title[0].upper() + part.title[1:]
    lines = [
        f"| {title}, {part.unit}, by {part.axis} | {head} |",
        "|---" + "|--:" * len(sizes) + "|",
    ]
    for contender, found in part.points.items():
        name = f"**{contender}**" if contender.startswith(OURS) else contender
        cells = (_cell(found.get(size, ())) for size in sizes)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for contender, why in part.notes.items():
        lines.append(f"| {contender} | {why} |" + " |" * (len(sizes) - 1))
    return [*lines, ""]


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle = number(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))} to {number(max(values))})"


def figures(rows: Iterator[tuple[str, str]]) -> str:
    """Return the table of versions."""
    lines = ["| compared | version |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    return "\n".join(lines)


def write(page: Path, blocks: Sequence[tuple[str, str]]) -> None:
    """Put blocks between their markers in a page."""
    text = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks beside others\n"
    for name, block in blocks:
        text = replaced(text, name, block)
    page.write_text(text, encoding="utf-8")

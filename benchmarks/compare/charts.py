"""Charts: the results of a section as one SVG file, readable on light and on dark pages."""

import importlib.util
import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare.results import OURS, Comparison, Curve, Group, Row
from benchmarks.table import number

NEEDS = (
    "the plots need matplotlib, which is not installed: "
    "pip install -e . --group benchmarks, or leave them out with --no-plots"
)
OTHERS = ("#e07a1f", "#2a9d8f", "#c2528b", "#8a8f98", "#b59a00", "#d1495b")
MINE = ("#5a6cf0", "#00a0e0")
PLAIN = "#8a8f98"
INK = "#010203"
"""Stands for the colour of text until the file is written: then the reader's page decides."""
STYLE = "<style>svg{color:#24292f}@media(prefers-color-scheme:dark){svg{color:#e2e4e9}}</style>"
WIDTH = 10.0
COLUMNS = 2


def available() -> bool:
    """Tell whether the library that draws is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def write(done: Comparison, folder: Path) -> list[Path]:
    """Draw a section, and return the files: none where there is nothing to draw."""
    parts = [part for part in done.parts if _drawable(part)]
    if not parts:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"benchmarks-{done.name}.svg"
    target.write_text(themed(_drawn(done.name, parts)), encoding="utf-8")
    return [target]


def themed(svg: str) -> str:
    """Return a drawing whose text takes the colour that suits a light or a dark page."""
    start = svg.index("<defs>")
    return f"{svg[:start]}{STYLE}\n {svg[start:]}".replace(INK, "currentColor")


def _drawable(part: Group | Curve) -> bool:
    if isinstance(part, Group):
        return any(row.values for row in part.rows)
    return any(part.points.values())


def _drawn(name: str, parts: Sequence[Group | Curve]) -> str:
    import matplotlib as mpl  # noqa: PLC0415 - optional, and half a second
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": ["DejaVu Sans", "Verdana", "sans-serif"][0],
        "font.size": 9,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), INK),
        **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    }
    rows = [parts[start : start + COLUMNS] for start in range(0, len(parts), COLUMNS)]
    heights = [max(_height(part) for part in row) for row in rows]
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(rows), COLUMNS, height_ratios=heights)
        for line, row in enumerate(rows):
            for column, part in enumerate(row):
                axes = figure.add_subplot(grid[line, column])
                _bars(axes, part) if isinstance(part, Group) else _lines(axes, part)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()


def _height(part: Group | Curve) -> float:
    return 0.75 + 0.27 * len(part.rows) if isinstance(part, Group) else 3.0


def _bars(axes: Any, part: Group) -> None:
    rows: list[Row] = [row for row in part.rows if row.values]
    names = [row.contender for row in rows]
    medians = [row.median for row in rows]
    colours = [MINE[0] if name.startswith(OURS) else PLAIN for name in names]
    low = [row.median - row.spread[0] for row in rows]
    high = [row.spread[1] - row.median for row in rows]
    places = range(len(rows))
    axes.barh(places, medians, color=colours, height=0.66)
    axes.errorbar(
        medians, places, xerr=[low, high], fmt="none", ecolor=INK, elinewidth=1, capsize=2
    )
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    furthest = max(row.spread[1] for row in rows)
    for place, row in zip(places, rows, strict=True):
        axes.text(row.spread[1] + furthest * 0.02, place, number(row.median), va="center")
    axes.set_xlim(0, furthest * 1.2)
    better = "more is better" if part.more else "less is better"
    axes.set_title(f"{part.title} ({part.unit}, {better})", fontsize=9, loc="right")
    _bare(axes)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _lines(axes: Any, part: Curve) -> None:
    mine, others = list(MINE), list(OTHERS)
    for contender, found in part.points.items():
        if not found:
            continue
        sizes = sorted(found)
        medians = [statistics.median(found[size]) for size in sizes]
        ours = contender.startswith(OURS)
        colour = (mine if ours else others).pop(0)
        axes.plot(
            sizes, medians, color=colour, marker="o", lw=2.2 if ours else 1.4, label=contender
        )
        low = [min(found[size]) for size in sizes]
        high = [max(found[size]) for size in sizes]
        axes.fill_between(sizes, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(part.sizes(), [f"{size:,}" for size in part.sizes()])
    axes.minorticks_off()
    axes.set_xlabel(part.axis)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    better = "more is better" if part.more else "less is better"
    axes.set_title(f"{part.title} ({part.unit}, {better})", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    _bare(axes)


def _bare(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_alpha(0.4)
    axes.tick_params(length=0)

"""The metrics of a sidecar as the text that Prometheus reads."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from daprflow.sidecar.telemetry.metrics import Cell, Registry, Shape, Spread

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "dapr_"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_TYPES = {Shape.COUNT: "counter", Shape.LAST: "gauge"}

_Labels = Sequence[tuple[str, str]]


def exposed(registry: Registry) -> bytes:
    """Return everything that was recorded; a metric nobody recorded is left out."""
    lines: list[str] = []
    for family in registry.families():
        samples = [
            line for labels, cell in family.cells() for line in _samples(family.name, labels, cell)
        ]
        if samples:
            name = _PREFIX + family.name
            lines.append(f"# HELP {name} {family.text.translate(_HELP_ESCAPES)}")
            lines.append(f"# TYPE {name} {_TYPES.get(family.shape, 'histogram')}")
            lines.extend(samples)
    return "".join(f"{line}\n" for line in lines).encode()


def _samples(family: str, labels: _Labels, cell: Cell | Spread) -> Iterator[str]:
    name = _PREFIX + family
    if isinstance(cell, Cell):
        yield f"{name}{{{_text(labels)}}} {cell.value:.17g}"
        return
    text = _text(labels)
    upto = list(accumulate(cell.counts))
    for limit, count in zip(cell.limits, upto, strict=False):
        yield f'{name}_bucket{{{text},le="{limit:.17g}"}} {count}'
    yield f'{name}_bucket{{{text},le="+Inf"}} {upto[-1]}'
    yield f"{name}_sum{{{text}}} {cell.total!r}"
    yield f"{name}_count{{{text}}} {upto[-1]}"


def _text(labels: _Labels) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)

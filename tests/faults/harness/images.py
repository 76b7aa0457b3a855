"""Files as a power cut may leave them.

The model: what was written before a file's last sync is there. Of what was written after it, any
part may be there, in whole or cut at a sector of 512 bytes, and any part may not. That a file
exists, or was deleted, is known at once: SQLite syncs the folder itself.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from tests.faults.harness.disk import Act, Mark, Op

SECTOR = 512


def told(recorded: Sequence[Op | Mark], moment: int) -> list[str]:
    """Return what the outside had been told at a moment, in order."""
    return [each.text for each in recorded[:moment] if isinstance(each, Mark)]


def write_image(
    recorded: Sequence[Op | Mark], moment: int, chance: random.Random, folder: Path
) -> None:
    """Make the files that may be there after a power cut at a moment.

    Args:
        recorded: what was done.
        moment: how much of it.
        chance: says which writes that nothing had synced are there.
        folder: where; files have the names that they had.
    """
    before = [each for each in recorded[:moment] if isinstance(each, Op)]
    for path in dict.fromkeys(op.path for op in before):
        content = _content([op for op in before if op.path == path], chance)
        if content is not None:
            (folder / Path(path).name).write_bytes(content)


def _content(ops: Sequence[Op], chance: random.Random) -> bytes | None:
    """Return what a file holds; None where it was deleted."""
    while (found := _last(ops, Act.DELETE)) is not None:
        ops = ops[found + 1 :]
        if not ops:
            return None
    synced = _last(ops, Act.SYNC)
    kept = 0 if synced is None else synced + 1
    content = bytearray()
    for op in ops[:kept]:
        _apply(content, op, len(op.data))
    for op in ops[kept:]:
        if chance.random() < 0.5:
            sectors = -(-len(op.data) // SECTOR)
            _apply(content, op, min(len(op.data), chance.randint(0, sectors) * SECTOR))
    return bytes(content)


def _last(ops: Sequence[Op], act: Act) -> int | None:
    return max((number for number, op in enumerate(ops) if op.act is act), default=None)


def _apply(content: bytearray, op: Op, size: int) -> None:
    if op.act is Act.TRUNCATE:
        del content[op.offset :]
    elif op.act is Act.WRITE and size:
        if len(content) < op.offset:
            content.extend(bytes(op.offset - len(content)))
        content[op.offset : op.offset + size] = op.data[:size]

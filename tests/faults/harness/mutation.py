"""Bytes that are nearly right: sound inputs, changed by chance."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

LONG = 3_000
"""How often something is repeated at most."""
NUMBERS = (b"0", b"-1", b"1e999", b"NaN", b"9" * 25, b"9" * 4_400, b"0x1F", b"1.5", b"007")
ODD = (b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", "ü٣".encode(), b"\r\n", b"\n", b"\t", b" ")


@dataclass(frozen=True, slots=True)
class Mutator:
    """Makes inputs.

    Attributes:
        seeds: what is sound.
        words: what means something to who reads it.
    """

    seeds: Sequence[bytes]
    words: Sequence[bytes]

    def make(self, chance: random.Random) -> bytes:
        """Return an input."""
        if chance.random() < 0.1:  # some are of words alone
            return b"".join(chance.choices(self.words, k=chance.randrange(8)))
        data = bytearray(chance.choice(self.seeds))
        for _ in range(chance.randint(1, 4)):
            self._change(data, chance)
        return bytes(data)

    def _change(self, data: bytearray, chance: random.Random) -> None:
        begin = chance.randint(0, len(data))
        end = min(len(data), begin + chance.choice((1, 1, 2, 4, 16, 64)))
        match chance.randrange(9):
            case 0:
                data[begin:end] = chance.randbytes(end - begin)
            case 1:
                data[begin:begin] = chance.choice(self.words)
            case 2:
                data[begin:end] = chance.choice(self.words)
            case 3:
                del data[begin:end]
            case 4:
                data[begin:begin] = data[begin:end] * chance.randint(1, 8)
            case 5:
                del data[begin:]
            case 6:
                data[begin:begin] = chance.choice(NUMBERS + ODD)
            case 7:
                other = chance.choice(self.seeds)
                data[begin:] = other[chance.randint(0, len(other)) :]
            case _:
                data[begin:begin] = chance.choice(self.words) * chance.randint(1, LONG)

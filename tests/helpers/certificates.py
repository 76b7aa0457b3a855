"""Certificates for tests, made anew in each run; none is ever kept."""

import datetime as dt
import functools
from dataclasses import dataclass
from pathlib import Path

import trustme

LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


@functools.cache
def authority(name: str) -> trustme.CA:
    """Return an authority; one and the same for a name."""
    return trustme.CA(organization_name=name)


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files of a test.

    Attributes:
        ca: of the authority that is to be believed.
        pair: a certificate and its key in one file.
    """

    ca: Path
    pair: Path


def files_of(folder: Path, kind: str) -> Files:
    """Write a pair of some kind, and the authority that a client believes.

    Args:
        folder: where they are written.
        kind: ``good`` for localhost and 127.0.0.1, ``expired``, ``other name``, or
            ``other authority``, which nobody believes.
    """
    signer = authority("unknown" if kind == "other authority" else "trusted")
    names = ("other.example",) if kind == "other name" else ("localhost", "127.0.0.1")
    begin, end = (LONG_AGO, LONG_AGO + dt.timedelta(days=1)) if kind == "expired" else (None, None)
    issued = signer.issue_cert(*names, not_before=begin, not_after=end)
    stem = kind.replace(" ", "-")
    files = Files(folder / "ca.pem", folder / f"{stem}.pem")
    authority("trusted").cert_pem.write_to_path(str(files.ca))
    issued.private_key_and_cert_chain_pem.write_to_path(str(files.pair))
    return files


def self_signed(folder: Path) -> Path:
    """Write a pair for localhost that nobody else has signed."""
    issued = trustme.CA(organization_name="itself").issue_cert("localhost", "127.0.0.1")
    path = folder / "localhost.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path

"""Files that people take for those of the catalog: other revisions, other versions, neighbours. Named, never loaded."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A known file that is not the catalog's: `what` says in a few words what it is, `entry` what it is taken for."""

    entry: str
    bytes: int
    sha256: str
    what: str


@cache
def lookalikes() -> tuple[Lookalike, ...]:
    """List the files known to be taken for others."""
    table = tomllib.loads((Path(__file__).parent / "lookalikes.toml").read_text(encoding="utf-8"))
    return tuple(Lookalike(**row) for row in table["file"])

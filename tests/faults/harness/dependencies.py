"""G27: what daprflow stands on is little, and each part of it is justified."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.faults.harness.goals import Goal, Measure, Result, Size

ROOT = Path(__file__).parents[3]
MOST = 17
"""Direct dependencies of the framework, the sidecar and the commands together, extras aside."""


def direct() -> tuple[list[str], list[str]]:
    """Return the names of what is always needed, and of what extras need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    always, more = (
        sorted({str(canonicalize_name(Requirement(line).name)) for line in lines})
        for lines in (project["dependencies"], extras)
    )
    return always, more


def unjustified(names: list[str]) -> list[str]:
    """Return those that the page on dependencies does not give a reason for."""
    page = (ROOT / "docs" / "adr" / "0001-dependencies.md").read_text(encoding="utf-8")
    reasons = re.findall(r"^\| ([\w.-]+) \| .+ \| .+ \|$", page, re.MULTILINE)
    known = {canonicalize_name(each) for each in reasons}
    return [name for name in names if name not in known]


async def run(plan: None, folder: Path, seed: int) -> Result:
    """Count and compare; what holes are known is asked before a release, by `tox -e audit`."""
    del plan, folder, seed
    always, more = direct()
    result = Result({"dependencies": len(always), "in extras": len(more)})
    result.problems = [f"'{name}' is not justified" for name in unjustified([*always, *more])]
    result.measures.append(Measure("directly needed", len(always), "", most=MOST))
    return result


GOAL = Goal(
    "G27",
    "dependencies are few, and each is justified; tox -e audit knows of no hole in them",
    {Size.QUICK: None},
    run,
)

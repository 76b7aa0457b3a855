"""Checks with pyright what mypy checks in tests/typing: `python tests/pyright_check.py`.

Right uses must be accepted in strict mode, and each marked misuse refused; what is exported must
have types that every checker sees alike. Pyright brings Node and takes 280 MB, so that it is no
part of the ordinary tests.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.docs.public_names import documented  # noqa: E402 - the script's folder is on the path

FILES = sorted((ROOT / "tests" / "typing").glob("*ed*.py"))
MARK = "# refused: "
MYPY_ALONE = "# mypy alone "
"""Before the mark of what pyright accepts."""


def reported() -> dict[Path, set[int]]:
    """Return the lines that pyright has something to say of."""
    settings = {
        "include": [str(each) for each in FILES],
        "extraPaths": [str(ROOT)],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
        "reportDeprecated": "none",
    }
    with TemporaryDirectory() as folder:
        project = Path(folder) / "pyrightconfig.json"
        project.write_text(json.dumps(settings), encoding="utf-8")
        command = ["basedpyright", "--outputjson", "--project", str(project)]
        out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found: dict[Path, set[int]] = {each: set() for each in FILES}
    for each in json.loads(out)["generalDiagnostics"]:
        file = Path(each["file"])
        found.setdefault(file, set()).add(each["range"]["start"]["line"] + 1)
    return found


def marked(file: Path) -> set[int]:
    """Return the lines that say they are refused."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {
        number for number, line in enumerate(lines, 1) if MARK in line and MYPY_ALONE not in line
    }


def incomplete() -> list[str]:
    """Return the exported names, and their attributes, whose types checkers may see differently."""
    command = ["basedpyright", "--verifytypes", "daprflow", "--ignoreexternal", "--outputjson"]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    public = tuple({name for each in documented() for name in (each.name, each.public)})
    return sorted(
        symbol["name"]
        for symbol in json.loads(out)["typeCompleteness"]["symbols"]
        if symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"]
        if symbol["name"].rpartition(".")[0] in public or symbol["name"] in public
    )


def main() -> int:
    """Compare; return 1 where anything differs, or nothing can be compared."""
    if shutil.which("basedpyright") is None:
        sys.stderr.write("there is no 'basedpyright' here; 'pip install --group typing' adds it\n")
        return 1
    problems = []
    for file, lines in reported().items():
        source = file.read_text(encoding="utf-8").splitlines()
        wanted = marked(file)
        found = {
            line + 1 if line not in wanted and source[line - 1].startswith("@") else line
            for line in lines  # a decorator's refusal is one of what it decorates
        }
        problems += [f"{file}:{line}: pyright refuses it" for line in sorted(found - wanted)]
        problems += [f"{file}:{line}: pyright accepts it" for line in sorted(wanted - found)]
    problems += [f"{name}: its type is not said" for name in incomplete()]
    sys.stdout.write("\n".join(problems) or f"pyright agrees in {len(FILES)} files")
    sys.stdout.write("\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())

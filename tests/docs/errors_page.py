"""Writes the page about errors: ``python -m tests.docs.errors_page``."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daprflow.launcher.exits import Exit
from tests.docs.public_names import errors, inner_errors

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "errors.md"
HEAD = """# Errors

Made from the code by `python -m tests.docs.errors_page`.

Whatever daprflow raises on purpose is a `DaprFlowError`, but for what a test is told
(`AssertionError`) and for what a handler raises to say what shall happen. A text says what is
wrong, where, and what to do; no text holds a payload or a secret. A `SidecarError` has Dapr's own
words as `code`, `status`, `reason` and `details`, and a `hint` where it is known what to do.
"""
CODES = """What the embedded sidecar answers, in the words of a real runtime: `errorCode` over
HTTP, `SidecarError.code` in Python. A *reason* is the newer name that some have besides. `ERROR`
is a stream that broke off.
"""
TODO: Mapping[str, str] = {
    "DaprFlowError": "catch it around calls where any failure is handled alike",
    "AppDefinitionError": "mend what `problems` lists; `daprflow check TARGET` shows all of it",
    "MissingExtra": "run the `pip install` that its text has",
    "SettingsError": "set or unset the variable that its text names",
    "SidecarError": "look at `code` and `hint`; [Dapr's codes](#codes-of-the-sidecar) are below",
    "SidecarUnavailable": "start the sidecar; a handler that lets it pass has its event again",
    "NotFound": "create what is missing, or treat it as an answer",
    "SecretNotFound": "put the secret into the store, or mend its name",
    "EtagMismatch": "read again and repeat, or use `store.update`, which does both",
    "BulkPublishError": "publish those again that `failed` names by position",
    "BulkStateError": "write those again that `failed` names by key",
    "InvocationError": "look at `status` and `body`, the other app's answer",
    "ActorError": "look at `type` and `message`, what the method raised; else at `code`",
    "TooManyCalls": "send less at once, or allow more with `DAPRFLOW_CALLS_PER_TARGET`",
    "LockTaken": "try later, or wait longer with `timeout=`",
    "LockLost": "stop what the lock was for; somebody else may do it now",
    "WorkflowError": "catch it where any failure of a workflow is handled alike",
    "ActivityFailed": "look at `type`, `message` and `stack`; undo what was done, or let it fail",
    "WorkflowFailed": "look at `type` and `message`; `daprflow workflow history ID` has the step",
    "WorkflowRuleError": "use what its text names: `ctx.now`, `ctx.sleep`, an activity",
    "NonDeterminismError": "keep the old way with `ctx.patched`, or a new `version=`",
    "TokenUnavailable": "look at what the token endpoint answered; the call was not made",
    "ActivityFault": "nothing: a test asked for it with `fail`",
    "InterleavingFailed": "run `explore` with its `seed` to have that order again",
    "UnfinishedWorkflow": "give what its text says the workflow waits for, or `advance`",
    "Retry": "raise it to have an event delivered again",
    "Drop": "raise it to give an event up: to the dead letter topic, where there is one",
    "StopReminder": "raise it in a tick that is to be the last",
}
"""What to do about each error."""

EXITS: Mapping[Exit, str] = {
    Exit.OK: "ended as asked",
    Exit.FAILED: "the app is defined wrongly or could not start, or the request was refused",
    Exit.USAGE: "wrong usage, or no such target",
    Exit.MISSING: (
        "there is no such workflow instance, key, item, secret, job, store or other component, "
        "method, app or log file"
    ),
    Exit.AWAY: "nothing runs here, or no sidecar answers; of every command that needs what runs",
    Exit.CONFLICT: "somebody else was first: the ETag is an old one",
    Exit.PORT_TAKEN: "a port is taken; the line says by whom",
    Exit.SIDECAR_FAILED: "the sidecar failed",
    Exit.APP_SILENT: "the app did not open its port in time",
    Exit.HOST_LOST: "the run that was joined ended first, and the sidecar with it",
    Exit.DATA_FOLDER: "the data folder cannot be used, or this app runs with it already",
    Exit.NOT_EXECUTABLE: "the command after `--` cannot be executed",
    Exit.NOT_FOUND: "the command after `--` was not found",
    Exit.INTERRUPTED: "ended by Ctrl-C twice, or once before there was anything to end",
}
CODE = re.compile(r"(ERR|DAPR_(STATE|PUBSUB|SCHEDULER))_[A-Z_]+")
JOBS: Mapping[str, tuple[str, str]] = {
    "DAPR_SCHEDULER_DELETE_JOB": ("500", "a job that could not be deleted"),
    "DAPR_SCHEDULER_EMPTY": ("400", "a call that lacks what it is about, over gRPC"),
    "DAPR_SCHEDULER_GET_JOB": ("500", "a job that is not there, or could not be read"),
    "DAPR_SCHEDULER_JOB_NAME": ("400", "a job whose body has a name, too"),
    "DAPR_SCHEDULER_JOB_NAME_EMPTY": ("400", "a job without a name"),
    "DAPR_SCHEDULER_SCHEDULE_EMPTY": ("400", "a job with neither a schedule nor a due time"),
    "DAPR_SCHEDULER_SCHEDULE_JOB": (
        "409, 500",
        "a job that could not be scheduled; one that is there and not to be replaced",
    ),
}
RAISED: Mapping[str, str] = {
    "ERR_BODY_READ": "a body that cannot be read",
    "ERR_INTERNAL": "a defect of the sidecar, whose log has it",
    "ERR_CONFIGURATION_ITEM_NOT_FOUND": "an item that `daprflow config` asks for is not there",
    "ERR_CONFIGURATION_SET": "an item that `daprflow config` could not set",
    "ERR_CONFIGURATION_STORE_NOT_FOUND": "an unknown store's name",
    "ERR_MALFORMED_REQUEST": "a key with the separator `||`",
    "ERR_WORKFLOW": "a call of the task hub that failed",
}
"""Codes that stand outside the modules of faults."""


Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with one of Dapr's codes.

    Attributes:
        code: such as ``ERR_STATE_GET``.
        status: over HTTP; empty where it depends.
        text: what it is about.
    """

    code: str
    status: str
    text: str


def answers() -> Iterator[Answered]:
    """Every answer with a code that the embedded sidecar gives."""
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _made_by(node)
    for code, (status, text) in JOBS.items():
        yield Answered(code, status, text)


def codes() -> set[str]:
    """Every code that stands in the sidecar's code."""
    found: set[str] = set()
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        found |= {match[0] for match in CODE.finditer(text) if not match[0].endswith("_")}
    return {code for code in found if not code.startswith(("DAPR_STATE", "DAPR_PUBSUB"))}


def _modules() -> Sequence[Path]:
    package = ROOT / "daprflow"
    return sorted([*(package / "protocol").rglob("*.py"), *(package / "sidecar").rglob("*.py")])


def _made_by(function: Function) -> Iterator[Answered]:
    """The codes that a function's faults have."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "Fault":
            continue
        status, code = node.args[:2]
        if isinstance(code, ast.Constant) and str(code.value).startswith("ERR_"):
            known = str(status.value) if isinstance(status, ast.Constant) else ""
            yield Answered(str(code.value), known, _about(function, str(code.value)))


def _about(function: Function, code: str) -> str:
    first = (ast.get_docstring(function) or "").partition("\n")[0].replace("``", "`").rstrip(".")
    for start in ("Return the fault of ", "Return "):
        if first.startswith(start):
            return first.removeprefix(start).partition(";")[0]
    return RAISED.get(code, "")


def page() -> str:
    """The text of the page."""
    parts = [
        HEAD,
        "## In Python\n",
        "| error | is a | raised when | what to do |\n|---|---|---|---|",
    ]
    parts += [_row(each) for each in errors()]
    parts += ["", "All of them, with attributes: [Python API](api.md#errors).\n"]
    parts += ["Some have names of their own that are not exported; catch what they are.\n"]
    parts += ["| error | is a | raised when |\n|---|---|---|"]
    parts += [_row(each).rpartition(" | ")[0] + " |" for each in inner_errors()]
    parts += [""]
    parts += ["## Exit codes\n", "An app that ends by itself passes its own on.\n"]
    parts += ["| code | meaning |\n|---|---|"]
    parts += [f"| {each.value} | {EXITS[each]} |" for each in Exit]
    parts += ["\n## Codes of the sidecar\n"]
    parts += [CODES, "| code | status | what is told so |\n|---|---|---|"]
    by_code: dict[str, list[Answered]] = {}
    for each in answers():
        by_code.setdefault(each.code, []).append(each)
    parts += [_code_row(code, by_code[code]) for code in sorted(by_code)]
    reasons = sorted(_reasons())
    parts += ["\n| reason |\n|---|", *(f"| `{each}` |" for each in reasons), ""]
    return "\n".join(parts)


def _reasons() -> set[str]:
    text = (ROOT / "daprflow" / "transports" / "grpc_errors.py").read_text(encoding="utf-8")
    return set(re.findall(r'"(DAPR_(?:STATE|PUBSUB)_[A-Z_]+)"', text))


def _row(kind: type[BaseException]) -> str:
    bases = ", ".join(f"`{each.__name__.lstrip('_')}`" for each in _bases(kind))
    text = (kind.__doc__ or "").strip().partition("\n")[0].replace("``", "`").rstrip(".")
    shown = text[0].lower() + text[1:] if text.split()[0] != "Dapr" else text
    return f"| `{kind.__name__}` | {bases} | {shown} | {TODO.get(kind.__name__, '')} |"


def _bases(kind: type) -> Sequence[type]:
    """The bases by names that a user knows."""
    found: list[type] = []
    for base in kind.__bases__:
        found += _bases(base) if base.__name__.startswith("_") else [base]
    return found


def _code_row(code: str, answers: Sequence[Answered]) -> str:
    statuses = sorted({each.status for each in answers if each.status})
    depends = any(not each.status for each in answers)
    shown = ", ".join([*statuses, *(["by its cause"] if depends else [])])
    texts = dict.fromkeys(each.text for each in answers if each.text)
    return f"| `{code}` | {shown} | {'; '.join(texts).replace('|', chr(92) + '|')} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""What docstrings of public names leave unsaid: arguments, results and errors of their own."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from textwrap import dedent
from typing import Any

import msgspec

from tests.docs.docstring_examples import AS_ANOTHER, OVERRIDDEN, PARTS_ONLY
from tests.docs.public_names import Documented, documented

MADE_FOR_USERS = frozenset(
    {
        "client.configuration.Configuration",
        "client.configuration.LiveConfiguration",
        "client.event_message.EventMessage",
        "client.locks.HeldLock",
        "client.locks.Lock",
        "client.proxies.RawActor",
        "client.response.StreamingResponse",
        "client.secrets.Secrets",
        "client.state.Records",
        "client.state.Store",
        "client.state_many.Items",
        "client.subscription.Subscription",
        "client.sync_subscription.SyncEventMessage",
        "client.sync_subscription.SyncSubscription",
        "client.sync_workflows.SyncWorkflowRun",
        "client.workflow_runs.WorkflowRun",
        "testing.faults.Fault",
        "testing.workflow_run.TestRun",
        "workflows.context.WorkflowContext",
        "workflows.saga.Saga",
        "workflows.tasks.Task",
    }
)
"""Classes that users are given and do not make: their arguments need no words."""

WRITTEN = re.compile(
    r"^\s*(Return|Yield|Tell|Whether)|^\s+(Returns|Yields):|[Rr]eturn|gives", re.MULTILINE
)
"""How a docstring says what comes back."""

NOTHING = frozenset({"None", "Never", "NoReturn"})
AS_IT_WAS = frozenset({"Callable[[F], F]", "L"})
"""What a decorator is annotated with that returns what it is put on."""

DECORATOR = "handlers.router.Router.actor"
"""One whose annotation says nothing, as it stands with parentheses and without."""


def unsaid() -> Iterator[str]:
    """What a public name takes, returns or raises and its docstring does not name."""
    for each in documented():
        name = each.name.removeprefix("daprflow.")
        if _needs_words(name, each):
            text = each.value.__doc__ or ""
            yield from (f"{name}: '{one}'" for one in _arguments(name, each.value, text))
            yield from (f"{name}: raises {one}" for one in _errors(each.value, text))
            if name != DECORATOR and not _says_result(each.value, text):
                yield f"{name}: what it returns"


def _needs_words(name: str, each: Documented) -> bool:
    refers = AS_ANOTHER.match(each.value.__doc__ or "")
    return not (name in PARTS_ONLY or OVERRIDDEN.fullmatch(name) or refers)


def _arguments(name: str, value: Any, text: str) -> Sequence[str]:
    if name in MADE_FOR_USERS or (inspect.isclass(value) and issubclass(value, BaseException)):
        return ()
    return [each for each in _taken(value) if not _names(text, each)]


def _taken(value: Any) -> Sequence[str]:
    """The arguments of a function, or the fields of a record, by name."""
    if inspect.isclass(value):
        if issubclass(value, msgspec.Struct) or is_dataclass(value):
            own: dict[str, Any] = vars(value).get("__annotations__", {})
            return [each for each in own if each[0] != "_" and "ClassVar" not in str(own[each])]
        value = vars(value).get("__init__")
    if value is None:
        return ()
    variadic = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    return [
        each.name
        for each in inspect.signature(value).parameters.values()
        if each.name not in {"self", "cls"} and each.kind not in variadic
    ]


def _names(text: str, argument: str) -> bool:
    return bool(re.search(rf"(^|\s){argument}(, \w+)*: |`{argument}\b", text))


def _errors(value: Any, text: str) -> Sequence[str]:
    """The errors that a function, or a class when it is made, raises by itself."""
    tree = _tree(vars(value).get("__init__") if inspect.isclass(value) else value)
    raised = [each.exc for each in ast.walk(tree) if isinstance(each, ast.Raise)] if tree else []
    named = {
        each.func.id
        for each in raised
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    }
    return sorted(each for each in named if each not in text)


def _says_result(value: Any, text: str) -> bool:
    tree = None if inspect.isclass(value) else _tree(value)
    if tree is None or tree.returns is None:
        return True
    return ast.unparse(tree.returns) in NOTHING | AS_IT_WAS or bool(WRITTEN.search(text))


def _tree(function: Any) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        found = ast.parse(dedent(inspect.getsource(function))).body[0]
    except (TypeError, OSError):  # nothing, or what msgspec and dataclasses made
        return None
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None

"""Workflows that are data, what comes of them, and the official SDK's worker that runs them.

A script is a list of steps, each a list with a name; see `made` for all of them.
"""

import random
import signal
import sys
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, RetryPolicy, WorkflowRuntime, when_all

Step = list[Any]
Script = list[Step]
FAILED = "failed"
ATTEMPTS = 3
SOON = timedelta(milliseconds=10)
POLICY = RetryPolicy(first_retry_interval=SOON, max_number_of_attempts=ATTEMPTS)
TRIED = Counter[str]()


def made(chance: random.Random, depth: int = 0) -> Script:
    """Return a random script; children are no deeper than two."""
    return [_step(chance, depth) for _ in range(chance.randrange(1, 6))]


def _step(chance: random.Random, depth: int) -> Step:
    name = chance.choice(("status", "again", "raise", "all", "fire", *["one"] * 6))
    if name == "status":
        return [name, f"status {chance.randrange(100)}"]
    if name == "again" and depth == 0:
        return [name, chance.random() < 0.5]
    if name == "raise":
        return [name]
    if name == "all":
        return [name, [_single(chance, depth) for _ in range(chance.randrange(1, 5))]]
    if name == "fire":
        return [name, _single(chance, depth)]
    return _single(chance, depth)


def _single(chance: random.Random, depth: int) -> Step:
    names = ("echo", "echo", "fail", "unknown", "retry", "timer", "no child")
    name = chance.choice((*names, "child", "child again") if depth < 2 else names)
    if name == "retry":
        return [name, f"{chance.getrandbits(64):x}", chance.randrange(1, 6)]
    if name in {"child", "child again"}:
        return [name, made(chance, depth + 1)]
    return [name, chance.randrange(100)]


def outcome(script: Script) -> tuple[Any, str | None]:
    """Return what a script gives, or that it failed, and the custom status it ends with."""
    results: list[Any] = []
    status: str | None = None
    for step in script:
        match step:
            case ["status", text]:
                status = text
            case ["again", _]:
                results, status = [], None
            case ["raise"]:
                return FAILED, status
            case ["all", steps]:
                all_of_them = [_of(each) for each in steps]
                results.append(FAILED if FAILED in all_of_them else all_of_them)
            case ["fire", _]:
                results.append("fired")
            case _:
                results.append(_of(step))
    return results, status


def _of(step: Step) -> Any:
    match step:
        case ["echo", value]:
            return value
        case ["retry", _, count]:
            return count if count <= ATTEMPTS else FAILED
        case ["timer", _]:
            return None
        case ["child" | "child again", script]:
            return outcome(script)[0]
    return FAILED


def run_script(context: DaprWorkflowContext, script: Script) -> Generator[Any, Any, Any]:
    """Do the steps of a script, one after the other."""
    results: list[Any] = []
    for number, step in enumerate(script):
        match step:
            case ["status", text]:
                context.set_custom_status(text)
                continue
            case ["again", keep]:
                context.continue_as_new(script[number + 1 :], save_events=keep)
                return None
            case ["raise"]:
                raise ValueError("as the script says")
            case ["fire", single]:
                _begin(context, single)
                results.append("fired")
                continue
        try:
            all_of_them = step[0] == "all"
            task = (
                when_all([_begin(context, each) for each in step[1]])
                if all_of_them
                else _begin(context, step)
            )
            results.append((yield task))
        except Exception:  # noqa: BLE001 - whatever the SDK makes of it
            results.append(FAILED)
    return results


def _begin(context: DaprWorkflowContext, step: Step) -> Any:
    match step:
        case ["retry", key, count]:
            return context.call_activity(retry, input=[key, count], retry_policy=POLICY)
        case ["timer", milliseconds]:
            return context.create_timer(timedelta(milliseconds=milliseconds // 10))
        case ["child", script]:
            return context.call_child_workflow(run_script, input=script)
        case ["child again", script]:
            return context.call_child_workflow(run_script, input=script, retry_policy=POLICY)
        case ["no child", value]:
            return context.call_child_workflow("nowhere", input=value)
        case [name, value]:
            return context.call_activity(name, input=value)
    raise AssertionError(step)


def echo(_context: Any, value: Any) -> Any:
    """Return what came."""
    return value


def fail(_context: Any, value: Any) -> None:
    """Raise."""
    raise ValueError(f"not {value}")


def retry(_context: Any, given: list[Any]) -> int:
    """Succeed when tried often enough."""
    key, count = given
    TRIED[key] += 1
    if TRIED[key] < count:
        raise ValueError(f"tried {TRIED[key]} times")
    return TRIED[key]


def main() -> None:
    """Work until ended."""
    worker = WorkflowRuntime()
    worker.register_workflow(run_script)
    for activity in (echo, fail, retry):
        worker.register_activity(activity)
    worker.start()  # type: ignore[no-untyped-call]
    sys.stdout.write("works\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    worker.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()

"""The commands by name, each with its summary: help and completion need no more of them.

The command called ``name`` is in the module of that name, there called so as well, or ``command``
where the name is one of Python's own. Its summary is the first line of its docstring.
"""

from collections.abc import Mapping, Sequence

VARIABLE = "_DAPRFLOW_COMPLETE"
LINES = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")
"""Variables in which the shells hand over the command line: zsh and fish, bash."""

COMMANDS: Mapping[str, str] = {
    "new": "Make a project that runs and passes its tests: an app, tests, settings for tools.",
    "run": "Run an app with a sidecar: daprflow run TARGET, or -- COMMAND; with -f, several.",
    "sidecar": "Run the embedded sidecar alone, for an app in any language that runs already or "
    "later.",
    "serve": "Serve an app beside a runtime that others manage, as on Kubernetes.",
    "check": "Freeze an app and send it every request a sidecar would; exit with 1 on any problem.",
    "routes": "Print the handlers of an app and the paths a sidecar calls them on.",
    "manifests": "Write what apps need on Kubernetes, Compose and elsewhere, from their code.",
    "publish": "Publish one event through the sidecar of the service that runs here.",
    "invoke": "Invoke a method of an app through the sidecar that runs here; print the answer.",
    "state": "Get, set, delete and list the keys of a state store.",
    "actor": "Call actors, read their state, look after their reminders and timers.",
    "job": "Schedule, show, delete and list the jobs of the service that runs here.",
    "secret": "List the names of a store's secrets; print a value only when asked for one.",
    "workflow": "Start, look at and manage the workflows of the service that runs here.",
    "config": "Set, get, delete, list or watch items of the configuration stores that run here.",
    "list": "List the apps that run with this folder's data, or with --all all of yours.",
    "stop": "Stop apps with their sidecars, as Ctrl-C does.",
    "logs": "Show the last lines of an app's log files, here or wherever it runs.",
    "status": "Ask apps, their sidecars and components how they are.",
    "shim": "Write a program called 'dapr' that hands over to daprflow, for tools that start it.",
}


def words_of(env: Mapping[str, str]) -> Sequence[str] | None:
    """Return the words of a command line that is being completed; None where none is."""
    if VARIABLE not in env:
        return None
    line = next((env[name] for name in LINES if env.get(name)), "")
    return line.split()[1:]

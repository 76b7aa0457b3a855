"""Does what runs an app know it as its code has it: its id, its port, its protocol, its paths?"""

from collections.abc import Iterator

from daprflow.manifests.compare_model import Code, Deployed, Workload
from daprflow.manifests.compare_problem import Problem, listed, nearest, problem


def app_problems(code: Code, deployed: Deployed) -> Iterator[Problem]:
    """Find differences between the app and what runs it; says nothing where nothing runs."""
    if not deployed.workloads:
        return
    own = [each for each in deployed.workloads if each.app_id == code.app_id]
    if not own:
        yield _no_workload(code, deployed)
    for workload in own:
        yield from _port(code, workload)
        yield from _protocol(workload)
        yield from _health(code, workload)
        yield from _probes(code, workload)


def _no_workload(code: Code, deployed: Deployed) -> Problem:
    if len(deployed.workloads) == 1 and (only := deployed.workloads[0]).app_id:
        return problem(
            "app-id",
            only.place_of("app-id"),
            f"{only.title} has app id '{only.app_id}', but the code's is '{code.app_id}'",
            "let them agree: other apps, state and actors go by it",
        )
    ids = deployed.app_ids()
    return problem(
        "app-id",
        deployed.place,
        f"nothing here has app id '{code.app_id}'{nearest(code.app_id, ids)} (there is "
        f"{listed(ids)})",
        "correct the id, or name the folder that holds the app's manifests",
    )


def _port(code: Code, workload: Workload) -> Iterator[Problem]:
    given = workload.value("app-port")
    where = workload.place_of("app-port")
    ports = [each.value for each in workload.listens] or [str(code.port)]
    if not given and code.facts.handlers and workload.cluster:
        yield problem(
            "app-port",
            workload.place,
            f"{workload.title} names no app port, so its sidecar never calls the app",
            f'set dapr.io/app-port to "{ports[0]}"',
        )
    elif given and given not in ports:
        said = workload.listens[0].place if workload.listens else "by default"
        yield problem(
            "app-port",
            where,
            f"{workload.title} has app port {given}, but the app listens on "
            f"{' and '.join(ports)} ({said})",
            "let them agree",
        )


def _protocol(workload: Workload) -> Iterator[Problem]:
    given = workload.value("app-protocol", "http")
    wanted = "https" if workload.tls else "http"
    if given != wanted:
        yield problem(
            "app-protocol",
            workload.place_of("app-protocol"),
            f"{workload.title} has app protocol '{given}', but the app is served over {wanted}",
            f"write '{wanted}'",
        )


def _health(code: Code, workload: Workload) -> Iterator[Problem]:
    path = "/" + workload.value("app-health-check-path", "/healthz").lstrip("/")
    if "app-health-check-path" not in workload.settings or code.hosted:
        return
    if path.partition("?")[0] not in code.gets:
        yield problem(
            "health-path",
            workload.place_of("app-health-check-path"),
            f"the sidecar asks for the app's health at '{path}', which the app does not answer",
            f"name one of {listed(sorted(code.gets))}",
        )


def _probes(code: Code, workload: Workload) -> Iterator[Problem]:
    ports = [each.value for each in workload.listens] or [str(code.port)]
    for probe in workload.probes:
        if probe.port not in ports:
            yield problem(
                "probe-port",
                probe.place,
                f"a probe of {workload.title} asks port {probe.port}, but the app listens on "
                f"{' and '.join(ports)}",
                "let them agree",
            )
        if probe.path not in code.gets and not code.hosted:
            yield problem(
                "probe-path",
                probe.place,
                f"a probe of {workload.title} asks for '{probe.path}', which the app does not "
                "answer: it would be restarted for ever, or never be ready",
                f"name one of {listed(sorted(code.gets))}",
            )

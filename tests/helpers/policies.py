"""Resiliency files for tests."""

import dataclasses
from pathlib import Path

from daprflow.sidecar.resources import Resources, load_resources
from tests.helpers.sidecar import Components, resources

HEAD = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: res}\n"

CALL_POLICIES = """
  policies:
    retries:
      again: {policy: constant, duration: 1s, maxRetries: 3}
    circuitBreakers:
      one: {maxRequests: 1, timeout: 30s, trip: consecutiveFailures > 1}
  targets:
    apps:
      other: {retry: again}
      fragile: {circuitBreaker: one, circuitBreakerScope: id}
"""
"""Calls of 'other' are made again, those of 'fragile' stand behind a breaker."""


def policy_files(folder: Path, *specs: str, app_id: str = "app1") -> Resources:
    """Write a Resiliency file for each spec, the YAML below ``spec:``, and read them."""
    folder.mkdir(exist_ok=True)
    for number, spec in enumerate(specs):
        text = spec.strip("\n")
        (folder / f"policy-{number}.yaml").write_text(f"{HEAD}spec:\n{text}\n", encoding="utf-8")
    return load_resources([folder], app_id)


def with_policies(folder: Path, components: Components, spec: str) -> Resources:
    """Return ``components`` and a Resiliency file with ``spec``, which must be free of mistakes."""
    found = policy_files(folder, spec)
    assert found.problems == found.left_out == ()
    return dataclasses.replace(found, components=resources(components).components)

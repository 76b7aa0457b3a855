"""``daprflow check --manifests DIR``: what is deployed against what the code says."""

from daprflow.manifests.compare_annotations import annotation_problems
from daprflow.manifests.compare_app import app_problems
from daprflow.manifests.compare_components import component_problems
from daprflow.manifests.compare_configuration import configuration_problems
from daprflow.manifests.compare_model import Code, Deployed
from daprflow.manifests.compare_problem import Problem
from daprflow.manifests.compare_resiliency import resiliency_problems
from daprflow.manifests.compare_secrets import secret_problems
from daprflow.manifests.compare_topics import topic_problems


def compare(code: Code, deployed: Deployed) -> tuple[Problem, ...]:
    """Return every difference and every mistake, in the order of files and lines."""
    found = {
        *deployed.problems,
        *annotation_problems(deployed),
        *secret_problems(deployed),
        *app_problems(code, deployed),
        *topic_problems(code, deployed),
        *component_problems(code, deployed),
        *configuration_problems(code, deployed),
        *resiliency_problems(code, deployed),
    }
    return tuple(sorted(found))

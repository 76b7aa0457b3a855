import pytest

from tests.golden.regenerate import GOLDEN, Golden, kept, made
from tests.helpers.manifest_checks import check, trees

_FOR_CLUSTERS = {"kubernetes", "components"}
_NAMES = [each.name for each in GOLDEN]


@pytest.mark.parametrize("golden", GOLDEN, ids=_NAMES)
def test_examples_give_the_golden_files(golden: Golden) -> None:
    """The files of examples are those that are kept; ``python -m tests.golden.regenerate``."""
    assert made(golden) == kept(golden)


@pytest.mark.parametrize("name", [g.name for g in GOLDEN if g.target in _FOR_CLUSTERS])
def test_a_cluster_takes_the_golden_files(name: str) -> None:
    """Every document is what Dapr's and Kubernetes' own schemas allow, and nothing besides."""
    (golden,) = (each for each in GOLDEN if each.name == name)
    found = list(trees(kept(golden).values()))
    assert found
    for tree in found:
        check(tree)

import pytest

from daprflow.manifests.carving import Hole, carved, put, taken


@pytest.mark.parametrize(
    ("hole", "expected"),
    [
        (Hole("toJson $app.port"), "a:\n  b: {{ toJson $app.port }}\n"),
        (
            Hole("$x", when="$on"),
            "a:\n  {{- if $on }}\n  b: {{ $x }}\n  {{- end }}\n",
        ),
        (
            Hole("$x", "block"),
            "a:\n  {{- with $x }}\n  b:\n    {{- toYaml . | nindent 4 }}\n  {{- end }}\n",
        ),
        (
            Hole("$x", "block", when="$on"),
            "a:\n  {{- if $on }}\n  b:\n    {{- toYaml $x | nindent 4 }}\n  {{- end }}\n",
        ),
        (Hole('include "f" $x', "lines"), 'a:\n  b:\n    {{- include "f" $x | nindent 4 }}\n'),
    ],
)
def test_a_hole_is_what_helm_fills_in(hole: Hole, expected: str) -> None:
    """As far to the right as the value that it stands for."""
    assert carved({"a": {"b": hole}}) == expected


def test_holes_inside_of_lists_stand_where_they_belong() -> None:
    """The first member of an entry follows its dash, and the others are below it."""
    tree = {"ports": [{"port": Hole("$p"), "name": "http"}, {"name": "x", "port": Hole("$q")}]}
    assert carved(tree) == (
        "ports:\n  - port: {{ $p }}\n    name: http\n  - name: x\n    port: {{ $q }}\n"
    )


def test_braces_of_a_document_mean_nothing_to_helm() -> None:
    """A text that looks like a template is rendered as the text that it is."""
    assert carved({"a": "{{ .Values.x }}"}) == 'a: "{{ "{{" }} .Values.x }}"\n'


def test_a_value_is_put_anywhere_and_found_again() -> None:
    """Mappings on the way are made; what was there before is left as it was."""
    tree = {"a": [{"b": 1}, {"b": 2}]}
    path = ("a", 1, "c", "d")
    changed = put(tree, path, 3)
    assert taken(changed, path) == 3
    assert changed == {"a": [{"b": 1}, {"b": 2, "c": {"d": 3}}]}
    assert tree == {"a": [{"b": 1}, {"b": 2}]}
    assert taken(tree, path, "none") == "none"

from dataclasses import replace

import msgspec
import pytest
import yaml

from daprflow.launcher.exits import LaunchError
from daprflow.manifests import components, kubernetes
from daprflow.manifests.model import File, Model
from daprflow.manifests.write import rendered
from daprflow.protocol.documents import Routes, Rule, Subscription
from daprflow.protocol.subscription_resource import SubscriptionResource
from tests.helpers.manifest_models import app, component, model, settings

HOSTILE = (
    "x\n---\nkind: Secret", "../../etc/passwd", "a/b", "a\x00b", 'a"b', "a: b", "{{ .Values.x }}",
    "${HOME}", "a #b", "\u202eabc", "A", ".", "..", "-a", "a-", "", " ", "a" * 300,
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_no_object_can_have_is_refused(name: str) -> None:
    """A component's name leads neither out of the folder nor out of its document."""
    whole = model(app(), components=(component(name, "state.redis"),))
    for target in (components, kubernetes):
        with pytest.raises(LaunchError, match=r"here:1: component .* cannot be the name"):
            target.files(whole)


@pytest.mark.parametrize("name", [*HOSTILE, "1a", "a.b", "a_b", "a" * 59])
def test_an_app_id_that_no_service_can_have_is_refused(name: str) -> None:
    """An app's id becomes the name of its objects and of its sidecar's Service."""
    with pytest.raises(LaunchError, match="app id"):
        kubernetes.files(model(app(name)))


@pytest.mark.parametrize("scope", ["x\nkind: Secret", "a; digest 0123456789abcdef.", "a, b", ""])
def test_a_scope_gets_nowhere_but_into_its_list(scope: str) -> None:
    """A scope of a file is no app id where it would end the comment that names the apps."""
    given = msgspec.structs.replace(component("store", "state.redis"), scopes=(scope,))
    with pytest.raises(LaunchError, match=r"scope .* is no app id"):
        components.files(model(app(), components=(given,)))
    if "\n" in scope or ";" in scope:
        with pytest.raises(LaunchError, match="no app ids"):
            rendered(File("x.yaml", "a: 1\n", (scope,)), "kubernetes")


@pytest.mark.parametrize(
    "wrong", [{"namespace": "a\nb"}, {"namespace": "A"}, {"variables": {"A B": "x"}}]
)
def test_other_names_of_the_settings_are_refused(wrong: dict[str, object]) -> None:
    """A namespace and a variable have names that a cluster takes."""
    with pytest.raises(LaunchError, match=r"namespace|variable"):
        kubernetes.files(model(app(given=settings(**wrong))))


TEXT = 'x"\n---\nkind: Secret\n# {{ .Values.y }} ${HOME} \u2028'


def documents_of(whole: Model) -> list[object]:
    """Return every document that is made."""
    return [tree for file in kubernetes.files(whole) for tree in yaml.safe_load_all(file.text)]


def test_texts_stay_texts() -> None:
    """Values, topics, rules, variables and annotations add no document and no field."""
    own = app(
        given=settings(
            variables={"GREETING": TEXT},
            annotations={"example.org/note": TEXT},
            labels={"note": TEXT},
            image=TEXT,
            sidecar={"app_token_secret": TEXT},
        )
    )
    routes = Routes((Rule(TEXT, TEXT),), TEXT)
    subscription = SubscriptionResource("s", Subscription("p", TEXT, routes=routes), ("shop",))
    hostile = model(own, components=(component("store", "state.redis", note=TEXT),))
    hostile = replace(hostile, subscriptions=(subscription,))
    plain = replace(
        model(
            app(given=settings(sidecar={"app_token_secret": "x"})), components=hostile.components
        ),
        subscriptions=hostile.subscriptions,
    )
    assert len(documents_of(hostile)) == len(documents_of(plain))
    kinds = [tree["kind"] for tree in documents_of(hostile) if isinstance(tree, dict)]
    assert "Secret" not in kinds
    (deployment,) = (
        tree
        for tree in documents_of(hostile)
        if isinstance(tree, dict) and tree["kind"] == "Deployment"
    )
    pod = deployment["spec"]["template"]
    assert pod["spec"]["containers"][0]["image"] == TEXT
    assert pod["metadata"]["annotations"]["example.org/note"] == TEXT


def test_topics_of_any_name_have_documents_of_their_own() -> None:
    """Names that are alike once they are made fit for a cluster stay apart."""
    own = app(
        "shop", "p/a.b", "p/a_b", "p/a-b", "P/a-b", given=settings(subscriptions="declarative")
    )
    names = [
        tree["metadata"]["name"]
        for tree in documents_of(model(own))
        if isinstance(tree, dict) and tree["kind"] == "Subscription"
    ]
    assert len(set(names)) == 4
    assert "shop-p-a-b" in names

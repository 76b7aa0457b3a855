import os
from pathlib import Path

import pytest

from daprflow.launcher.exits import LaunchError
from daprflow.manifests.model import Comment, File
from daprflow.manifests.write import (
    Change,
    diff,
    origin_of,
    plan,
    refuse_edited,
    rendered,
    write,
)

ONE = File("apps/one.yaml", "a: 1\n", ("shop",))
TWO = File("two.yaml", "b: 2\n", ("shop",))


def put(folder: Path, *files: File, target: str = "kubernetes") -> None:
    """Have a folder generated."""
    write(folder, plan(folder, files, target))


def changes(folder: Path, *files: File, prune: bool = False) -> dict[str, Change]:
    """Return what would become of each file."""
    return {each.path: each.change for each in plan(folder, files, "kubernetes", prune=prune)}


def test_a_second_time_nothing_changes(tmp_path: Path) -> None:
    """What was generated is found as it is, and the difference is empty."""
    put(tmp_path / "new", ONE, TWO)
    steps = plan(tmp_path / "new", (ONE, TWO), "kubernetes")
    assert {step.change for step in steps} == {Change.SAME}
    assert list(diff(steps)) == []


def test_what_was_generated_is_updated_and_removed(tmp_path: Path) -> None:
    """An unedited file follows the code, and one that nothing needs goes, with its empty folder."""
    put(tmp_path, ONE, TWO)
    changed = File("two.yaml", "b: 3\n", ("shop",))
    steps = plan(tmp_path, (changed,), "kubernetes")
    assert [(step.path, step.change) for step in steps] == [
        ("apps/one.yaml", Change.REMOVE),
        ("two.yaml", Change.UPDATE),
    ]
    assert {"-b: 2", "+b: 3", "-a: 1"} <= set(diff(steps))
    write(tmp_path, steps)
    assert not (tmp_path / "apps").exists()
    assert (tmp_path / "two.yaml").read_text().endswith("\nb: 3\n")


def test_an_edited_file_is_refused_by_name_or_kept(tmp_path: Path) -> None:
    """Nothing is written where a file was edited; with ``keep`` all but that file are."""
    put(tmp_path, ONE, TWO)
    file = tmp_path / "two.yaml"
    file.write_text(file.read_text().replace("b: 2", "b: 20"))
    changed = (File("apps/one.yaml", "a: 9\n", ("shop",)), File("two.yaml", "b: 3\n", ("shop",)))
    steps = plan(tmp_path, changed, "kubernetes")
    with pytest.raises(LaunchError, match=r"'.*two\.yaml' was edited by hand.*--diff.*--keep"):
        refuse_edited(tmp_path, steps, keep=False)
    refuse_edited(tmp_path, steps, keep=True)
    write(tmp_path, steps)
    assert (tmp_path / "apps/one.yaml").read_text().endswith("a: 9\n")
    assert file.read_text().endswith("b: 20\n")


@pytest.mark.parametrize("edit", ["", "# mine\n", "a: 1\n"])
def test_an_edited_file_that_nothing_needs_stays(tmp_path: Path, edit: str) -> None:
    """A file without use any more is not removed once somebody changed it."""
    put(tmp_path, ONE, TWO)
    file = tmp_path / "two.yaml"
    text = file.read_text()
    file.write_text(text + edit if edit else text.replace("b: 2", "c: 2"))
    assert changes(tmp_path, ONE)["two.yaml"] is Change.EDITED


def test_an_edited_header_counts_as_an_edit(tmp_path: Path) -> None:
    """Who takes the second line of the header away has edited the file."""
    put(tmp_path, TWO)
    file = tmp_path / "two.yaml"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[::2]))
    assert changes(tmp_path, File("two.yaml", "b: 3\n", ("shop",))) == {"two.yaml": Change.EDITED}


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    """A file without our header is not touched; where it is in the way, it is refused by name."""
    (tmp_path / "notes.yaml").write_text("mine: 1\n")
    (tmp_path / "two.yaml").write_bytes(b"\xff\xfe")
    steps = plan(tmp_path, (ONE, TWO), "kubernetes")
    assert {step.path: step.change for step in steps} == {
        "apps/one.yaml": Change.CREATE,
        "two.yaml": Change.FOREIGN,
    }
    for keep in (False, True):
        with pytest.raises(LaunchError, match=r"two\.yaml' was not generated"):
            refuse_edited(tmp_path, steps, keep=keep)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A link that was planted in the folder leads no file out of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "deploy"
    folder.mkdir()
    (folder / "apps").symlink_to(outside)
    (outside / "two.yaml").write_text("precious\n")
    (folder / "two.yaml").symlink_to(outside / "two.yaml")
    assert changes(folder, ONE, TWO) == {
        "apps/one.yaml": Change.FOREIGN,
        "two.yaml": Change.FOREIGN,
    }
    assert (outside / "two.yaml").read_text() == "precious\n"


def test_line_ends_of_another_system_are_no_edit(tmp_path: Path) -> None:
    """A checkout that turned the line ends leaves a file as it was generated."""
    put(tmp_path, TWO)
    file = tmp_path / "two.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert changes(tmp_path, TWO) == {"two.yaml": Change.SAME}


def test_files_of_another_target_stay(tmp_path: Path) -> None:
    """Two targets may share a folder."""
    put(tmp_path, ONE, target="helm")
    put(tmp_path, TWO)
    assert (tmp_path / "apps/one.yaml").exists()


def test_files_of_another_app_are_not_taken_away(tmp_path: Path) -> None:
    """A folder of two apps is not made the folder of one of them, unless that is asked for."""
    other = File("other.yaml", "c: 3\n", ("billing",))
    shared = File("shared.yaml", "d: 4\n", ("billing", "shop"))
    put(tmp_path, ONE, other, shared)
    with pytest.raises(LaunchError, match=r"'billing', which is not among these.*--prune"):
        plan(tmp_path, (ONE,), "kubernetes")
    assert changes(tmp_path, ONE, prune=True) == {
        "apps/one.yaml": Change.SAME,
        "other.yaml": Change.REMOVE,
        "shared.yaml": Change.REMOVE,
    }


def test_what_two_apps_share_is_not_narrowed_to_one(tmp_path: Path) -> None:
    """A file that another app needs as well is not written for one of them alone."""
    put(tmp_path, File("shared.yaml", "scopes: [billing, shop]\n", ("billing", "shop")))
    with pytest.raises(LaunchError, match="'billing', which is not among these"):
        plan(tmp_path, (File("shared.yaml", "scopes: [shop]\n", ("shop",)),), "kubernetes")


@pytest.mark.parametrize("path", ["../x.yaml", "/etc/x", "a/../../x", "", "a\nb", "a\\b"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    """No name leads a file out of the folder."""
    with pytest.raises(LaunchError, match="no path inside a folder"):
        plan(tmp_path, (File(path, "a: 1\n"),), "kubernetes")


@pytest.mark.parametrize(
    ("comment", "text", "begins"),
    [
        (Comment.HASH, "a: 1\n", "# Generated by daprflow"),
        (Comment.HELM, "a: {{ .x }}\n", "{{- /*\nGenerated by daprflow"),
        (Comment.JSON, '{\n  "a": 1\n}\n', '{\n  "$comment": "Generated by daprflow'),
    ],
)
def test_every_kind_of_file_says_what_it_is(comment: Comment, text: str, begins: str) -> None:
    """Each kind of comment is found again, with target, apps and the text it is about."""
    whole = rendered(File("x", text, ("a", "b"), comment), "helm")
    origin = origin_of(whole)
    assert whole.startswith(begins)
    assert origin is not None
    assert (origin.target, origin.apps, origin.body) == ("helm", ("a", "b"), text)
    assert not origin.edited


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    """The output must be a folder."""
    (tmp_path / "x").write_text("")
    with pytest.raises(LaunchError, match="is no folder"):
        plan(tmp_path / "x", (ONE,), "kubernetes")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where no file can be made, one line says which."""
    tmp_path.chmod(0o500)
    with pytest.raises(LaunchError, match="cannot write"):
        put(tmp_path, ONE)

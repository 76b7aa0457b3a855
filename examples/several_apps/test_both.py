"""A template that both programs read."""

from pathlib import Path

from daprflow.launcher.options import RunOptions, SidecarOptions
from daprflow.launcher.run_file import parse_template
from daprflow.launcher.run_file_apps import plan_fleet

HERE = Path(__file__).parent


def test_daprflow_takes_the_target_and_not_the_command(tmp_path: Path) -> None:
    """The official program is given the command, this one serves the app itself."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "app.py").touch()
    text = (HERE / "both.yaml").read_text(encoding="utf-8")
    template = parse_template(text, tmp_path / "dapr.yaml", tmp_path)
    options = RunOptions(base=tmp_path, sidecar=SidecarOptions())
    (shop,) = plan_fleet(template, options, {"HOME": str(tmp_path)}).apps
    assert shop.app_id == "shop"
    assert not shop.options.command
    assert shop.options.target is not None

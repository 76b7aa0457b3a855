"""What the flags of ``dapr run`` mean for a run of ours."""

from pathlib import Path

import pytest

from daprflow.cli.dapr.flags import FlagError, parse
from daprflow.cli.dapr.run import FLAGS, refuse_what_is_missing, run_options
from daprflow.launcher.folder import DataFolder, RunningApp, record
from daprflow.launcher.options import RunOptions

HOME = {"HOME": "/nowhere"}


def options_of(folder: Path, *words: str) -> RunOptions:
    """What a command line asks for, in the working folder ``folder``."""
    return run_options(parse(words, FLAGS, "run"), folder / "data", folder, HOME)


def test_every_flag_reaches_the_sidecar(tmp_path: Path) -> None:
    """Each flag that has an effect sets the option of its name."""
    words = (
        *("-a", "shop", "-p", "80", "-P", "GRPC", "-H", "3600", "-G", "50100", "-M", "9200"),
        *("--app-channel-address", "::1", "--app-max-concurrency", "7", "-c", "config.yaml"),
        *("--resources-path", str(tmp_path), "--log-level", "panic", "--max-body-size", "1Mi"),
        *("--read-buffer-size", "8Ki", "--enable-app-health-check", "--app-health-check-path"),
        *("/up", "--app-health-probe-interval", "9", "--app-health-probe-timeout", "300"),
        *("--app-health-threshold", "2"),
    )
    sidecar = options_of(tmp_path, *words).sidecar
    assert (sidecar.app_id, sidecar.app_port, sidecar.app_protocol) == ("shop", 80, "grpc")
    assert (sidecar.dapr_http_port, sidecar.dapr_grpc_port, sidecar.metrics_port) == (
        3600,
        50100,
        9200,
    )
    assert (sidecar.app_channel_address, sidecar.app_max_concurrency) == ("::1", 7)
    assert (sidecar.config, sidecar.resources_path) == ((Path("config.yaml"),), (tmp_path,))
    assert (sidecar.log_level, sidecar.max_body_size, sidecar.read_buffer_size) == (
        "fatal",
        1024 * 1024,
        8192,
    )
    assert sidecar.enable_app_health_check
    assert sidecar.app_health_check_path == "/up"
    assert (
        sidecar.app_health_probe_interval,
        sidecar.app_health_probe_timeout,
        sidecar.app_health_threshold,
    ) == (9, 300, 2)


def test_sizes_may_be_given_as_they_were_before(tmp_path: Path) -> None:
    """Tools still write sizes in the flags of older releases, in MiB and KiB."""
    words = ("--dapr-http-max-request-size", "8", "--dapr-http-read-buffer-size=16")
    sidecar = options_of(tmp_path, *words).sidecar
    assert (sidecar.max_body_size, sidecar.read_buffer_size) == (8 * 1024 * 1024, 16 * 1024)


def test_zeros_are_the_defaults(tmp_path: Path) -> None:
    """Zero and -1, which the official program has as defaults, leave ours alone."""
    words = ("--app-health-probe-interval=0", "--app-health-threshold", "0", "-H=-1", "-p", "0")
    sidecar = options_of(tmp_path, *words).sidecar
    assert (sidecar.app_health_probe_interval, sidecar.app_health_threshold) == (5, 3)
    assert (sidecar.dapr_http_port, sidecar.app_port) == (None, None)


def test_a_command_stands_behind_two_dashes_or_behind_the_flags(tmp_path: Path) -> None:
    """Both ways of writing the command are the same, and there may be none."""
    assert options_of(tmp_path, "-a", "x", "--", "node", "-p", "1").command == ("node", "-p", "1")
    assert options_of(tmp_path, "-a", "x", "node", "app.js").command == ("node", "app.js")
    assert options_of(tmp_path, "-a", "x").command == ()


def test_tls_of_the_app_is_its_protocol(tmp_path: Path) -> None:
    """The old ``--app-ssl`` makes http https and grpc grpcs."""
    assert options_of(tmp_path, "--app-ssl").sidecar.app_protocol == "https"
    assert options_of(tmp_path, "--app-ssl", "-P", "grpc").sidecar.app_protocol == "grpcs"


def test_resources_that_are_not_named_lie_where_dapr_is_installed(tmp_path: Path) -> None:
    """Without a folder of resources, that of the installation counts, not the working folder."""
    assert options_of(tmp_path).resource_home == Path("/nowhere/.dapr")
    named = options_of(tmp_path, "--runtime-path", "/elsewhere")
    assert named.resource_home == Path("/elsewhere/.dapr")


def test_an_app_without_an_id_is_called_like_its_folder(tmp_path: Path) -> None:
    """An id that runs already gets a number, so that a second one can start."""
    folder = tmp_path / "Order Service"
    data = DataFolder(folder / "data")
    data.prepare()
    assert options_of(folder).sidecar.app_id == "order-service"
    data.publish(record(RunningApp("order-service", 1), RunningApp("order-service-2", 2)))
    assert options_of(folder).sidecar.app_id == "order-service-3"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("-k",), "'-k' goes with '--run-file' only"),
        (("-u", "/run"), "no Unix domain sockets"),
        (("--dapr-listen-addresses", "0.0.0.0"), "listens on 127.0.0.1 only"),
    ],
)
def test_what_is_missing_is_refused(words: tuple[str, ...], problem: str) -> None:
    """A flag that would need something that is not there is no surprise later."""
    with pytest.raises(FlagError) as caught:
        refuse_what_is_missing(parse(words, FLAGS, "run"))
    assert problem in str(caught.value)


def test_loopback_addresses_are_what_there_is_anyway() -> None:
    """To listen on loopback is no special wish."""
    refuse_what_is_missing(parse(("--dapr-listen-addresses", "127.0.0.1,[::1]"), FLAGS, "run"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--resources-path", "/no/such"), "--resources-path '/no/such' is no folder"),
        (("--log-level", "loud"), "--log-level 'loud' is none of"),
        (("--max-body-size", "big"), "--max-body-size 'big' is no size"),
        (("--app-health-probe-timeout", "9000"), "is longer than"),
    ],
)
def test_values_that_cannot_be_used_are_refused(
    tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    """A value is checked before anything is started."""
    with pytest.raises(FlagError) as caught:
        options_of(tmp_path, *words)
    assert problem in str(caught.value)

"""Settings of the app side."""

import subprocess
import sys

import pytest

from daprflow.errors import DaprFlowError
from daprflow.settings import Settings, SettingsError


def test_defaults_are_those_of_daprs_own_sdks() -> None:
    """An empty environment means loopback, port 3500, no tokens and 60 seconds."""
    settings = Settings.from_env({})

    assert settings == Settings()
    assert settings.http_endpoint == "http://127.0.0.1:3500"
    assert (settings.health_timeout, settings.http_timeout) == (60.0, 60.0)
    assert (settings.api_token, settings.app_api_token, settings.app_id) == ("", "", "")


def test_host_and_port_make_the_endpoint() -> None:
    """DAPR_RUNTIME_HOST and DAPR_HTTP_PORT say where the sidecar is."""
    settings = Settings.from_env({"DAPR_RUNTIME_HOST": "sidecar", "DAPR_HTTP_PORT": "3601"})

    assert settings.http_endpoint == "http://sidecar:3601"
    assert not settings.loopback


@pytest.mark.row("FS-34")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_host_gets_its_brackets(host: str) -> None:
    """An IPv6 address works with and without brackets."""
    settings = Settings.from_env({"DAPR_RUNTIME_HOST": host})

    assert settings.http_endpoint == "http://[::1]:3500"
    assert settings.loopback


@pytest.mark.row("FS-34")
@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("LOCALHOST", True), ("10.0.0.1", False)],
)
def test_a_loopback_sidecar_is_known_as_one(host: str, loopback: bool) -> None:  # noqa: FBT001 - pytest gives it
    """A proxy never stands between an app and a sidecar on its own machine."""
    assert Settings.from_env({"DAPR_RUNTIME_HOST": host}).loopback is loopback


def test_the_endpoint_beats_host_and_port() -> None:
    """DAPR_HTTP_ENDPOINT overrides the other two and loses its trailing slash."""
    env = {"DAPR_HTTP_ENDPOINT": "https://dapr.example:443/", "DAPR_HTTP_PORT": "1"}

    assert Settings.from_env(env).http_endpoint == "https://dapr.example:443"


def test_everything_else_is_read() -> None:
    """Tokens, app id and timeouts come from their variables."""
    env = {
        "DAPR_API_TOKEN": "a",
        "APP_API_TOKEN": "b",
        "APP_ID": "shop",
        "DAPR_HEALTH_TIMEOUT": "0",
        "DAPR_HTTP_TIMEOUT_SECONDS": "2.5",
    }

    settings = Settings.from_env(env)

    assert (settings.api_token, settings.app_api_token, settings.app_id) == ("a", "b", "shop")
    assert (settings.health_timeout, settings.http_timeout) == (0.0, 2.5)


def test_the_limits_of_the_official_sdk_are_read() -> None:
    """Retries, deadlines and gRPC's address have its names and its meaning."""
    settings = Settings.from_env(
        {
            "DAPR_API_MAX_RETRIES": "-1",
            "DAPR_API_TIMEOUT_SECONDS": "1.5",
            "DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES": "8388608",
            "DAPR_RUNTIME_HOST": "::1",
            "DAPR_GRPC_PORT": "50002",
        }
    )

    assert (settings.max_attempts, settings.api_timeout) == (-1, 1.5)
    assert settings.grpc_max_message_size == 8 * 1024 * 1024
    assert settings.grpc_endpoint == "[::1]:50002"
    url = Settings.from_env({"DAPR_GRPC_ENDPOINT": "dapr.example:443?tls=true"})
    assert url.grpc_endpoint == "dapr.example:443?tls=true"


def test_an_empty_variable_counts_as_unset() -> None:
    """Manifests often set a variable to nothing; that is the default."""
    names = ("DAPR_HTTP_ENDPOINT", "DAPR_RUNTIME_HOST", "DAPR_HTTP_PORT", "DAPR_HEALTH_TIMEOUT")

    assert Settings.from_env(dict.fromkeys(names, "")) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DAPR_HTTP_PORT", "0"),
        ("DAPR_HTTP_PORT", "65536"),
        ("DAPR_HTTP_PORT", "-1"),
        ("DAPR_HTTP_PORT", "http"),
        ("DAPR_HTTP_PORT", "٣٥٠٠"),
        ("DAPR_HEALTH_TIMEOUT", "soon"),
        ("DAPR_HEALTH_TIMEOUT", "-1"),
        ("DAPR_HEALTH_TIMEOUT", "nan"),
        ("DAPR_HEALTH_TIMEOUT", "inf"),
        ("DAPR_HTTP_TIMEOUT_SECONDS", "0"),
        ("DAPR_API_TIMEOUT_SECONDS", "0"),
        ("DAPR_API_MAX_RETRIES", "-2"),
        ("DAPR_API_MAX_RETRIES", "1.5"),
        ("DAPR_GRPC_PORT", "0"),
        ("DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES", "-1"),
        ("DAPR_HTTP_ENDPOINT", "127.0.0.1:3500"),
        ("DAPR_HTTP_ENDPOINT", "ftp://127.0.0.1"),
        ("DAPR_HTTP_ENDPOINT", "http://:3500"),
        ("DAPR_HTTP_ENDPOINT", "http://h:port"),
        ("DAPR_HTTP_ENDPOINT", "http://h:0"),
        ("DAPR_HTTP_ENDPOINT", "http://h?tls=true"),
        ("DAPR_HTTP_ENDPOINT", "http://user:secret@h"),
        ("DAPR_RUNTIME_HOST", "http://h"),
        ("DAPR_RUNTIME_HOST", "h/path"),
        ("DAPR_RUNTIME_HOST", "[::1"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    """What cannot be used is refused with the variable's name and the value."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})

    assert f"'{name}'" in str(caught.value)
    assert isinstance(caught.value, DaprFlowError)


def test_tokens_do_not_show() -> None:
    """The repr of the settings, which ends up in logs, holds neither token."""
    settings = Settings(api_token="sidecar-token", app_api_token="app-token")

    assert "token" not in repr(settings)


def test_importing_reads_no_environment() -> None:
    """A nonsense variable does not disturb an import."""
    code = "import daprflow.settings, daprflow.client"
    subprocess.run([sys.executable, "-c", code], env={"DAPR_HTTP_PORT": "nonsense"}, check=True)

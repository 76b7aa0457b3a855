"""What middleware loads, and what it says where a package is missing."""

import subprocess
import sys


def run(code: str) -> str:
    """Run ``code`` in an interpreter of its own and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_the_middleware_loads_nothing_optional() -> None:
    """Neither the HTTP client nor PyJWT: only who validates or fetches tokens pays for them."""
    loaded = run("import sys, daprflow.middleware; print(*sys.modules, sep='\\n')").split()
    assert "daprflow.middleware.oidc" in loaded
    assert not {"aiohttp", "jwt", "cryptography", "structlog", "opentelemetry"} & set(loaded)


def test_a_missing_package_is_told_with_the_line_that_installs_it() -> None:
    """When the app freezes, with the place of the middleware."""
    found = run(
        "import sys\n"
        "sys.modules['jwt'] = None\n"
        "from starlette.middleware import Middleware\n"
        "from daprflow import AppDefinitionError, DaprFlow\n"
        "from daprflow.middleware import OidcBearer\n"
        "bearer = Middleware(OidcBearer, issuer='https://id.example', audience='shop')\n"
        "try:\n"
        "    DaprFlow('shop', middleware=[bearer]).freeze()\n"
        "except AppDefinitionError as error:\n"
        "    print(error)\n"
    )
    assert "middleware 'OidcBearer' (__main__:" in found
    assert "pip install 'daprflow[oidc]'" in found

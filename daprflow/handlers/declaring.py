"""What a router declares beside handlers: components, resiliency, who may invoke, configuration."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from daprflow.handlers.registration import Registration, Source, calling_source

if TYPE_CHECKING:
    from daprflow.components.access import Caller
    from daprflow.components.compiling import Compiled
    from daprflow.components.configuration import (
        ApiLogging,
        ApiRule,
        Metrics,
        Mtls,
        SecretScope,
        Tracing,
    )
    from daprflow.components.declarations import Declarations
    from daprflow.components.model import Options
    from daprflow.components.resiliency import Policy, Target

Env = str | tuple[str, ...] | None
"""For which environments something is declared; None for every one."""
Action = Literal["allow", "deny"]
M = TypeVar("M", bound="Options")


class Declaration(msgspec.Struct, frozen=True):
    """One declaration as it was written; looked at when the app freezes.

    Attributes:
        what: the method that took it.
        values: what that was given.
        env: for which environments.
        source: where it stands.
    """

    what: str
    values: Mapping[str, Any]
    env: Any
    source: Source


class ResourceDeclarations:
    """The part of a router that takes Dapr's resources as values."""

    _declarations: list[Declaration]

    def component(self, component: M, /, *, env: Env = None) -> M:
        """Declare a component: ``app.component(RedisState("statestore", redis_host="…"))``.

        It reaches the sidecar that ``daprflow run`` starts, a `TestSidecar`, and manifests. A
        resource file that has a component of that name goes before it.

        Args:
            component: a model of `daprflow.components`.
            env: the environments it is for, such as ``"prod"`` or ``("dev", "test")``; None for
                every one.

        Returns:
            the component, for ``component.name``.

        Example:
            ```python
            app.component(SqliteState("statestore", connection_string="shop.db"), env="dev")
            app.component(
                PostgresState("statestore", connection_string=secret("vault", "dsn")), env="prod"
            )
            ```
        """
        self._declare("component", {"component": component}, env)
        return component

    def resiliency(
        self,
        *targets: "Target",
        name: str = "",
        policies: "Sequence[Policy]" = (),
        scopes: tuple[str, ...] = (),
        env: Env = None,
    ) -> None:
        """Declare resiliency policies and the calls they are for, as one Resiliency resource.

        Args:
            targets: an `AppTarget`, `ComponentTarget` or `ActorTarget` each, with its policies.
            name: of the resource; ``<app id>-resiliency`` where it is left out.
            policies: more of them, such as those that take the place of Dapr's own defaults:
                ``Retries("DaprBuiltInServiceRetries", …)``.
            scopes: the app ids it is for; this app where it is left out.
            env: the environments it is for; None for every one.

        Example:
            ```python
            app.resiliency(AppTarget("pricing", Policies(retry=Retries("some", max_retries=3))))
            ```
        """
        values = {"targets": targets, "name": name, "policies": policies, "scopes": scopes}
        self._declare("resiliency", values, env)

    def access_policy(
        self,
        *callers: "Caller",
        default: Action = "deny",
        trust_domain: str = "public",
        env: Env = None,
    ) -> None:
        """Declare who may invoke this app: ``access_policy(Caller("checkout", allow=[quote]))``.

        It becomes the ``accessControl`` of the app's Configuration, one for each environment.

        Args:
            callers: what each of them may call; `Caller`.
            default: what goes for everybody else.
            trust_domain: of this app.
            env: the environments it is for; None for every one.

        Example:
            ```python
            app.access_policy(Caller("checkout", allow=["/quote"]), default="deny")
            ```
        """
        values = {"callers": callers, "default": default, "trust_domain": trust_domain}
        self._declare("access_policy", values, env)

    def sidecar_configuration(
        self,
        *,
        tracing: "Tracing | None" = None,
        metrics: "Metrics | None" = None,
        mtls: "Mtls | None" = None,
        api_allowed: "Sequence[ApiRule]" = (),
        api_denied: "Sequence[ApiRule]" = (),
        http_pipeline: "Sequence[Options]" = (),
        app_http_pipeline: "Sequence[Options]" = (),
        secret_scopes: "Sequence[SecretScope]" = (),
        denied_components: Sequence[str] = (),
        api_logging: "ApiLogging | None" = None,
        features: Mapping[str, bool] | None = None,
        env: Env = None,
    ) -> None:
        """Declare the app's Configuration resource, one for each environment.

        What a file of ``--config`` says goes before it.

        Args:
            tracing: where spans go.
            metrics: what the sidecar measures.
            mtls: whether sidecars speak mTLS; the embedded one cannot.
            api_allowed: the calls on the sidecar's API that there are; all where it is empty.
            api_denied: those that there are not.
            http_pipeline: middleware components around the sidecar's API, the outermost first.
            app_http_pipeline: those around calls on the app.
            secret_scopes: which secrets of a store may be read.
            denied_components: types that may not be loaded, as ``type`` or ``type/version``.
            api_logging: whether calls on the API are logged.
            features: of the runtime, by name.
            env: the environments it is for; None for every one.

        Example:
            ```python
            app.sidecar_configuration(
                tracing=Tracing(sampling_rate=1.0, zipkin="http://zipkin:9411")
            )
            ```
        """
        values = {
            "tracing": tracing,
            "metrics": metrics,
            "mtls": mtls,
            "api_allowed": api_allowed,
            "api_denied": api_denied,
            "http_pipeline": http_pipeline,
            "app_http_pipeline": app_http_pipeline,
            "secret_scopes": secret_scopes,
            "denied_components": denied_components,
            "api_logging": api_logging,
            "features": features or {},
        }
        self._declare("sidecar_configuration", values, env)

    def declaration_problems(self, app_id: str) -> tuple[str, ...]:
        """Return what is wrong with what is declared, in whatever environment."""
        compiled = self._compiled(app_id)
        return () if compiled is None else compiled.problems

    def declarations_in(
        self, env: str, app_id: str, registrations: Sequence[Registration]
    ) -> "Declarations":
        """Return what is declared for an environment, here and on included routers.

        Args:
            env: empty for what is for every one.
            app_id: whose declarations they are.
            registrations: of the handlers, which name components.
        """
        from daprflow.components.declarations import Declarations  # noqa: PLC0415 - not of a client

        compiled = self._compiled(app_id)
        if compiled is None:
            return Declarations(env)
        from daprflow.components.wanted import wanted_by  # noqa: PLC0415 - few apps have any

        return compiled.of(env, wanted_by(registrations))

    def _compiled(self, app_id: str) -> "Compiled | None":
        """Return all declarations as resources; None where there are none."""
        routers = self._routers()
        found = [each for one in routers for each in one._declarations]  # noqa: SLF001 - of the same class
        if not found:
            return None
        from daprflow.components.compiling import compile_all  # noqa: PLC0415 - few apps have any

        return compile_all(found, app_id)

    def _declare(self, what: str, values: Mapping[str, Any], env: Any) -> None:
        source = calling_source(2)
        self._refuse_when_sealed(f"a declaration ({what})", source)
        self._declarations.append(Declaration(what, values, env, source))

    def _routers(self) -> "Sequence[ResourceDeclarations]":
        raise NotImplementedError

    def _refuse_when_sealed(self, what: str, source: Source) -> None:
        raise NotImplementedError

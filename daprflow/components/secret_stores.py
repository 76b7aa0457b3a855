"""Secret stores: Azure Key Vault, HashiCorp Vault, Kubernetes, a file, the environment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from daprflow.components.model import Key, Options
from daprflow.components.values import Secret, Text


@dataclass(frozen=True, kw_only=True)
class AzureKeyVault(Options):
    """Azure Key Vault (``secretstores.azure.keyvault``); without credentials, a managed identity.

    Attributes:
        vault_name: of the vault.
        azure_tenant_id: of the application that may read it.
        azure_client_id: of that application, or of a managed identity.
        azure_client_secret: of that application.
        azure_certificate: of that application, in PEM or PFX.
        azure_certificate_file: the path of such a certificate.
        azure_certificate_password: of a PFX certificate.
        azure_environment: Dapr's default is ``AZUREPUBLICCLOUD``.

    Example:
        ```python
        app.component(AzureKeyVault("vault", vault_name="shop"), env="prod")
        ```
    """

    TYPE: ClassVar[str] = "secretstores.azure.keyvault"

    vault_name: Text
    azure_tenant_id: Text | None = None
    azure_client_id: Text | None = None
    azure_client_secret: Secret | None = None
    azure_certificate: Secret | None = None
    azure_certificate_file: str | None = None
    azure_certificate_password: Secret | None = None
    azure_environment: (
        Literal["AZUREPUBLICCLOUD", "AZURECHINACLOUD", "AZUREUSGOVERNMENTCLOUD"] | None
    ) = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        own = (self.azure_client_secret, self.azure_certificate, self.azure_certificate_file)
        if any(own):
            yield from self.lacking("an application", "azure_tenant_id", "azure_client_id")
        if len([each for each in own if each]) > 1:
            yield "it takes one of 'azure_client_secret' and a certificate"


@dataclass(frozen=True, kw_only=True)
class HashicorpVault(Options):
    """HashiCorp Vault (``secretstores.hashicorp.vault``).

    Attributes:
        vault_addr: Dapr's default is ``https://127.0.0.1:8200``.
        vault_token: for the vault; or a file that has one.
        vault_token_mount_path: the path of that file.
        vault_kv_prefix: what stands before secrets' names; Dapr's default is ``dapr``.
        vault_kv_use_prefix: whether anything does; by default it does.
        engine_path: Dapr's default is ``secret``.
        vault_value_type: whether a value is a map, which is Dapr's default, or text.
        ca_cert: the path of the authority's certificate.
        ca_path: the path of a folder of those.
        ca_pem: PEM text of the authority's certificate.
        skip_verify: whether the server's certificate is not looked at.
        tls_server_name: the name that is asked for.

    Example:
        ```python
        app.component(
            HashicorpVault(
                "vault", vault_addr="https://vault:8200", vault_token_mount_path="/run/token"
            )
        )
        ```
    """

    TYPE: ClassVar[str] = "secretstores.hashicorp.vault"

    vault_addr: Text | None = None
    vault_token: Secret | None = None
    vault_token_mount_path: str | None = None
    vault_kv_prefix: Annotated[str | None, Key("vaultKVPrefix")] = None
    vault_kv_use_prefix: Annotated[bool | None, Key("vaultKVUsePrefix")] = None
    engine_path: str | None = None
    vault_value_type: Literal["map", "text"] | None = None
    ca_cert: str | None = None
    ca_path: str | None = None
    ca_pem: Text | None = None
    skip_verify: bool | None = None
    tls_server_name: str | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if (self.vault_token is None) == (self.vault_token_mount_path is None):
            yield "it needs either 'vault_token' or 'vault_token_mount_path'"


@dataclass(frozen=True, kw_only=True)
class KubernetesSecrets(Options):
    """The secrets of the cluster (``secretstores.kubernetes``).

    Attributes:
        default_namespace: the namespace where none is asked for; that of the app by default.
        kubeconfig_path: outside of a cluster, how it is reached.

    Example:
        ```python
        app.component(KubernetesSecrets("vault"), env="prod")
        ```
    """

    TYPE: ClassVar[str] = "secretstores.kubernetes"

    default_namespace: str | None = None
    kubeconfig_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class LocalFileSecrets(Options):
    """Secrets in a JSON file (``secretstores.local.file``).

    Attributes:
        secrets_file: its path.
        nested_separator: between names of one level and the next; Dapr's default is ``:``.
        multi_valued: whether a secret has several keys.

    Example:
        ```python
        app.component(LocalFileSecrets("vault", secrets_file="secrets.json"), env="dev")
        ```
    """

    TYPE: ClassVar[str] = "secretstores.local.file"

    secrets_file: Text
    nested_separator: str | None = None
    multi_valued: bool | None = None


@dataclass(frozen=True, kw_only=True)
class LocalEnvSecrets(Options):
    """The sidecar's environment variables as secrets (``secretstores.local.env``).

    Attributes:
        prefix: of those that there are; it is no part of a secret's name.

    Example:
        ```python
        app.component(LocalEnvSecrets("vault"), env="dev")
        ```
    """

    TYPE: ClassVar[str] = "secretstores.local.env"

    prefix: str | None = None

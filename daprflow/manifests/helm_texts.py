"""The texts of a chart that are the same for every deployment."""

from daprflow.manifests.helm_resources import KINDS, WHOLE

HELPERS = """\
{{/* A text of YAML: a number of a file of values must not become one with an exponent. */}}
{{- define "daprflow.text" -}}
{{- if kindIs "float64" . -}}
{{- . | int64 | toString | quote -}}
{{- else -}}
{{- . | toString | quote -}}
{{- end -}}
{{- end -}}

{{/* The image of an app: by its digest where there is one. */}}
{{- define "daprflow.image" -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest | quote -}}
{{- else if .tag -}}
{{- printf "%s:%s" .repository (toString .tag) | quote -}}
{{- else -}}
{{- .repository | quote -}}
{{- end -}}
{{- end -}}

{{- define "daprflow.pullSecrets" -}}
{{- range .imagePullSecrets }}
- name: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The annotations of an app's pods: the chart, the id of the app, its values. */}}
{{- define "daprflow.annotations" -}}
{{- $root := index . 0 -}}
{{- $app := index . 2 -}}
{{- if and $root.Values.dapr.enabled $app.dapr.enabled }}
dapr.io/enabled: "true"
dapr.io/app-id: {{ index . 1 | quote }}
dapr.io/app-port: {{ include "daprflow.text" $app.port }}
{{- range $name, $value := $app.dapr.annotations }}
dapr.io/{{ $name }}: {{ include "daprflow.text" $value }}
{{- end }}
{{- end }}
{{- with $app.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The environment of an app: texts, and references to secrets of the cluster. */}}
{{- define "daprflow.env" -}}
- name: APP_PORT
  value: {{ include "daprflow.text" .port }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  valueFrom:
    secretKeyRef:
      name: {{ $value.secret | quote }}
      key: {{ $value.key | quote }}
  {{- else }}
  value: {{ include "daprflow.text" $value }}
  {{- end }}
{{- end }}
{{- end -}}
"""

COMPONENTS = """\
{{- if .Values.dapr.enabled }}
{{- range $name, $component := .Values.components }}
{{- if $component.enabled }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: {{ $name | quote }}
spec:
  type: {{ $component.type | quote }}
  version: {{ $component.version | quote }}
  {{- if $component.ignoreErrors }}
  ignoreErrors: true
  {{- end }}
  {{- with $component.initTimeout }}
  initTimeout: {{ . | quote }}
  {{- end }}
  {{- if not $component.metadata }}
  metadata: []
  {{- else }}
  metadata:
    {{- range $key, $value := $component.metadata }}
    - name: {{ $key | quote }}
      {{- if kindIs "map" $value }}
      {{- toYaml $value | nindent 6 }}
      {{- else }}
      value: {{ include "daprflow.text" $value }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- with $component.secretStore }}
auth:
  secretStore: {{ . | quote }}
{{- end }}
{{- with $component.scopes }}
scopes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
"""

_RESOURCE = """\
{{{{- range $name, $resource := .Values.{values} }}}}
---
apiVersion: {version}
kind: {kind}
metadata:
  name: {{{{ $name | quote }}}}
{{{{ toYaml $resource }}}}
{{{{- end }}}}
"""

NOTES = """\
{{- range $id, $app := .Values.apps }}
{{- if $app.enabled }}
app {{ $id }}: kubectl --namespace {{ $.Release.Namespace }} rollout status deployment/{{ $id }}
{{- end }}
{{- end }}
{{- if not .Values.dapr.enabled }}
Dapr is switched off: no app has a sidecar, and no component is defined.
{{- end }}
"""

IGNORED = """\
.git/
.gitignore
.DS_Store
*.bak
*.orig
*.swp
*.tmp
*.tgz
.vscode/
.idea/
"""


def resources() -> str:
    """Return the template of all resources but components."""
    parts = (
        _RESOURCE.format(kind=kind, version=version, values=KINDS[kind])
        for kind, version in WHOLE.items()
    )
    return "{{- if .Values.dapr.enabled }}\n" + "".join(parts) + "{{- end }}\n"

{{- define "sluiceway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "sluiceway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "sluiceway.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of what belongs to the cluster: two releases for namespaces of their own must not meet. */}}
{{- define "sluiceway.clusterName" -}}
{{- include "sluiceway.fullname" . }}
{{- if .Values.watchNamespaces }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "sluiceway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sluiceway.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is empty while serviceAccount.create is false: write the name of the service account that the operator is to use" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "sluiceway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sluiceway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels of every object. What is called for with more labels gives (list . extra). */}}
{{- define "sluiceway.labels" -}}
{{- $fixed := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "sluiceway.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "sluiceway"
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (merge $fixed .Values.commonLabels) }}
{{- end }}

{{/* Labels and annotations below metadata. Argument: root, labels, annotations. */}}
{{- define "sluiceway.metadata" -}}
labels:
  {{- toYaml (merge (include "sluiceway.labels" .root | fromYaml) (default dict .labels)) | nindent 2 }}
{{- with merge dict (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Argument: root, image. */}}
{{- define "sluiceway.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end }}
{{- end }}

{{/* What the operator does where TaskQueues are: the rules of manifests/base/fleets-role.yaml. */}}
{{- define "sluiceway.fleetsRules" -}}
- apiGroups: [sluiceway.dev]
  resources: [taskqueues]
  verbs: [list, watch]
- apiGroups: [sluiceway.dev]
  resources: [taskqueues/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
{{- if .Values.rbac.secretNames }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml .Values.rbac.secretNames | nindent 4 }}
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- else }}
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Argument: root, kind (of the role), name (of role and binding), namespace (of the binding). */}}
{{- define "sluiceway.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  {{- include "sluiceway.metadata" (dict "root" .root) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "sluiceway.serviceAccountName" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

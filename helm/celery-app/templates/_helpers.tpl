{{- define "celery-app.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "celery-app.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "celery-app.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "celery-app.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Argument: root, component. */}}
{{- define "celery-app.selectorLabels" -}}
app.kubernetes.io/name: {{ include "celery-app.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels and annotations below metadata. Argument: root, component, annotations. */}}
{{- define "celery-app.metadata" -}}
{{- $labels := include "celery-app.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
labels:
  {{- toYaml (merge $labels .root.Values.commonLabels) | nindent 2 }}
{{- with merge dict (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The same for pods, whose labels never change with the chart's version. */}}
{{- define "celery-app.podMetadata" -}}
labels:
  {{- toYaml (merge (include "celery-app.selectorLabels" . | fromYaml) .root.Values.commonLabels) | nindent 2 }}
{{- with merge dict (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Argument: an image. */}}
{{- define "celery-app.imageOf" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{/* The application's own image. */}}
{{- define "celery-app.image" -}}
{{- $_ := required "image.repository is empty: write the name of your application's image, for example registry.example/shop" .Values.image.repository }}
{{- if not (or .Values.image.tag .Values.image.digest) }}
{{- fail "image.tag is empty: write the tag of your application's image, for example 1.4, or its digest into image.digest" }}
{{- end }}
{{- include "celery-app.imageOf" .Values.image }}
{{- end }}

{{- define "celery-app.valkeyName" -}}
{{ include "celery-app.fullname" . }}-valkey
{{- end }}

{{/* The Secret and the key with the broker's address, as a secretKeyRef. */}}
{{- define "celery-app.brokerRef" -}}
{{- if .Values.valkey.enabled }}
{{- if .Values.broker.existingSecret.name }}
{{- fail "broker.existingSecret.name and valkey.enabled exclude each other: there is one broker; write valkey.enabled: false, or leave the Secret out" }}
{{- end -}}
name: {{ include "celery-app.valkeyName" . }}
key: url
{{- else -}}
name: {{ required "broker.existingSecret.name is empty: write the name of the Secret that holds the broker's address, or valkey.enabled: true for trying out" .Values.broker.existingSecret.name }}
key: {{ .Values.broker.existingSecret.key }}
{{- end }}
{{- end }}

{{/* What web, workers and Beat have in common. */}}
{{- define "celery-app.env" -}}
- name: {{ .Values.broker.env }}
  valueFrom:
    secretKeyRef:
      {{- include "celery-app.brokerRef" . | nindent 6 }}
{{- with .Values.broker.resultEnv }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      {{- include "celery-app.brokerRef" $ | nindent 6 }}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "celery-app.podSpec" -}}
serviceAccountName: {{ include "celery-app.serviceAccountName" . }}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end }}

{{/* Where the pods of a piece go. Argument: the piece's values. */}}
{{- define "celery-app.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

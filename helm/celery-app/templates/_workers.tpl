{{/*
The pod template of a TaskQueue's workers: what the web gets, and beside it what the queue's own
template says. Of its lists, those of the container «worker» and the volumes are added to ours.
Argument: root, own (the queue's template).
*/}}
{{- define "celery-app.workerTemplate" -}}
{{- $values := .root.Values -}}
{{- $template := deepCopy (default dict .own) -}}
{{- $pod := default dict $template.spec -}}
{{- $worker := dict "name" "worker" -}}
{{- $sidecars := list -}}
{{- range default list $pod.containers -}}
{{- if eq .name "worker" -}}
{{- $worker = . -}}
{{- else -}}
{{- $sidecars = append $sidecars . -}}
{{- end -}}
{{- end -}}
{{- $env := include "celery-app.env" .root | fromYamlArray -}}
{{- $_ := set $worker "env" (concat $env (default list $worker.env)) -}}
{{- range $name := list "envFrom" "volumeMounts" -}}
{{- with concat (get $values $name) (default list (get $worker $name)) -}}
{{- $_ := set $worker $name . -}}
{{- end -}}
{{- end -}}
{{- $_ := set $pod "containers" (prepend $sidecars $worker) -}}
{{- with concat $values.volumes (default list $pod.volumes) -}}
{{- $_ := set $pod "volumes" . -}}
{{- end -}}
{{- $_ := set $template "spec" (mergeOverwrite (include "celery-app.podSpec" .root | fromYaml) $pod) -}}
{{- toYaml $template -}}
{{- end }}

{{/*
The worker of a TaskQueue: as it is written, and from the chart what is missing. Workers of a
Deployment that exists get nothing, and those that take after another one no image.
Argument: root, own (the queue's worker).
*/}}
{{- define "celery-app.worker" -}}
{{- $own := default dict .own -}}
{{- $given := dict -}}
{{- if not $own.deploymentRef -}}
{{- $_ := set $given "app" .root.Values.app -}}
{{- if not $own.like -}}
{{- if not $own.image -}}
{{- $_ := set $given "image" (include "celery-app.image" .root) -}}
{{- end -}}
{{- $template := include "celery-app.workerTemplate" (dict "root" .root "own" $own.template) -}}
{{- $_ := set $given "template" ($template | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- toYaml (mergeOverwrite $given (hasKey $given "template" | ternary (omit $own "template") $own)) -}}
{{- end }}

{{/*
The objects of one of kustomize's files, with the labels that kustomize gives them and in this release's namespace.
Takes a dictionary of `file`, `root`, `labels` to be added, and the `name` of the program, where it is not the controller.
*/}}
{{- define "canary-controller.objects" -}}
{{- $root := .root }}
{{- $labels := .labels }}
{{- $name := .name }}
{{- range splitList "\n---\n" ($root.Files.Get (printf "kustomize/%s" .file) | required (printf "no %s in the chart" .file)) }}
---
{{ include "canary-controller.place" (dict "object" (fromYaml .) "root" $root "labels" $labels "name" $name) }}
{{- end }}
{{- end }}

{{/* One object, in its place. Takes a dictionary of `object`, `root`, `labels` to be added, and `name`. */}}
{{- define "canary-controller.place" -}}
{{- $object := .object }}
{{- $root := .root }}
{{- $own := dict "app.kubernetes.io/name" (.name | default "canary-controller") "app.kubernetes.io/part-of" "canary-controller" }}
{{- $_ := set $object.metadata "labels" (merge $own (.labels | default dict)) }}
{{- if not (or (hasPrefix "Cluster" $object.kind) (hasPrefix "Validating" $object.kind) (hasPrefix "Mutating" $object.kind)) }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- range $object.subjects }}
{{- $_ := set . "namespace" $root.Release.Namespace }}
{{- end }}
{{- /* Where it works in one namespace alone, nothing of it is the cluster's: beside the role of the Lease, which has
       the name already. */}}
{{- if and $root.Values.namespace (hasPrefix "ClusterRole" $object.kind) (eq $object.metadata.name "canary-controller") }}
{{- $_ := set $object "kind" (trimPrefix "Cluster" $object.kind) }}
{{- $_ := set $object.metadata "namespace" $root.Values.namespace }}
{{- $_ := set $object.metadata "name" "canary-controller-canaries" }}
{{- with $object.roleRef }}
{{- $_ := set . "kind" "Role" }}
{{- $_ := set . "name" "canary-controller-canaries" }}
{{- end }}
{{- end }}
{{- toYaml $object }}
{{- end }}

{{/* Names are asked of the cluster's DNS, wherever it runs. */}}
{{- define "sobre.egressToApiServer" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.apiServerCIDRs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "sobre.signalUrls" -}}
{{- $urls := list -}}
{{- with .Values.config.prometheus -}}
{{- with .url }}{{ $urls = append $urls . }}{{ end -}}
{{- range .servers }}{{ $urls = append $urls .url }}{{ end -}}
{{- end -}}
{{- toYaml $urls -}}
{{- end -}}

{{/* A Service's pods may listen on another port than the Service: its namespace is allowed, of other hosts the port. */}}
{{- define "sobre.egressTo" -}}
{{- $url := urlParse . -}}
{{- $host := regexReplaceAll ":[0-9]+$" $url.host "" -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (get (dict "https" "443" "http" "80") $url.scheme) | default "5432" -}}
{{- $parts := splitList "." $host -}}
{{- if and (ge (len $parts) 2) (or (eq (len $parts) 2) (eq (index $parts 2) "svc")) (not (regexMatch "^[0-9.]+$" $host)) -}}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ index $parts 1 }}}}}]
{{- else if eq (len $parts) 1 -}}
- to: [{podSelector: {}}]
{{- else -}}
- ports: [{port: {{ $port }}}]
{{- end -}}
{{- end -}}

{{- define "sobre.dnsNames" -}}
{{- $name := include "sobre.fullname" . -}}
{{- concat (list $name (printf "%s.%s" $name .Release.Namespace) (include "sobre.hostname" .) (printf "%s.cluster.local" (include "sobre.hostname" .)))
  .Values.tls.extraNames | toYaml -}}
{{- end -}}

{{- define "sobre.addresses" -}}
{{- concat (compact (list .Values.extender.service.clusterIP)) .Values.tls.extraAddresses | toYaml -}}
{{- end -}}

{{/*
Authority and certificates in base64: {names, ca, server: {crt, key}, client: {crt, key}}. What the cluster holds already is kept as
long as it is for the same names; one call a rendering, as the Secrets and the scheduler's configuration must agree.
*/}}
{{- define "sobre.selfSigned" -}}
{{- if not (hasKey .Values "selfSignedMade") -}}
{{- $names := include "sobre.dnsNames" . | fromYamlArray -}}
{{- $addresses := include "sobre.addresses" . | fromYamlArray -}}
{{- $stated := printf "%s %v %v" (join " " (concat $names $addresses)) .Values.tls.selfSigned.days (ternary "mutual" "" .Values.tls.mutual) | trim -}}
{{- $server := lookup "v1" "Secret" .Release.Namespace (include "sobre.serverSecret" .) | default dict -}}
{{- $client := lookup "v1" "Secret" .Release.Namespace (include "sobre.clientSecret" .) | default dict -}}
{{- $annotations := dig "metadata" "annotations" dict $server | default dict -}}
{{- $made := dict "names" $stated -}}
{{- if and (eq (index $annotations "sobre.dev/names" | default "") $stated) (or (not .Values.tls.mutual) $client) -}}
{{- $_ := set $made "ca" (index $server.data "ca.crt") -}}
{{- $_ := set $made "server" (dict "crt" (index $server.data "tls.crt") "key" (index $server.data "tls.key")) -}}
{{- if .Values.tls.mutual }}{{ $_ := set $made "client" (dict "crt" (index $client.data "tls.crt") "key" (index $client.data "tls.key")) }}{{ end -}}
{{- else -}}
{{- $days := int .Values.tls.selfSigned.days -}}
{{- $ca := genCA (printf "%s-ca" (include "sobre.fullname" .)) $days -}}
{{- $pair := genSignedCert (include "sobre.hostname" . | trunc 63 | trimSuffix ".") $addresses $names $days $ca -}}
{{- $_ := set $made "ca" ($ca.Cert | b64enc) -}}
{{- $_ := set $made "server" (dict "crt" ($pair.Cert | b64enc) "key" ($pair.Key | b64enc)) -}}
{{- if .Values.tls.mutual -}}
{{- $of := genSignedCert (include "sobre.clientName" . | trunc 63 | trimSuffix ".") (list) (list (include "sobre.clientName" .)) $days $ca -}}
{{- $_ := set $made "client" (dict "crt" ($of.Cert | b64enc) "key" ($of.Key | b64enc)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set .Values "selfSignedMade" (toYaml $made) -}}
{{- end -}}
{{- .Values.selfSignedMade -}}
{{- end -}}

{{/* The authority in base64, where the chart knows it. */}}
{{- define "sobre.caData" -}}
{{- if eq .Values.tls.mode "self-signed" -}}
{{- (include "sobre.selfSigned" . | fromYaml).ca -}}
{{- end -}}
{{- end -}}

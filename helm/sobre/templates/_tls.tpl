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
(dict "root" $ "secret" … "host" … "names" list "addresses" list), and "clientSecret" and "clientName" where clients show one too.
*/}}
{{- define "sobre.selfSigned" -}}
{{- $root := .root -}}
{{- $memo := printf "made of %s" .secret -}}
{{- if not (hasKey $root.Values $memo) -}}
{{- $days := int $root.Values.tls.selfSigned.days -}}
{{- $stated := printf "%s %v %v" (join " " (concat .names .addresses)) $days (ternary "mutual" "" (hasKey . "clientSecret")) | trim -}}
{{- $server := lookup "v1" "Secret" $root.Release.Namespace .secret | default dict -}}
{{- $client := dict -}}
{{- if hasKey . "clientSecret" }}{{ $client = lookup "v1" "Secret" $root.Release.Namespace .clientSecret | default dict }}{{ end -}}
{{- $annotations := dig "metadata" "annotations" dict $server | default dict -}}
{{- $made := dict "names" $stated -}}
{{- if and (eq (index $annotations "sobre.dev/names" | default "") $stated) (or (not (hasKey . "clientSecret")) $client) -}}
{{- $_ := set $made "ca" (index $server.data "ca.crt") -}}
{{- $_ := set $made "server" (dict "crt" (index $server.data "tls.crt") "key" (index $server.data "tls.key")) -}}
{{- with $client }}{{ $_ := set $made "client" (dict "crt" (index .data "tls.crt") "key" (index .data "tls.key")) }}{{ end -}}
{{- else -}}
{{- $ca := genCA (printf "%s-ca" (trimSuffix "-tls" .secret)) $days -}}
{{- $pair := genSignedCert (.host | trunc 63 | trimSuffix ".") .addresses .names $days $ca -}}
{{- $_ := set $made "ca" ($ca.Cert | b64enc) -}}
{{- $_ := set $made "server" (dict "crt" ($pair.Cert | b64enc) "key" ($pair.Key | b64enc)) -}}
{{- with .clientName -}}
{{- $of := genSignedCert (. | trunc 63 | trimSuffix ".") (list) (list .) $days $ca -}}
{{- $_ := set $made "client" (dict "crt" ($of.Cert | b64enc) "key" ($of.Key | b64enc)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $root.Values $memo (toYaml $made) -}}
{{- end -}}
{{- index $root.Values $memo -}}
{{- end -}}

{{/* Of the extender. */}}
{{- define "sobre.extenderCertificates" -}}
{{- $for := dict "root" . "secret" (include "sobre.serverSecret" .) "host" (include "sobre.hostname" .)
    "names" (include "sobre.dnsNames" . | fromYamlArray) "addresses" (include "sobre.addresses" . | fromYamlArray) -}}
{{- if .Values.tls.mutual }}{{ $for = merge $for (dict "clientSecret" (include "sobre.clientSecret" .) "clientName" (include "sobre.clientName" .)) }}{{ end -}}
{{- include "sobre.selfSigned" $for -}}
{{- end -}}

{{- define "sobre.grpcSecret" -}}
{{- ternary .Values.grpc.tlsSecret (printf "%s-grpc-tls" (include "sobre.fullname" .)) (eq .Values.tls.mode "secret") -}}
{{- end -}}

{{- define "sobre.grpcNames" -}}
{{- $name := printf "%s-grpc" (include "sobre.fullname" .) -}}
{{- $in := printf "%s.%s" $name .Release.Namespace -}}
{{- concat (list $name $in (printf "%s.svc" $in) (printf "%s.svc.cluster.local" $in)) .Values.tls.extraNames | toYaml -}}
{{- end -}}

{{- define "sobre.grpcCertificates" -}}
{{- $names := include "sobre.grpcNames" . | fromYamlArray -}}
{{- include "sobre.selfSigned" (dict "root" . "secret" (include "sobre.grpcSecret" .) "host" (index $names 2) "names" $names "addresses" .Values.tls.extraAddresses) -}}
{{- end -}}

{{/* The authority in base64, where the chart knows it. */}}
{{- define "sobre.caData" -}}
{{- if eq .Values.tls.mode "self-signed" -}}
{{- (include "sobre.extenderCertificates" . | fromYaml).ca -}}
{{- end -}}
{{- end -}}

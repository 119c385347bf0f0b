{{- define "sobre.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Also the name of Services: no dots, and a letter first, whatever the release is called. */}}
{{- define "sobre.fullname" -}}
{{- $name := include "sobre.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- if regexMatch "^[0-9]" $full }}{{ $full = printf "%s-%s" $name .Release.Name }}{{ end -}}
{{- .Values.fullnameOverride | default $full | replace "." "-" | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "sobre.selector" -}}
app.kubernetes.io/name: {{ include "sobre.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* (dict "root" $ "component" "extender") */}}
{{- define "sobre.labels" -}}
{{ include "sobre.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: sobre
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of an object: (dict "root" $ "component" … "name" …), and what else stands there. */}}
{{- define "sobre.metadata" -}}
name: {{ .name | quote }}
{{- if not .cluster }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
{{- end }}
labels:
  {{- include "sobre.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sobre.image" -}}
{{- $path := trimPrefix "/" (printf "%s/%s" (trimSuffix "/" (.image.registry | default "")) .image.repository) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $path .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{/* v1.35.1 of v1.35.1-gke.1234 or v1.35.1+k3s1, v1.35.0 of v1.35: there is no image of a version without a patch. */}}
{{- define "sobre.kubernetesVersion" -}}
{{- $version := regexFind "^v?[0-9]+\\.[0-9]+(\\.[0-9]+)?" .Capabilities.KubeVersion.Version | trimPrefix "v" -}}
{{- if not $version }}{{ fail (printf "the API server's version %q is none of Kubernetes: set scheduler.image.tag" .Capabilities.KubeVersion.Version) }}{{ end -}}
v{{ $version }}{{ ternary "" ".0" (eq (len (splitList "." $version)) 3) }}
{{- end -}}

{{- define "sobre.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "sobre.fullname" .) -}}
{{- end -}}

{{- define "sobre.priorityClassName" -}}
{{- .Values.priorityClass.name | default (ternary (include "sobre.fullname" .) "" .Values.priorityClass.create) -}}
{{- end -}}

{{- define "sobre.serverSecret" -}}
{{- ternary .Values.tls.secret.server (printf "%s-tls" (include "sobre.fullname" .)) (eq .Values.tls.mode "secret") -}}
{{- end -}}

{{- define "sobre.clientSecret" -}}
{{- ternary .Values.tls.secret.client (printf "%s-client-tls" (include "sobre.fullname" .)) (eq .Values.tls.mode "secret") -}}
{{- end -}}

{{- define "sobre.hostname" -}}
{{- printf "%s.%s.svc" (include "sobre.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The name that the scheduler's certificate has, with mutual TLS. */}}
{{- define "sobre.clientName" -}}
{{- printf "%s-scheduler.%s" (include "sobre.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "sobre.url" -}}
{{- $host := .Values.extender.service.clusterIP | default (include "sobre.hostname" .) -}}
{{- if contains ":" $host }}{{ $host = printf "[%s]" $host }}{{ end -}}
{{- printf "%s://%s:%v" (ternary "http" "https" (eq .Values.tls.mode "off")) $host .Values.extender.service.port -}}
{{- end -}}

{{- define "sobre.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sobre.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where its pods go: (dict "root" $ "values" .Values.extender "component" "extender"). */}}
{{- define "sobre.placement" -}}
{{/* Who asks Sobre must not be asked where Sobre goes. */ -}}
schedulerName: default-scheduler
{{- with include "sobre.priorityClassName" .root }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if .values.affinity }}
  {{- toYaml .values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "sobre.selector" . | nindent 14 }}
  {{- end }}
topologySpreadConstraints:
  {{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sobre.selector" . | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* By which names its ports are called. */}}
{{- define "sobre.hosts" -}}
{{- $hosts := list -}}
{{- range $service := list "" "-status" "-replicas" -}}
{{- $name := printf "%s%s" (include "sobre.fullname" $) $service -}}
{{- $in := printf "%s.%s" $name $.Release.Namespace -}}
{{- $hosts = concat $hosts (list $name $in (printf "%s.svc" $in) (printf "%s.svc.cluster.local" $in)) -}}
{{- end -}}
{{- range concat .Values.tls.extraNames .Values.extender.hosts -}}
{{- if not (contains "*" .) }}{{ $hosts = append $hosts . }}{{ end -}}
{{- end -}}
{{- uniq $hosts | toYaml -}}
{{- end -}}

{{/* sobre.yaml: what the values say, and over it what has to fit the objects here. */}}
{{- define "sobre.config" -}}
{{- $config := dict -}}
{{- range $key, $value := .Values.config }}{{ if $value }}{{ $_ := set $config $key $value }}{{ end }}{{ end -}}
{{- $listen := dict "extender" (printf "%s:8090" .Values.extender.listenAddress) "status" (printf "%s:8091" .Values.extender.listenAddress)
  "max_connections" .Values.extender.maxConnections "hosts" (include "sobre.hosts" . | fromYamlArray)
  "shutdown_grace" (printf "%vs" .Values.extender.shutdownGraceSeconds) -}}
{{- with .Values.extender.maxBodyMegabytes }}{{ $_ := set $listen "max_body_megabytes" . }}{{ end -}}
{{- if ne .Values.tls.mode "off" -}}
{{- $tls := dict "certificate_file" "tls/tls.crt" "key_file" "tls/tls.key" -}}
{{- if .Values.tls.mutual -}}
{{- $_ := set $tls "client_ca_file" "tls/ca.crt" -}}
{{- $clients := .Values.tls.clientNames -}}
{{- if ne .Values.tls.mode "secret" }}{{ $clients = prepend $clients (include "sobre.clientName" .) }}{{ end -}}
{{- with $clients }}{{ $_ := set $tls "client_names" . }}{{ end -}}
{{- end -}}
{{- $_ := set $listen "tls" $tls -}}
{{- end -}}
{{- if ne .Values.extender.statusAccess "open" }}{{ $_ := set $listen "status_access" .Values.extender.statusAccess }}{{ end -}}
{{- $_ := set $config "listen" $listen -}}
{{- $_ := set $config "deferral" (merge (dict "lease_namespace" .Release.Namespace) (.Values.config.deferral | default dict)) -}}
{{- if .Values.catalog }}{{ $_ := set $config "catalog" (dict "directory" "catalog") }}{{ end -}}
{{- if .Values.records.enabled -}}
{{- $records := dict "directory" "/var/lib/sobre" "extender_weight" .Values.scheduler.weight -}}
{{- if .Values.records.publishHeads }}{{ $_ := set $records "head_config_map" (printf "%s/%s-heads" .Release.Namespace (include "sobre.fullname" .)) }}{{ end -}}
{{- with .Values.records.postgres.url }}{{ $_ := set $records "postgres" . }}{{ end -}}
{{- if .Values.records.postgres.passwordSecret.name }}{{ $_ := set $records "postgres_password_file" "postgres/password" }}{{ end -}}
{{- if .Values.records.signingKeySecret.name }}{{ $_ := set $records "signing_key_file" "seal/seal.pem" }}{{ end -}}
{{- $_ := set $config "records" (merge $records (.Values.config.records | default dict)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The part of it that sobre-grpc reads, with what is its own. */}}
{{- define "sobre.grpcConfig" -}}
{{- $config := dict -}}
{{- range $key := list "policy" "kubernetes" "prometheus" "currencies" "limits" "log" -}}
{{- with index $.Values.config $key }}{{ $_ := set $config $key . }}{{ end -}}
{{- end -}}
{{- if .Values.catalog }}{{ $_ := set $config "catalog" (dict "directory" "catalog") }}{{ end -}}
{{- $tls := dict "certificate_file" "tls/tls.crt" "key_file" "tls/tls.key" -}}
{{- if .Values.grpc.clientAuthorities }}{{ $_ := set $tls "client_ca_file" "clients/ca.crt" }}{{ end -}}
{{- $grpc := dict "listen" (printf "%s:8092" .Values.extender.listenAddress) "tls" $tls
    "max_message_megabytes" .Values.grpc.maxMessageMegabytes
    "decisions" (list (printf "http://%s-replicas.%s.svc:8091" (include "sobre.fullname" .) .Release.Namespace)) -}}
{{- if ne .Values.extender.statusAccess "open" }}{{ $_ := set $grpc "decisions_token_file" "/var/run/secrets/kubernetes.io/serviceaccount/token" }}{{ end -}}
{{- $_ := set $config "grpc" $grpc -}}
{{- $_ := set $config "listen" (dict "shutdown_grace" (printf "%vs" .Values.extender.shutdownGraceSeconds)) -}}
{{- if ne .Values.extender.statusAccess "open" }}{{ $_ := set $config.listen "status_access" .Values.extender.statusAccess }}{{ end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* One's own rows of the catalogue, as a source of a projected volume. */}}
{{- define "sobre.catalogSource" -}}
{{- if .Values.catalog -}}
- configMap:
    name: {{ include "sobre.fullname" . }}-catalog
    items:
      {{- range $file, $_ := .Values.catalog }}
      - {key: {{ $file }}, path: catalog/{{ $file }}}
      {{- end }}
{{- end -}}
{{- end -}}

{{/* What kube-scheduler is told of Sobre; caData of the authority, or the file where it is mounted. */}}
{{- define "sobre.extenders" -}}
{{- $tls := "" -}}
{{- if ne .Values.tls.mode "off" -}}
{{- $config := dict "serverName" (include "sobre.hostname" .) -}}
{{- with include "sobre.caData" . }}{{ $_ := set $config "caData" . }}{{ else }}{{ $_ := set $config "caFile" "/etc/sobre/ca/ca.crt" }}{{ end -}}
{{- if .Values.tls.mutual -}}
{{- $_ := set $config "certFile" "/etc/sobre/client/tls.crt" -}}
{{- $_ := set $config "keyFile" "/etc/sobre/client/tls.key" -}}
{{- end -}}
{{- $tls = toYaml $config -}}
{{- end -}}
# Preference: all pods. Sobre away: they schedule as ever.
- urlPrefix: {{ include "sobre.url" . }}/v1
  prioritizeVerb: prioritize
  weight: {{ .Values.scheduler.weight }}
  nodeCacheCapable: true
  ignorable: true
  httpTimeout: {{ .Values.scheduler.httpTimeout }}
  {{- if $tls }}
  enableHTTPS: true
  tlsConfig:
    {{- $tls | nindent 4 }}
  {{- end }}
# Limits: pods that request the marker sobre.dev/limits. Sobre away: they wait.
- urlPrefix: {{ include "sobre.url" . }}/v1
  filterVerb: filter
  # Nobody is evicted for such a pod on a node where it may not run.
  preemptVerb: preempt
  nodeCacheCapable: true
  ignorable: false
  httpTimeout: {{ .Values.scheduler.httpTimeout }}
  {{- if $tls }}
  enableHTTPS: true
  tlsConfig:
    {{- $tls | nindent 4 }}
  {{- end }}
  managedResources:
    # No node offers it: it only says who is asked.
    - {name: sobre.dev/limits, ignoredByScheduler: true}
{{- end -}}

{{- define "sobre.schedulerConfig" -}}
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: true
  resourceName: {{ include "sobre.fullname" . }}-scheduler
  resourceNamespace: {{ .Release.Namespace | quote }}
profiles:
  - schedulerName: {{ .Values.scheduler.name | quote }}
    percentageOfNodesToScore: {{ .Values.scheduler.percentageOfNodesToScore }}
    {{- with .Values.scheduler.plugins }}
    plugins:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.scheduler.pluginConfig }}
    pluginConfig:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- with .Values.scheduler.extraProfiles }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
extenders:
  {{- include "sobre.extenders" . | nindent 2 }}
{{- end -}}

{{/* The schedulers that ask Sobre. */}}
{{- define "sobre.profiles" -}}
{{- $profiles := list .Values.scheduler.name -}}
{{- range .Values.scheduler.extraProfiles }}{{ $profiles = append $profiles .schedulerName }}{{ end -}}
{{- toJson $profiles -}}
{{- end -}}

{{/* What can be said by annotation and is no limit: every other key under sobre.dev/ is a limit, or was meant to be one. */}}
{{- define "sobre.preferences" -}}
'sobre.dev/objective', 'sobre.dev/cost-tolerance', 'sobre.dev/carbon-price', 'sobre.dev/unit',
'sobre.dev/requests-per-second', 'sobre.dev/tokens-per-second', 'sobre.dev/request-source', 'sobre.dev/bound',
'sobre.dev/data-region', 'sobre.dev/egress-gb-per-unit', 'sobre.dev/model', 'sobre.dev/expected-utilization',
'sobre.dev/expected-duration', 'sobre.dev/defer-below-gco2e-per-kwh', 'sobre.dev/max-delay', 'sobre.dev/deadline',
'sobre.dev/mode', 'sobre.dev/move', 'sobre.dev/move-gb', 'sobre.dev/config'
{{- end -}}

{{/* The keys of limits that config.policy states or enforces, as a list in CEL. */}}
{{- define "sobre.clusterLimits" -}}
{{- $policy := .Values.config.policy | default dict -}}
{{- $stated := keys ($policy.annotations | default dict) -}}
{{- range splitList "," (toString ($policy.enforced | default "")) }}{{ $stated = append $stated (trim .) }}{{ end -}}
{{- $limits := list -}}
{{- range $stated | uniq | sortAlpha -}}
{{- if and . (not (contains (printf "'sobre.dev/%s'" .) (include "sobre.preferences" $))) }}{{ $limits = append $limits . }}{{ end -}}
{{- end -}}
{{- toJson $limits -}}
{{- end -}}

{{/* Variables of the policies that keep limits. */}}
{{- define "sobre.limitVariables" -}}
- name: preferences
  expression: >-
    [{{ include "sobre.preferences" . | nindent 4 | trim }}]
# Limits, and keys that nobody knows: whoever misspells a limit wants one. Of over 1,000 keys none is read: the API server would take seconds.
- name: namespaceLimits
  expression: >-
    has(namespaceObject.metadata.annotations) && (size(namespaceObject.metadata.annotations) > 1000 ||
    namespaceObject.metadata.annotations.exists(k, k.lowerAscii().startsWith('sobre.dev/') && !(k in variables.preferences)))
# The keys of limits that the program's configuration states or enforces, such as ['max-exposure'].
- name: clusterLimits
  expression: {{ include "sobre.clusterLimits" . | replace "\"" "'" | quote }}
- name: optedIn
  expression: >-
    has(namespaceObject.metadata.labels) && namespaceObject.metadata.labels.exists(k,
    k in ['sobre.dev/placement', 'sobre.dev/limits'] && namespaceObject.metadata.labels[k] == 'enabled')
- name: schedulers
  expression: {{ include "sobre.profiles" . | replace "\"" "'" | replace "," ", " | quote }}
{{- end -}}

{{/* The version of MutatingAdmissionPolicy that the API server has; empty: none. */}}
{{- define "sobre.mutatingPolicies" -}}
{{- range list "admissionregistration.k8s.io/v1" "admissionregistration.k8s.io/v1beta1" -}}
{{- if $.Capabilities.APIVersions.Has (printf "%s/MutatingAdmissionPolicy" .) }}{{ . }}{{ break }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Why the values do not go together, or nothing. */}}
{{- define "sobre.mistake" -}}
{{- $v := .Values -}}
{{- if and $v.tls.clientNames (not $v.tls.mutual) -}}tls.clientNames says who is answered among clients that show certificates: set tls.mutual as well.
{{- else if and (eq $v.tls.mode "off") $v.tls.mutual -}}tls.mutual needs certificates: set tls.mode to self-signed, cert-manager or secret.
{{- else if and (eq $v.tls.mode "secret") (not $v.tls.secret.server) -}}tls.mode is secret: say in tls.secret.server which Secret holds tls.crt, tls.key and ca.crt.
{{- else if and (eq $v.tls.mode "secret") $v.tls.mutual (not $v.tls.secret.client) -}}tls.mutual with tls.mode secret: say in tls.secret.client which Secret holds kube-scheduler's tls.crt, tls.key and ca.crt.
{{- else if and $v.grpc.enabled (eq $v.tls.mode "off") -}}grpc.enabled needs certificates, as the Cluster Autoscaler does: set tls.mode to self-signed, cert-manager or secret.
{{- else if and $v.grpc.enabled (eq $v.tls.mode "secret") (not $v.grpc.tlsSecret) -}}grpc.enabled with tls.mode secret: say in grpc.tlsSecret which Secret holds sobre-grpc's tls.crt and tls.key.
{{- else if and $v.monitoring.serviceMonitor.enabled $v.monitoring.podMonitor.enabled -}}monitoring: serviceMonitor or podMonitor, not both, or all is counted twice.
{{- else if and $v.records.postgres.url (not $v.records.enabled) -}}records.postgres.url is set, but records.enabled is not.
{{- else if and $v.config.budgets (not $v.records.enabled) -}}config.budgets are held against what is accounted for: they need records.enabled.
{{- else if le (int $v.extender.terminationGracePeriodSeconds) (add (int $v.extender.shutdownGraceSeconds) 30 | int) -}}extender.terminationGracePeriodSeconds must be over extender.shutdownGraceSeconds + 30, the time for a request that has begun.
{{- end -}}
{{- end -}}

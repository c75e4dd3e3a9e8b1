{{- /* config.yaml: .Values.config with what the chart decides laid over it. */}}
{{- define "sallyport.config" -}}
{{- $secrets := include "sallyport.secretsPath" . }}
{{- $server := dict
  "listen" ":8080"
  "drain" (dict "delay" (printf "%ds" (int .Values.drain.delaySeconds)) "timeout" (printf "%ds" (int .Values.drain.timeoutSeconds))) }}
{{- $admin := dict "listen" ":9080" "token_file" (printf "%s/admin-token" $secrets) }}
{{- $session := dict }}
{{- if .Values.secrets.sessionKeys.existingSecret }}
{{- $files := list }}
{{- range $i, $_ := .Values.secrets.sessionKeys.keys }}
{{- $files = append $files (printf "%s/session-key-%d" $secrets $i) }}
{{- end }}
{{- $_ := set $session "keys_files" $files }}
{{- end }}
{{- if .Values.valkey.urls }}
{{- $_ := set $session "store" "valkey" }}
{{- $_ := set $session "valkey" (include "sallyport.valkey" . | fromYaml) }}
{{- else }}
{{- $_ := set $session "store" "embedded" }}
{{- if not (dig "session" "embedded" "path" "" .Values.config) }}
{{- $_ := set $session "embedded" (dict "path" "") }}
{{- end }}
{{- end }}
{{- $ours := dict "server" $server "admin" $admin "session" $session }}
{{- if .Values.grpc.enabled }}
{{- $_ := set $ours "ext_authz" (dict "listen" ":9191") }}
{{- end }}
{{- mustMergeOverwrite (deepCopy .Values.config) $ours | toYaml }}
{{- end }}

{{- define "sallyport.valkey" -}}
{{- $secrets := include "sallyport.secretsPath" . }}
{{- with .Values.valkey }}
urls: {{ toJson .urls }}
timeout: {{ .timeout | quote }}
key_prefix: {{ .keyPrefix | quote }}
{{- with .sentinelMaster }}
sentinel_master: {{ . | quote }}
{{- end }}
{{- with .username }}
username: {{ . | quote }}
{{- end }}
{{- if .password.existingSecret }}
password_file: {{ $secrets }}/valkey-password
{{- end }}
{{- with .sentinelUsername }}
sentinel_username: {{ . | quote }}
{{- end }}
{{- if .sentinelPassword.existingSecret }}
sentinel_password_file: {{ $secrets }}/valkey-sentinel-password
{{- end }}
{{- $tls := dict }}
{{- with .tls.serverName }}{{ $_ := set $tls "server_name" . }}{{ end }}
{{- if .tls.existingSecret }}
{{- if .tls.caKey }}{{ $_ := set $tls "ca_file" (printf "%s/valkey-ca.crt" $secrets) }}{{ end }}
{{- if .tls.certKey }}
{{- $_ := set $tls "cert_file" (printf "%s/valkey-client.crt" $secrets) }}
{{- $_ := set $tls "key_file" (printf "%s/valkey-client.key" $secrets) }}
{{- end }}
{{- end }}
{{- with $tls }}
tls: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The sources of the volume with the files that sallyport.config names. */}}
{{- define "sallyport.secretSources" -}}
{{- with .Values.secrets.adminToken }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .key | quote }}, path: admin-token}
{{- end }}
{{- with .Values.secrets.sessionKeys }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- range $i, $key := .keys }}
      - {key: {{ $key | quote }}, path: session-key-{{ $i }}}
      {{- end }}
{{- end }}
{{- end }}
{{- range .Values.secrets.files }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .key | quote }}, path: {{ .file | quote }}}
{{- end }}
{{- with .Values.valkey }}
{{- if .urls }}
{{- with .password }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .key | quote }}, path: valkey-password}
{{- end }}
{{- end }}
{{- with .sentinelPassword }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .key | quote }}, path: valkey-sentinel-password}
{{- end }}
{{- end }}
{{- with .tls }}
{{- if and .existingSecret (or .caKey .certKey) }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- with .caKey }}
      - {key: {{ . | quote }}, path: valkey-ca.crt}
      {{- end }}
      {{- if .certKey }}
      - {key: {{ .certKey | quote }}, path: valkey-client.crt}
      - {key: {{ .keyKey | quote }}, path: valkey-client.key}
      {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

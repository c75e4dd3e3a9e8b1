{{- /* Ends with everything that is missing, at once, where the values cannot work. */}}
{{- define "sallyport.check" }}
{{- $faults := list }}
{{- with .Values }}
{{- if not .image.repository }}
{{- $faults = append $faults "image.repository is empty: name your build of deploy/container" }}
{{- end }}
{{- if not (dig "server" "public_url" "" .config) }}
{{- $faults = append $faults "config.server.public_url is empty: write what browsers type, such as https://auth.example.com" }}
{{- end }}
{{- if not .secrets.adminToken.existingSecret }}
{{- $faults = append $faults "secrets.adminToken.existingSecret is empty: name a Secret, made with kubectl create secret generic NAME --from-literal=admin-token=\"$(openssl rand -base64 32)\"" }}
{{- end }}
{{- if and .valkey.urls (not .secrets.sessionKeys.existingSecret) }}
{{- $faults = append $faults "secrets.sessionKeys.existingSecret is empty, and gateways that share sessions need the same keys: name a Secret, made with kubectl create secret generic NAME --from-literal=session-key=\"$(openssl rand -base64 32)\"" }}
{{- end }}
{{- if and (not .valkey.urls) (or .autoscaling.enabled (gt (int .replicaCount) 1)) }}
{{- $faults = append $faults "valkey.urls is empty, and without it every gateway has sessions of its own: write urls, or replicaCount: 1 and autoscaling.enabled: false" }}
{{- end }}
{{- if and .networkPolicy.enabled (not .networkPolicy.from) }}
{{- $faults = append $faults "networkPolicy.from is empty, so that nobody reaches the gateway: write the peers of your ingress, or networkPolicy.enabled: false" }}
{{- end }}
{{- if and .valkey.tls.certKey (not .valkey.tls.keyKey) }}
{{- $faults = append $faults "valkey.tls.keyKey is empty beside certKey: name the private key" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hosts) }}
{{- $faults = append $faults "ingress.hosts is empty: write [{host: HOST, paths: [{path: /, pathType: Prefix}]}]" }}
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
{{- $faults = append $faults "httpRoute.parentRefs is empty: write [{name: GATEWAY, namespace: NAMESPACE}]" }}
{{- end }}
{{- end }}
{{- if $faults }}
{{- printf "\n- %s" (join "\n- " $faults) | fail }}
{{- end }}
{{- end }}

{{- define "zonegate.mode" -}}
{{- if not (has .Values.mode (list "kubernetesZone" "universalZone" "global")) -}}
{{- fail "mode: kubernetesZone, universalZone or global" -}}
{{- end -}}
{{- .Values.mode -}}
{{- end }}
{{- define "zonegate.port" -}}
{{- ternary 5685 5678 (eq (include "zonegate.mode" .) "global") -}}
{{- end }}
{{- define "zonegate.portName" -}}
{{- ternary "kds" "dp-server" (eq (include "zonegate.mode" .) "global") -}}
{{- end }}
{{- define "zonegate.host" -}}
{{- $service := ternary "kuma-global-zone-sync" "kuma-control-plane" (eq (include "zonegate.mode" .) "global") -}}
{{- .Values.controlPlane.host | default (printf "%s.%s.svc" $service .Release.Namespace) -}}
{{- end }}
{{- define "zonegate.certificateName" -}}
{{- .Values.controlPlane.certificateName | default (printf "kuma-control-plane.%s.svc" .Release.Namespace) -}}
{{- end }}
{{- define "zonegate.syncAddress" -}}
{{- .Values.sync.address | default (printf "https://kuma-control-plane.%s.svc:5682" .Release.Namespace) -}}
{{- end }}
{{- /* The shipped files, with other values in the places that are marked SET. */ -}}
{{- define "zonegate.envoy" -}}
{{- $port := int (include "zonegate.port" .) -}}
{{- $name := include "zonegate.certificateName" . -}}
{{- .Files.Get "files/gateway.yaml"
  | replace "address: kuma-control-plane, port_value: 5678" (printf "address: %s, port_value: %d" (include "zonegate.host" .) $port)
  | replace "address: 0.0.0.0, port_value: 5678" (printf "address: 0.0.0.0, port_value: %d" $port)
  | replace "address: 127.0.0.1, port_value: 9903" "address: 0.0.0.0, port_value: 9903"
  | replace "sni: kuma-control-plane" (printf "sni: %s" $name)
  | replace "exact: kuma-control-plane" (printf "exact: %s" $name)
  | replace "max_heap_size_bytes: 2147483648" (printf "max_heap_size_bytes: %d" (int64 .Values.maxHeapBytes)) -}}
{{- end }}
{{- define "zonegate.policy" -}}
{{- if eq (include "zonegate.mode" .) "universalZone" -}}
{{- toYaml .Values.policy -}}
{{- else -}}
{{- .Files.Get "files/zonegate.yaml" | trimSuffix "\n" }}
{{ toYaml .Values.policy | indent 10 }}
{{- end -}}
{{- end }}
{{- define "zonegate.closed" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
{{- define "zonegate.small" -}}
requests: { cpu: 10m, memory: 32Mi }
limits: { memory: 256Mi }
{{- end }}
{{- define "zonegate.syncArgs" -}}
- --address={{ include "zonegate.syncAddress" . }}
- --ca-cert-file=/etc/zonegate/tls/control-plane-ca.pem
- --token-file=/etc/zonegate/admin/token
- --base=/etc/zonegate/base/base.yaml
- --output-file=/etc/zonegate/ecds/zonegate.yaml
{{- end }}
{{- define "zonegate.syncMounts" -}}
- { name: policy, mountPath: /etc/zonegate/ecds }
- { name: base, mountPath: /etc/zonegate/base, readOnly: true }
- { name: tls, mountPath: /etc/zonegate/tls, readOnly: true }
- { name: admin-token, mountPath: /etc/zonegate/admin, readOnly: true }
{{- end }}

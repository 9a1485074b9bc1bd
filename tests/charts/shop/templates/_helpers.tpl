{{- define "shop.pod" -}}
automountServiceAccountToken: false
securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
containers:
  - name: main
    image: registry.example/shop:1
    command: [{{ . | quote }}]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
{{- end }}
{{- define "shop.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .release }}-{{ .name }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: {{ .weight | quote }}
    {{- with .policy }}
    helm.sh/hook-delete-policy: {{ . }}
    {{- end }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      {{- include "shop.pod" .name | nindent 6 }}
{{- end }}

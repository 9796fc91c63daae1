{{- define "proficio.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "proficio.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What every pod of proficio has; given root, the part's name, its command and its resources. */ -}}
{{- define "proficio.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "proficio.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
  annotations:
    checksum/settings: {{ $root.Values.settings | sha256sum }}
spec:
  serviceAccountName: {{ .account | default (printf "%s-app" $root.Release.Name) }}
  automountServiceAccountToken: {{ eq .part "worker" }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: {{ .part }}
      image: {{ include "proficio.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: {{- toYaml .command | nindent 8 }}
      envFrom:
        - configMapRef: {name: {{ $root.Release.Name }}-environment}
      {{- with .port }}
      ports:
        - {name: http, containerPort: {{ . }}}
      startupProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 2, failureThreshold: 60}
      readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 10}
      livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 30, failureThreshold: 4}
      {{- end }}
      resources: {{- toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: settings, mountPath: /etc/proficio, readOnly: true}
        - {name: secrets, mountPath: /run/secrets/proficio, readOnly: true}
  volumes:
    - name: data
      persistentVolumeClaim:
        claimName: {{ $root.Values.storage.existingClaim | default (printf "%s-data" $root.Release.Name) }}
    - name: settings
      configMap: {name: {{ $root.Release.Name }}-settings}
    - name: secrets
      secret:
        secretName: {{ $root.Values.secretName | default (printf "%s-secrets" $root.Release.Name) }}
        optional: true
{{- end }}

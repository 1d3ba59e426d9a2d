# hooks.sh - the webhook server (webhooks_server.py) for one script: sourced behind server.sh. start_hooks sets port, ca; each question is a line in
# $dir/asked; what a conversion does wrong is said by the word in $dir/mode. definition: a kind whose versions it converts.
. "$here/lib/certs.sh"
hooks=
trap 'ended=$?; kill $hooks 2>/dev/null; wait $hooks 2>/dev/null; server_finish' EXIT
certificates() { ca "$dir/hook-ca" && cert "$dir/hook-ca" "$dir/hook" /CN=hook subjectAltName=DNS:hook.demo.svc,IP:127.0.0.1; }
start_hooks() {
    certificates || { echo "no certificates"; exit 1; }
    ca=$(base64 -w0 "$dir/hook-ca.crt")
    : >"$dir/mode"
    : >"$dir/asked"
    python3 "$here/webhooks_server.py" "$dir/hook.crt" "$dir/hook.key" "$dir/asked" "$dir/mode" >"$dir/port" 2>"$dir/hook.log" &
    hooks=$!
    for _ in $(seq 200); do [ -s "$dir/port" ] && break; sleep 0.1; done
    port=$(cat "$dir/port")
    [ -n "$port" ] || { echo "the webhook server did not start"; cat "$dir/hook.log"; exit 1; }
}
# definition STORED [CONVERSION]: CronTabs; v1 has host and port, v2 an address, v3 is a version that is not served.
definition() {
    stored=$1
    s='subresources: { status: {}, scale: { specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas } }'
    common='replicas: { type: integer }, note: { type: string }'
    cat <<END | k apply -f -
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: crontabs.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ ct ] }
  conversion: ${2:-"{ strategy: Webhook, webhook: { conversionReviewVersions: [ v1, v1beta1 ], clientConfig: { url: 'https://127.0.0.1:$port/convert', caBundle: $ca } } }"}
  versions:
  - { name: v1, served: true, storage: $([ $stored = v1 ] && echo true || echo false), $s, selectableFields: [ { jsonPath: .spec.host } ],
      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, properties: { host: { type: string }, port: { type: integer }, $common } },
                status: { type: object, properties: { replicas: { type: integer } } } } } } }
  - { name: v2, served: true, storage: $([ $stored = v2 ] && echo true || echo false), $s, selectableFields: [ { jsonPath: .spec.address } ],
      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, properties: { address: { type: string }, $common } },
                status: { type: object, properties: { replicas: { type: integer } } } } } } }
END
}

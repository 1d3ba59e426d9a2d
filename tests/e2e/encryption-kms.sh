#!/bin/bash
# encryption-kms.sh BUILD_DIR - encryption at rest with a KMS v2 plugin. Skips (exit 0, with a reason) where pip gives no grpcio.
build=$1
here=$(dirname "$0")
. "$here/lib/server.sh"
kms=
trap 'ended=$?; kill $kms 2>/dev/null; server_finish' EXIT
if ! python3 -c 'import grpc' 2>/dev/null; then
    timeout 120 python3 -m pip install -q --target "$dir/py" grpcio >/dev/null 2>&1
    export PYTHONPATH="$dir/py"
    if ! python3 -c 'import grpc' 2>/dev/null; then
        echo "skipped: no grpcio for python3"
        exit 0
    fi
fi
config="$dir/encryption.yaml"
cat >"$config" <<END
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - kms: {apiVersion: v2, name: vault, endpoint: "unix://$dir/kms.sock", timeout: 10s}
  - identity: {}
END
start_kms() {
    rm -f "$dir/kms.sock"
    : >"$dir/kms.log"
    python3 "$here/encryption-kms.py" "$dir/kms.sock" "$dir/key" >>"$dir/kms.log" 2>&1 &
    kms=$!
    for _ in $(seq 200); do grep -q ready "$dir/kms.log" && return; sleep 0.1; done
    fail "the plugin did not start" "$(cat "$dir/kms.log")"
}
server_flags="--encryption-provider-config $config"
run() {
    : >"$dir/log"
    try_server
}
start() { run || no_server; }
stop() {
    kill "$pid"
    wait "$pid" 2>/dev/null
    rm -f "$KUBECONFIG"
}
hidden=$(printf 'correct horse battery' | base64 -w0)
on_disk() { grep -rqaF "$1" "$dir/state/store"; }
echo key-1 >"$dir/key"

run && fail "the server started without its KMS plugin"
wait "$pid"
grep -q "KMS plugin 'vault'" "$dir/log" || fail "the missing plugin is named" "$(cat "$dir/log")"
start_kms
start
k create secret generic word --from-literal=word='correct horse battery' >/dev/null
on_disk 'k8s:enc:kms:v2:vault:' || fail "no record has the frame of KMS v2"
on_disk "$hidden" && fail "the Secret is readable on the disk"
c "$url/readyz?verbose" | grep -q 'kms-providers ok' || fail "readyz knows the plugin" "$(c "$url/readyz?verbose")"
stop
start
want "$hidden" get secret word -o jsonpath='{.data.word}'
[ "$(grep -c 'decrypt key-1' "$dir/kms.log")" = 1 ] || fail "the plugin is asked once for a seed" "$(cat "$dir/kms.log")"
before=$(k get secret word -o jsonpath='{.metadata.resourceVersion}')
k get secrets -A -o json | k replace -f - >/dev/null
[ "$(k get secret word -o jsonpath='{.metadata.resourceVersion}')" = "$before" ] || fail "under the same key nothing is stale"
stop

# The plugin's key turns over.
echo key-2 >"$dir/key"
start
want "$hidden" get secret word -o jsonpath='{.data.word}'
k get secrets -A -o json | k replace -f - >/dev/null
[ "$(k get secret word -o jsonpath='{.metadata.resourceVersion}')" != "$before" ] || fail "what is under the key of before is stale"
stop
kill "$kms"
wait "$kms" 2>/dev/null
start_kms
start
want "$hidden" get secret word -o jsonpath='{.data.word}'
grep -q 'decrypt key-2' "$dir/kms.log" || fail "the plugin was not asked" "$(cat "$dir/kms.log")"
grep -q 'decrypt key-1' "$dir/kms.log" && fail "something is still under the first key" "$(cat "$dir/kms.log")"
stop
exit $bad

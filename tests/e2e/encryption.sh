#!/bin/bash
# encryption.sh BUILD_DIR - encryption at rest: what the disk holds, keys that turn over, a key that is missing, a configuration that changes.
build=$1
. "$(dirname "$0")/lib/server.sh"
config="$dir/encryption.yaml"
one=$(head -c 32 /dev/urandom | base64 -w0)
two=$(head -c 32 /dev/urandom | base64 -w0)
three=$(head -c 32 /dev/urandom | base64 -w0)
# configure PROVIDERS: of secrets and of one custom kind.
configure() {
    printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets, "*.shop.example"]\n  providers:\n%s\n' "$1" >"$config.new"
    mv "$config.new" "$config"
}
key() { printf '  - %s: {keys: [{name: %s, secret: %s}]}' "$1" "$2" "$3"; }
# run: with $config, and a log of its own.
run() {
    : >"$dir/log"
    server_flags=${config:+--encryption-provider-config $config}
    try_server
}
start() { run || no_server; }
stop() {
    kill "$pid"
    wait "$pid" 2>/dev/null
    rm -f "$KUBECONFIG"
}
# refused TEXT...: the server does not start, and says so.
refused() {
    if run; then
        stop
        fail "the server started: $*"
        return
    fi
    wait "$pid" && fail "the server ended well: $*"
    for text; do
        grep -qF "$text" "$dir/log" || fail "wanted: $text" "$(cat "$dir/log")"
    done
}
# Base64 of "correct horse battery", as the API has it in a Secret.
hidden=$(printf 'correct horse battery' | base64 -w0)
on_disk() { grep -rqaF "$1" "$dir/state/store"; }

# Before: everything is plain.
plain_config=$config
config=
start
k create secret generic early --from-literal=word='correct horse battery' >/dev/null
k create configmap open --from-literal=word='plain to see' >/dev/null
on_disk "$hidden" || fail "a Secret without encryption is on the disk: the test looks in the wrong place"
stop
config=$plain_config

# What was plain can be read as long as identity is listed; what is written is not.
configure "$(key aesgcm key1 "$one")"
refused "/secrets/default/early" "is not encrypted, and 'identity' is not among the providers of 'secrets'"
configure "$(key aesgcm key1 "$one")
  - identity: {}"
start
want "$hidden" get secret early -o jsonpath='{.data.word}'
k create secret generic later --from-literal=word='staple of the second' >/dev/null
later=$(printf 'staple of the second' | base64 -w0)
want "$later" get secret later -o jsonpath='{.data.word}'
on_disk "$later" && fail "a new Secret is readable on the disk"
on_disk 'k8s:enc:aesgcm:v1:key1:' || fail "no record has the frame of aesgcm"
on_disk 'plain to see' || fail "ConfigMaps are not encrypted here"
k create -f - >/dev/null <<'END'
{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.shop.example"},"spec":{"group":"shop.example","scope":"Namespaced",
"names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"text":{"type":"string"}}}}}]}}
END
k wait --for condition=Established crd/widgets.shop.example >/dev/null
k create -f - >/dev/null <<'END'
{"apiVersion":"shop.example/v1","kind":"Widget","metadata":{"name":"w"},"text":"the widget whispers"}
END
want 'the widget whispers' get widgets w -o yaml
on_disk 'the widget whispers' && fail "a custom object is readable on the disk"

# A write that changes nothing writes when the key is another one, and not again.
before=$(k get secret early -o jsonpath='{.metadata.resourceVersion}')
fresh=$(k get secret later -o jsonpath='{.metadata.resourceVersion}')
k get secrets -A -o json | k replace -f - >/dev/null
[ "$(k get secret early -o jsonpath='{.metadata.resourceVersion}')" != "$before" ] || fail "a Secret of before was not written again"
[ "$(k get secret later -o jsonpath='{.metadata.resourceVersion}')" = "$fresh" ] || fail "a Secret under the key of now was written again"
stop

# Another start: no plain one is left. The files are sound without any key.
configure "$(key aesgcm key1 "$one")"
"$build/keelson" store check --state-dir "$dir/state" >"$dir/check" 2>&1 || fail "store check" "$(cat "$dir/check")"
start
want "$hidden" get secret early -o jsonpath='{.data.word}'
stop

# A new key in front; the configuration is read again while the server runs.
config=
refused "is encrypted (k8s:enc:aesgcm:v1:key1:" "no encryption configuration is given"
config=$plain_config
start
configure "$(key secretbox key2 "$two")
$(key aesgcm key1 "$one")"
kill -HUP "$pid"
for _ in $(seq 100); do
    k create secret generic probe --from-literal=a=b >/dev/null
    on_disk 'k8s:enc:secretbox:v1:key2:' && break
    k delete secret probe >/dev/null
    sleep 0.2
done
on_disk 'k8s:enc:secretbox:v1:key2:' || fail "the new configuration is not used" "$(cat "$dir/log")"
stop
configure "$(key secretbox key2 "$two")"
refused "was written with key 'key1' (aesgcm), which the encryption configuration does not list for"
configure "$(key secretbox key2 "$two")
$(key aesgcm key1 "$three")"
refused "cannot be decrypted with key 'key1' (aesgcm)"
configure "$(key secretbox key2 "$two")
$(key aesgcm key1 "$one")"
start
k get secrets -A -o json | k replace -f - >/dev/null
k get widgets -A -o json | k replace -f - >/dev/null
printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: []\n' >"$config"
kill -HUP "$pid"
for _ in $(seq 100); do grep -q 'configuration of before stays' "$dir/log" && break; sleep 0.1; done
grep -q 'configuration of before stays' "$dir/log" || fail "a wrong configuration is told"
want "$hidden" get secret early -o jsonpath='{.data.word}'
stop
configure "$(key aescbc key3 "$three")
$(key secretbox key2 "$two")"
start
want "$hidden" get secret early -o jsonpath='{.data.word}'
want 'the widget whispers' get widgets w -o yaml
k get secrets -A -o json | k replace -f - >/dev/null
on_disk 'k8s:enc:aescbc:v1:key3:' || fail "no record has the frame of aescbc"
on_disk "$later" && fail "a Secret is readable on the disk"
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
want "$later" get secret later -o jsonpath='{.data.word}'
stop
printf 'kind: Wrong\n' >"$config"
refused "must be EncryptionConfiguration of apiserver.config.k8s.io/v1"
exit $bad

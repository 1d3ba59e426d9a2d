#!/bin/sh
# trust.verify and `keelson plugin sign|verify|keys`: unsigned files, wrong keys, changed bytes; what is verified is what is loaded.
# usage: trust.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
# shellcheck source=tests/e2e/lib/server.sh
. "$(dirname "$0")/lib/server.sh"
so=$dir/plugins
mkdir "$so"
for p in store-memory authn-x509 authz-groups scheduler-spread scheduler-binpack; do cp "$build/plugins/$p.so" "$so" || exit 1; done
keelson() { "$build/keelson" "$@" 2>&1; }
cat >"$dir/k.cfg" <<END
trust: { verify = "enforce"; keys = "$dir/trust"; };
chains: { authn = [ "x509" ]; authz = [ "groups" ]; admission = [ ]; };
instances = ( { plugin = "store-memory"; }, { plugin = "authn-x509"; }, { plugin = "authz-groups"; },
  { plugin = "scheduler-spread"; },
  { plugin = "scheduler-binpack"; } );
END
# check STATUS TEXT [OPTION...]: check-config ends so and says so.
check() {
    status=$1 text=$2
    shift 2
    out=$(keelson check-config --config "$dir/k.cfg" --plugins "$so" --state-dir "$dir/state" "$@")
    case "$?:$out" in
    "$status":*"$text"*) ;;
    *) fail "check-config $*" "wanted: $status $text" "got: $out" ;;
    esac
}
# says STATUS TEXT ARGUMENT...: keelson does.
says() {
    status=$1 text=$2
    shift 2
    out=$(keelson "$@")
    case "$?:$out" in
    "$status":*"$text"*) ;;
    *) fail "keelson $*" "wanted: $status $text" "got: $out" ;;
    esac
}

# --- keys ---
says 0 "$dir/acme.sec  the secret key" plugin keys generate --dir "$dir" acme
says 0 "" plugin keys generate --dir "$dir" other
[ "$(stat -c %a "$dir/acme.sec")" = 600 ] || fail "the secret key's mode"
says 1 "is there already" plugin keys generate --dir "$dir" acme
says 2 "needs one NAME" plugin keys generate --dir "$dir" ../x
says 0 "" plugin keys list --trusted-keys "$dir/trust"
echo nonsense >"$dir/bad.pub"
says 1 "is not a public key" plugin keys trust --trusted-keys "$dir/trust" "$dir/bad.pub"
says 2 "must be a file NAME.pub" plugin keys trust --trusted-keys "$dir/trust" "$dir/acme.sec"
says 2 "did you mean 'trust'" plugin keys trst x
says 2 "--key is missing" plugin sign "$so/store-memory.so"
says 1 "is not a secret key" plugin sign --key "$dir/acme.pub" "$so/store-memory.so"

# --- enforce ---
check 2 "k.cfg:2: chain 'authn' names 'x509', which is REFUSED: '$so/authn-x509.so' is not signed: \`keelson plugin sign --key KEY FILE\`"
says 0 "" plugin sign --key "$dir/acme.sec" "$so"/*.so
check 2 "which '$dir/trust' does not have: \`keelson plugin keys trust NAME.pub\`"
says 0 "" plugin keys trust --trusted-keys "$dir/trust" "$dir/acme.pub"
says 0 "acme  " plugin keys list --trusted-keys "$dir/trust"
check 0 "5 plugin instances, no mistakes found"
says 0 "signed by 'acme'" plugin verify --trusted-keys "$dir/trust" "$so/scheduler-spread.so"
# one changed byte behind what is loaded: no test but the signature's sees it
printf x >>"$so/scheduler-spread.so"
check 2 "k.cfg:4: '$so/scheduler-spread.so' is not what key "
says 1 "file or signature was changed" plugin verify --trusted-keys "$dir/trust" "$so/scheduler-spread.so"
says 0 "" plugin sign --key "$dir/other.sec" "$so/scheduler-spread.so"
check 2 "k.cfg:4: '$so/scheduler-spread.so' is signed by key "
echo nonsense >"$so/scheduler-spread.so.sig"
check 2 "is not a signature"
chmod 666 "$dir/trust/acme.pub"
check 2 "acme.pub' can be written by others"
chmod 644 "$dir/trust/acme.pub"
echo nonsense >"$dir/trust/bad.pub"
check 2 "bad.pub' is not a public key"
rm "$dir/trust/bad.pub"
# in the command line's words
check 0 "no mistakes found" --verify off
check 2 "--verify is 'maybe', must be off, warn or enforce" --verify maybe
sed -i 's/"enforce"/"enforced"/' "$dir/k.cfg"
check 2 "k.cfg:1: 'verify' is 'enforced', must be off, warn or enforce"
sed -i 's/"enforced"/"enforce"/' "$dir/k.cfg"

# --- warn: a line, and it goes on ---
check 0 "no mistakes found" --verify warn
case "$out" in *" W plugin: "*"is not a signature"*) ;; *) fail "warn says nothing" "$out" ;; esac

# --- the daemon under enforce: a bad scheduler is REFUSED, the rest serves ---
server_flags="--config $dir/k.cfg --plugins $so"
start_server
keelson plugin status --config "$dir/k.cfg" --state-dir "$dir/state" >"$dir/status"
grep -q '^binpack .*READY' "$dir/status" || fail "binpack" "$(cat "$dir/status")"
grep -q "REFUSED.*is not a signature" "$dir/status" || fail "the unsigned scheduler" "$(cat "$dir/status")"
# What runs is the sealed copy, not the file.
grep -q 'memfd:scheduler-binpack.so' "/proc/$pid/maps" || fail "binpack is not loaded from its verified copy"
grep -q "$so/" "/proc/$pid/maps" && fail "a file of the folder is mapped" "$(grep "$so/" "/proc/$pid/maps")"
want 'ok' get --raw /readyz
kill "$pid" && wait "$pid"
# What is required must be good.
cp "$dir/status" "$so/store-memory.so.sig"
out=$(timeout 60 "$build/keelson" server --config "$dir/k.cfg" --plugins "$so" --state-dir "$dir/state" --port 0 2>&1)
case "$?:$out" in 1:*"store-memory"*"is not a signature"*) ;; *) fail "a server without its store" "$out" ;; esac

# --- digest of one instance, whatever the rule ---
sum=$(sha256sum "$so/scheduler-binpack.so" | cut -d' ' -f1)
sed -i "s|plugin = \"scheduler-binpack\";|& digest = \"sha256:$sum\";|" "$dir/k.cfg"
check 0 "no mistakes found" --verify off
printf x >>"$so/scheduler-binpack.so"
check 2 "k.cfg:5: '$so/scheduler-binpack.so' is not the file that 'digest' names" --verify off

says 0 "" plugin keys remove --trusted-keys "$dir/trust" acme
says 1 "cannot be removed" plugin keys remove --trusted-keys "$dir/trust" acme
# The format is signify's.
if command -v signify-openbsd >/dev/null; then
    signify-openbsd -G -n -p "$dir/theirs.pub" -s "$dir/theirs.sec" -c theirs
    says 0 "" plugin keys trust --trusted-keys "$dir/trust" "$dir/theirs.pub"
    signify-openbsd -S -s "$dir/theirs.sec" -m "$so/authn-x509.so"
    says 0 "signed by 'theirs'" plugin verify --trusted-keys "$dir/trust" "$so/authn-x509.so"
    says 0 "" plugin sign --key "$dir/acme.sec" "$so/authn-x509.so"
    signify-openbsd -V -q -p "$dir/acme.pub" -m "$so/authn-x509.so" || fail "signify does not verify what we sign"
fi
exit $bad

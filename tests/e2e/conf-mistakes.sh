#!/bin/sh
# Every mistake in the configuration ends with status 2 and a sentence with file, line and, where one is near, what was meant.
# usage: conf-mistakes.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0 rows=0
good='{ plugin = "store-memory"; }, { plugin = "authn-x509"; }, { plugin = "authz-groups"; }'

# check WANTED: the configuration in $dir/k.cfg ends check-config with status 2 and this text; so does the server.
check() {
    rows=$((rows + 1))
    for command in check-config server; do
        out=$(timeout 20 "$build/keelson" $command --config "$dir/k.cfg" --plugins "$dir/plugins" --state-dir "$dir/state" --port 0 2>&1)
        rc=$?
        case "$rc:$out" in
        2:*"$1"*) ;;
        *)
            echo "FAILED: $command: wanted status 2 and \"$1\""
            echo "  got $rc: $out"
            sed 's/^/    /' "$dir/k.cfg"
            bad=1
            ;;
        esac
    done
}
# wrong WANTED TEXT: TEXT in front of a list of instances that is good.
wrong() {
    printf '%s\ninstances = ( %s );\n' "$2" "$good" >"$dir/k.cfg"
    check "k.cfg:$1"
}
# entry WANTED TEXT: TEXT as one more instance, on line 2.
entry() {
    printf 'instances = ( %s,\n  %s );\n' "$good" "$2" >"$dir/k.cfg"
    check "k.cfg:$1"
}
# whole WANTED TEXT
whole() {
    printf '%b' "$2" >"$dir/k.cfg"
    check "$1"
}

mkdir "$dir/plugins"
for f in "$build"/plugins/*.so; do cp "$f" "$dir/plugins/"; done
for way in cycle_a cycle_b need_other; do
    gcc -shared -fPIC -w -I"$here/../../sdk/include" -DBAD_NAME="\"$way\"" "-DBAD_$(echo $way | tr a-z A-Z)" -o "$dir/plugins/$way.so" "$here/bad-plugins/bad.c" || exit 1
done

# the file
whole "k.cfg:2: syntax error" 'a = \n'
whole "k.cfg:2: a text that begins here has no closing quote" 'x = 1;\nserver: { address = "127.0.0.1; };\ninstances = ();\n'
whole "k.cfg:3: duplicate setting name" 'server: { port = 1; };\n\nserver: { port = 2; };\n'
whole "k.cfg:2: " 'x = 1;\n@include "nothing.cfg"\n'
whole "k.cfg:1: '5000000000' does not fit into 32 bits" 'server: { port = 5000000000; };\ninstances = ( );\n'
whole "k.cfg:2: a text is not UTF-8" 'instances = (\n { plugin = "a\0377"; } );\n'
whole "k.cfg:1: '\\xff' is half a character" 'instances = ( { plugin = "a\\xff"; } );\n'
whole "has no 'instances'" 'server: { };\n'
rm -f "$dir/k.cfg"
check "configuration file '$dir/k.cfg' cannot be read"

# groups and their settings
wrong "1: unknown setting 'sever'; did you mean 'server'?" 'sever: { port = 1; };'
wrong "1: unknown setting 'xyzzy'" 'xyzzy = 3;'
wrong "2: unknown setting 'prot'; did you mean 'port'?" "server: {
  prot = 1; };"
wrong "1: unknown setting 'sate'; did you mean 'state'?" 'paths: { sate = "/x"; };'
wrong "1: unknown setting 'cluster-cdir'" 'node: { cluster-cdir = "x"; };'
wrong "1: 'server' must be a group { ... }" 'server = 3;'
wrong "1: 'port' must be a number" 'server: { port = "6443"; };'
wrong "1: 'port' is 70000, must be 0..65535" 'server: { port = 70000; };'
wrong "1: 'address' must be a text" 'server: { address = 127; };'
wrong "1: 'node_ports' is 'many', must be two ports such as 30000-32767" 'server: { node_ports = "many"; };'
wrong "1: 'address' is '300.1.1.1', must be an IPv4 address" 'server: { address = "300.1.1.1"; };'
wrong "1: 'service_cidr' is '10.96.0.0', must be a range of addresses such as 10.96.0.0/12" 'server: { service_cidr = "10.96.0.0"; };'
wrong "1: 'cluster_cidr' is '10.0.0.0/99', must be a range of addresses such as 10.96.0.0/12" 'node: { cluster_cidr = "10.0.0.0/99"; };'
wrong "1: 'name' is 'No_Node', must be a name of small letters, digits, '-' and '.'" 'node: { name = "No_Node"; };'
wrong "1: unknown setting 'admision'; did you mean 'admission'?" 'chains: { admision = [ ]; };'
wrong "1: 'authn' must be a list" 'chains: { authn = "x509"; };'
wrong "1: chain 'authn' names what is no instance of keelson.authn/0: 'x508'; did you mean 'x509'?" 'chains: { authn = [ "x508" ]; };'
wrong "1: chain 'authz' names what is no instance of keelson.authz/0: 'x509'" 'chains: { authz = [ "x509" ]; };'
wrong "1: chain 'authn' names 'x509' twice" 'chains: { authn = [ "x509", "x509" ]; };'
whole "k.cfg:1: 'instances' must be a list" 'instances: { };\n'
whole "k.cfg:1: an instance must be a group" 'instances = ( "store-wal" );\n'

# instances
entry "2: an instance needs 'plugin'" '{ name = "x"; }'
entry "2: unknown setting 'plugn'; did you mean 'plugin'?" '{ plugn = "x"; }'
entry "2: folder '$dir/plugins' has no plugin 'scheduler-bnpack'; did you mean 'scheduler-binpack'?" '{ plugin = "scheduler-bnpack"; }'
entry "2: plugin 'dev.keelson.admission-core' has no provider 'prority'; did you mean 'priority'?" '{ plugin = "admission-core"; provider = "prority"; }'
entry "2: plugin 'dev.keelson.admission-core' has no provider 'x'" '{ plugin = "admission-core"; without = [ "x" ]; }'
entry "2: plugin 'dev.keelson.admission-core' has 14 providers: 'name' needs 'provider' beside it" '{ plugin = "admission-core"; name = "x"; }'
entry "2: an instance 'x509' of keelson.authn/0 is there already" '{ plugin = "authn-x509"; }'
entry "2: an instance's name may have 63 letters" '{ plugin = "scheduler-spread"; name = "a b"; }'
entry "2: an instance's name may have 63 letters" "{ plugin = \"scheduler-spread\"; name = \"$(printf '%064d' 0)\"; }"
entry "2: an instance's name must not be empty" '{ plugin = "scheduler-spread"; name = ""; }'
entry "2: 'on' is 'sever', must be one of server|node" '{ plugin = "scheduler-spread"; on = "sever"; }'
entry "2: 'required' must be true or false" '{ plugin = "scheduler-spread"; required = "yes"; }'
entry "2: 'settings' must be a group { ... }" '{ plugin = "scheduler-spread"; settings = 3; }'
entry "2: instances wait for each other: 'cycle_a' needs 'com.acme.b/0' of 'cycle_b', 'cycle_b' needs 'com.acme.a/0' of 'cycle_a'" \
    '{ plugin = "cycle_a"; }, { plugin = "cycle_b"; }'

# settings of plugins
entry "3: 'dev.keelson.scheduler-spread' has no setting 'owner_weigth'; did you mean" '{ plugin = "scheduler-spread"; settings = {
  owner_weigth = 3; }; }'
printf 'instances = ( { plugin = "store-wal"; settings = { dir = "$(stat)/store"; }; }, { plugin = "authn-x509"; } );\n' >"$dir/k.cfg"
check "k.cfg:1: 'dir' uses the unknown variable \$(stat); did you mean \$(state)?"
printf 'instances = ( { plugin = "store-wal"; settings = { dir = "$(state/store"; }; }, { plugin = "authn-x509"; } );\n' >"$dir/k.cfg"
check "k.cfg:1: 'dir' has a '\$(' without its ')'"
printf 'instances = ( { plugin = "store-wal"; settings = {\n dir = 3; checkpoint = "-1"; }; } );\n' >"$dir/k.cfg"
check "k.cfg:2: "

# conf.d
printf 'server: { port = 0; };\ninstances = ( %s );\n' "$good" >"$dir/k.cfg"
mkdir "$dir/conf.d"
printf 'chains: {\n authn = [ "x509"; };\n' >"$dir/conf.d/10-a.cfg"
check "conf.d/10-a.cfg:2: syntax error"
printf '\nserver: { port = 7; };\n' >"$dir/conf.d/10-a.cfg"
check "conf.d/10-a.cfg:2: 'port' is set already at $dir/k.cfg:1"
printf 'instances = (\n { plugin = "scheduler-sprad"; } );\n' >"$dir/conf.d/10-a.cfg"
check "conf.d/10-a.cfg:2: folder '$dir/plugins' has no plugin 'scheduler-sprad'; did you mean 'scheduler-spread'?"
printf '@include "k.cfg"\n' >"$dir/conf.d/10-a.cfg"
check "conf.d/10-a.cfg:1: "
rm -r "$dir/conf.d"

# A need that nobody meets is a mistake for check-config; the server goes on without that instance (bad-plugins.sh).
printf 'instances = ( %s,\n  { plugin = "need_other"; } );\n' "$good" >"$dir/k.cfg"
out=$("$build/keelson" check-config --config "$dir/k.cfg" --plugins "$dir/plugins" --state-dir "$dir/state" 2>&1)
case "$?:$out" in 2:*"k.cfg:2: instance 'need_other' needs 'com.acme.nobody/0', which no instance provides"*) ;; *) echo "FAILED: need: $out" && bad=1 ;; esac
# And what ships is right.
"$build/keelson" check-config --state-dir "$dir/state" --config "$here/../../conf/keelson.cfg" --plugins "$build/plugins" >"$dir/out" 2>&1 || {
    echo "FAILED: the shipped configuration: $(cat "$dir/out")"
    bad=1
}
echo "$rows mistakes"
exit $bad

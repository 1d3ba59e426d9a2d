#!/bin/sh
# Every command: --help is on standard output with status 0; what is not understood is told on standard error with status 2 and, where
# something is near, what was meant. usage: cli.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
# run STATUS STREAM TEXT ARGUMENT...: the status; TEXT in that stream (out, err), and nothing in the other.
run() {
    status=$1 stream=$2 text=$3
    shift 3
    timeout 20 "$build/keelson" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    rc=$?
    other=$([ "$stream" = out ] && echo err || echo out)
    if [ "$rc" != "$status" ] || ! grep -qF -e "$text" "$dir/$stream" || [ -s "$dir/$other" ]; then
        echo "FAILED: keelson $*: wanted status $status and '$text' alone on $stream; got $rc"
        head -3 "$dir/out" "$dir/err"
        bad=1
    fi
}
run 0 out "usage: keelson COMMAND" --help
run 0 out "usage: keelson COMMAND" help
run 2 err "usage: keelson COMMAND"
commands=$("$build/keelson" --help | awk 'NR > 1 { print $1 }')
[ "$(echo "$commands" | wc -w)" -gt 5 ] || { echo "FAILED: --help lists no commands"; bad=1; }
for c in $commands; do
    run 0 out "usage: keelson $c" "$c" --help
    run 2 err "keelson" "$c" --no-such-option
    run 2 err "keelson" "$c" no-such-word
    grep -q -e "no-such-word" "$dir/err" || { echo "FAILED: keelson $c no-such-word does not name it"; bad=1; }
done
run 2 err "unknown command 'serverr'; did you mean 'server'?" serverr
run 2 err "unknown command 'chek-config'; did you mean 'check-config'?" chek-config
run 2 err "unknown command 'zzz'" zzz
! grep -q "did you mean" "$dir/err" || { echo "FAILED: nothing is near 'zzz'"; bad=1; }
run 2 err "plugin: unknown command 'inspct'; did you mean 'inspect'?" plugin inspct x
run 2 err "store: unknown command 'chekc'; did you mean 'check'?" store chekc
run 2 err "image: unknown command 'lsit'; did you mean 'list'?" image lsit
run 2 err "server: unknown argument '--prot=5'; did you mean '--port'?" server --prot=5
run 2 err "--port needs a value" server --port
run 2 err "--port is 'x', must be 0..65535" server --port x
run 2 err "--port is '65536', must be 0..65535" server --port=65536
run 2 err "--node-ports is '5-1', must be two ports" up --node-ports 5-1
run 2 err "--address is 'here', must be an IPv4 address" server --address here
run 2 err "--service-cidr is '', must be a range of addresses" server --service-cidr=
run 2 err "--node-name is 'A_b', must be a name" up --node-name A_b
run 2 err "a form is json, yaml or protobuf, not 'xml'" convert --to xml
run 2 err "--from needs a value" convert --from
run 2 err "usage: keelson plugin inspect" plugin inspect
run 2 err "configuration file '/nowhere/k.cfg' cannot be read" check-config --config /nowhere/k.cfg
for sub in list status; do run 0 out "usage: keelson plugin $sub" plugin $sub --help; done
for sub in check repair; do run 0 out "usage: keelson store $sub" store $sub --help; done
for sub in build import list inspect remove; do run 0 out "usage: keelson image" image $sub --help; done
run 0 out "usage: keelson plugin inspect" plugin inspect --help
# What cannot be written is a failure.
echo '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}' | "$build/keelson" convert >/dev/full 2>"$dir/err"
[ $? = 1 ] && grep -q 'cannot be written' "$dir/err" || { echo "FAILED: convert to a full disk"; bad=1; }
exit $bad

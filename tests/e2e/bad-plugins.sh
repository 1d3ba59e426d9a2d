#!/bin/sh
# Files that are no plugins, damaged ones, and plugins that misbehave while they are loaded: `plugin inspect` refuses each with a sentence
# and status 1; a daemon that is configured with all of them serves, and tells each reason; one that requires one does not start.
# usage: bad-plugins.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
sdk=$here/../../sdk/include
dir=$(mktemp -d)
bad=0
pid=
# A sanitizer must not catch what the plugins do: it is the loader's to tell.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:handle_segv=0:handle_abort=0:handle_sigbus=0:detect_leaks=0" BAD_PID="$dir/pid"
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
so=$dir/plugins
mkdir "$so"
say() {
    echo "FAILED: $1"
    bad=1
}

# --- the files ---

gcc -O1 -o "$dir/forge" "$here/bad-plugins/forge.c" || exit 1
# plugin NAME [-DBAD_WAY...]
plugin() {
    name=$1
    shift
    gcc -shared -fPIC -w -O0 -I"$sdk" -DBAD_NAME="\"$name\"" "$@" -o "$so/$name.so" "$here/bad-plugins/bad.c" || exit 1
}
plugin good
for way in machine class order type phnum phentsize phoff load notes notesoff namesz descsz unterminated notetype name abi noid version; do
    "$dir/forge" "$way" "$so/good.so" "$so/$way.so" || say "forge $way"
done
: >"$so/empty.so"
echo 'int main;' >"$so/text.so"
head -c 20000 /dev/zero >"$so/zeros.so"
for way in crash abort kill exit leave hang spin deep fork daemon fork_crash close undefined abi_table small no_open no_score no_table revision iface \
    need need_revision need_hidden need_other open; do
    plugin "$way" "-DBAD_$(echo "${way%_table}" | tr a-z A-Z | sed 's/^NO$/NO_TABLE/')"
done
gcc -shared -fPIC -w -I"$sdk" -DBAD_NAME='"hidden"' -Wl,--version-script=/dev/stdin -o "$so/hidden.so" "$here/bad-plugins/bad.c" <<'EOF'
{ local: *; };
EOF
cp "$so/good.so" "$so/writable.so" && chmod 666 "$so/writable.so"
ln -s good.so "$so/link.so"
mkdir "$so/folder.so" "$dir/open" && chmod 777 "$dir/open" && cp "$so/good.so" "$dir/open/open-folder.so"
mkfifo "$so/fifo.so"

# --- inspect ---

# refused FILE TEXT: status 1, and the sentence names the file and holds TEXT.
refused() {
    out=$(timeout 10 "$build/keelson" plugin inspect "$1" 2>&1 >/dev/null)
    rc=$?
    case "$rc:$out" in
    1:*"keelson: '$1'"*"$2"*) ;;
    *) say "inspect $1: wanted status 1 and '$2', got $rc '$out'" ;;
    esac
}
"$build/keelson" plugin inspect "$so/good.so" >"$dir/out" 2>&1 || say "the good plugin is refused: $(cat "$dir/out")"
grep -q 'loads' "$dir/out" || say "the good plugin does not load: $(cat "$dir/out")"
while read -r name text; do
    refused "$so/$name.so" "$text"
done <<'EOF'
nothing cannot be opened: No such file
empty is empty
text is not an ELF file
zeros is not an ELF file
machine is made for another machine (ELF machine 22)
class is an ELF file of another class or byte order
order is an ELF file of another class or byte order
type is not a shared object
phnum has absurd program headers
phentsize has absurd program headers
phoff is cut short
load is cut short
notes has notes of absurd size
notesoff is cut short
namesz carries no keelson note
descsz carries no keelson note
unterminated carries no keelson note
notetype carries no keelson note
name carries no keelson note
abi is made for plugin ABI 9; this host speaks 1
noid carries no keelson note
version its descriptor differs from its note
abi_table its descriptor is of another ABI
crash dies by signal 11 while it is loaded
abort dies by signal 6 while it is loaded
kill dies by signal 9 while it is loaded
deep dies by signal 11 while it is loaded
exit exits with status 3 while it is loaded
leave exits with status 0 while it is loaded
close exits with status 1 while it is loaded
hang hangs while it is loaded
spin hangs while it is loaded
fork cannot be loaded: it starts a process while it is loaded
daemon cannot be loaded: it starts a process while it is loaded
fork_crash dies by signal 11 while it is loaded
undefined undefined symbol: nowhere
hidden it does not export kl_plugin
small its provider 'small' of 'keelson.scheduler/0' lacks the function 'open'
no_open its provider 'no_open' of 'keelson.scheduler/0' lacks the function 'open'
no_score its provider 'no_score' of 'keelson.scheduler/0' lacks the function 'score'
no_table its provider 'no_table' has no table
revision it provides 'keelson.scheduler/9', which this host does not know; it knows 'keelson.scheduler/0'
iface it provides 'keelson.astrology/0', which this host does not know
need it needs 'keelson.host.astrology/0', which this host does not know
need_revision it needs 'keelson.host.objects/9', which this host does not know; it knows 'keelson.host.objects/0'
need_hidden its descriptor differs from its note
writable can be written by others (mode 0666)
link is a symbolic link
folder is not a regular file
fifo is not a regular file
EOF
out=$(timeout 10 "$build/keelson" plugin inspect "$dir/open/open-folder.so" 2>&1 >/dev/null)
case "$?:$out" in 1:*"'$dir/open' can be written by others (mode 0777)"*) ;; *) say "a folder that others write to: $out" ;; esac
if [ "$(id -u)" = 0 ]; then
    cp "$so/good.so" "$so/foreign.so" && chown 65534 "$so/foreign.so"
    refused "$so/foreign.so" "belongs to user 65534"
fi
# Cut anywhere before the end of what is loaded.
end=$(readelf -lW "$so/good.so" | awk '$1 == "LOAD" { print $2, $5 }' | tail -1 | { read -r at len; echo $((at + len)); })
at=1
while [ "$at" -lt "$end" ]; do
    head -c "$at" "$so/good.so" >"$dir/cut.so"
    out=$(timeout 10 "$build/keelson" plugin inspect "$dir/cut.so" 2>&1 >/dev/null)
    case "$?:$out" in
    1:*"is not an ELF file"* | 1:*"is cut short"*) ;;
    *) say "cut at $at of $end: $out" ;;
    esac
    at=$((at + at / 7 + 1))
done
# gone TEXT: the process that wrote its number is not there any more.
gone() {
    [ -s "$dir/pid" ] || {
        say "$1 started no process"
        return
    }
    p=$(cat "$dir/pid" 2>/dev/null)
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "/proc/$p" ] && ! grep -q '^State:.Z' "/proc/$p/status" 2>/dev/null || return 0
        sleep 0.1
    done
    say "$1 is still there as process $p"
    kill "$p"
}
for name in fork daemon fork_crash; do
    rm -f "$dir/pid"
    "$build/keelson" plugin inspect "$so/$name.so" >/dev/null 2>&1
    gone "$name"
done

# --- the daemon ---

conf() { # INSTANCES: a configuration of the shipped one's store and doors, and these
    cat <<EOF
chains: { authn = [ "x509" ]; authz = [ "groups" ]; admission = [ ]; };
instances = ( { plugin = "store-memory"; }, { plugin = "authn-x509"; }, { plugin = "authz-groups"; }, { plugin = "scheduler-spread"; }$1 );
EOF
}
list=
for f in "$so"/*.so "$so/nothing.so"; do
    list="$list,
  { plugin = \"$f\"; name = \"$(basename "$f" .so)\"; }"
done
conf "$list" >"$dir/all.cfg"
serve() { exec "$build/keelson" server --config "$dir/$1.cfg" --plugins "$build/plugins" --state-dir "$dir/state" --port 0; }
serve all >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
    grep -q 'ready on' "$dir/log" && break
    sleep 0.1
done
grep -q 'ready on' "$dir/log" || {
    say "the server did not start beside bad plugins"
    cat "$dir/log"
    exit 1
}
"$build/keelson" plugin status --config "$dir/all.cfg" --state-dir "$dir/state" >"$dir/status" 2>&1 || say "plugin status: $(cat "$dir/status")"
# state NAME STATE TEXT
state() {
    line=$(grep "^$1 " "$dir/status")
    case "$line" in
    *" $2 "*"$3"*) ;;
    *) say "status of $1: wanted $2 and '$3', got '$line'" ;;
    esac
}
state good READY ""
state spread READY ""
state crash REFUSED "dies by signal 11"
state hang REFUSED "hangs while it is loaded"
state fork REFUSED "it starts a process"
state no_score REFUSED "lacks the function 'score'"
state abi REFUSED "is made for plugin ABI 9"
state nothing REFUSED "cannot be opened"
state need_revision REFUSED "keelson.host.objects/9"
state need_other FAILED "it needs 'com.acme.nobody/0', which nobody here provides"
state open FAILED "the moon is in the wrong place"
for f in "$so"/*.so; do
    name=$(basename "$f" .so)
    case "$name" in good) continue ;; esac
    grep -qE "^$name .* (REFUSED|FAILED) " "$dir/status" || say "status of $name: $(grep "^$name " "$dir/status")"
done
kill -0 "$pid" || say "the server is gone"
kill "$pid"
wait "$pid" || say "the server ended with status $?"
pid=

# required NAME PLUGIN: the start ends with status 1 and says why.
required() {
    conf ", { plugin = \"$so/$1.so\"; required = true; }" >"$dir/one.cfg"
    out=$(serve one 2>&1)
    rc=$?
    case "$rc:$out" in
    1:*"is required but $2: "*"$3"*) ;;
    *) say "required $1: wanted status 1 and '$3', got $rc '$out'" ;;
    esac
}
required crash REFUSED "dies by signal 11"
required empty REFUSED "is empty"
required hang REFUSED "hangs while it is loaded"
required need_other FAILED "which nobody here provides"
required open FAILED "the moon is in the wrong place"
# A store that cannot be loaded is told by its reason, not by its absence.
sed 's|{ plugin = "store-memory"; }|{ plugin = "'"$so/text.so"'"; name = "store"; }|; ' "$dir/one.cfg" >"$dir/two.cfg"
out=$(serve two 2>&1)
case "$?:$out" in 1:*"is not an ELF file"*) ;; *) say "a store that is no plugin: $out" ;; esac
exit $bad

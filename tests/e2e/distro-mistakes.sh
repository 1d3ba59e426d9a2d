#!/bin/sh
# Every mistake in a distribution's manifest, and every bad file in it, ends `distro build` with status 1 and a sentence with file, line and what to
# write instead, before anything is compiled; nothing half-built is left. usage: distro-mistakes.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0 rows=0
# A sanitizer must not catch what the plugins do: it is the loader's to tell.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:handle_segv=0:handle_abort=0:handle_sigbus=0:detect_leaks=0"
unset SOURCE_DATE_EPOCH

# --- what the manifests name ---
mkdir "$dir/in" "$dir/in/folder" "$dir/in/source"
cd "$dir/in" || exit 1
# plugin FILE NAME [-DBAD_WAY...]
plugin() {
    file=$1 name=$2
    shift 2
    gcc -shared -fPIC -w -O0 -I"$top/sdk/include" -DBAD_NAME="\"$name\"" "$@" -o "$file.so" "$here/bad-plugins/bad.c" || exit 1
}
plugin good good
plugin twin good
for way in crash hang exit undefined no_open no_score small iface revision need need_other cycle_a cycle_b fork; do
    plugin "$way" "$way" "-DBAD_$(echo "$way" | tr a-z A-Z)"
done
gcc -O1 -o "$dir/forge" "$here/bad-plugins/forge.c" || exit 1
for way in machine abi version notes load; do "$dir/forge" "$way" good.so "$way.so"; done
: >empty.so
echo text >text.so
cp good.so writable.so && chmod 666 writable.so
ln -s good.so link.so
cp good.so unsigned.so
for k in acme other; do "$build/keelson" plugin keys generate "$k" >/dev/null || exit 1; done
cp good.so signed.so && "$build/keelson" plugin sign --key acme.sec signed.so || exit 1
cp good.so changed.so && "$build/keelson" plugin sign --key acme.sec changed.so && printf x >>changed.so
cp good.so nonsense.so && echo nonsense >nonsense.so.sig
echo nonsense >bad.pub
echo 'no image' >image.tar
printf 'chains: { authn = [ "x509" ]; };\ninstances = ( { plugin = "store-memory"; settings = { sise = 1; }; } );\n' >settings.cfg
sum=$(sha256sum good.so | cut -d' ' -f1)

# build_says WANTED [OPTION...]: of $dir/in/k.cfg.
build_says() {
    wanted=$1
    shift
    rows=$((rows + 1))
    before=$(find "$dir" | sort)
    out=$(timeout 60 "$build/keelson" distro build k.cfg --output "$dir/out" "$@" 2>&1)
    rc=$?
    case "$rc:$out" in
    1:*"$wanted"*) ;;
    *)
        echo "FAILED: wanted status 1 and \"$wanted\""
        echo "  got $rc: $out"
        sed 's/^/    /' k.cfg
        bad=1
        ;;
    esac
    [ "$(find "$dir" | sort)" = "$before" ] || {
        echo "FAILED: files are left or gone after: $wanted"
        bad=1
    }
}
head='distro: { name = "x"; version = "1.0"; };'
# whole WANTED TEXT [OPTION...]: a manifest.
whole() {
    wanted=$1
    printf '%b' "$2" >k.cfg
    shift 2
    build_says "$wanted" "$@"
}
# entries WANTED TEXT [OPTION...]: plugins on line 3 and on; store-memory is on line 2.
entries() {
    wanted=$1
    printf '%s plugins = (\n  { plugin = "store-memory"; },\n%b );\n' "$head" "$2" >k.cfg
    shift 2
    build_says "$wanted" "$@"
}
# rest WANTED TEXT [OPTION...]: on line 2, behind plugins that are right.
rest() {
    wanted=$1
    printf '%s plugins = ( { plugin = "store-memory"; link = "static"; } );\n%b\n' "$head" "$2" >k.cfg
    shift 2
    build_says "$wanted" "$@"
}

# --- the manifest ---
rm -f k.cfg
build_says "configuration file 'k.cfg' cannot be read"
whole "k.cfg:2: syntax error" 'distro: { name = "x";\n plugins = ( ;\n'
whole "k.cfg has no group distro: { name" 'plugins = ( { plugin = "store-memory"; } );\n'
whole "k.cfg:1: unknown setting 'distor'; did you mean 'distro'?" 'distor: { name = "x"; };\n'
whole "k.cfg:2: unknown setting 'vershun'; did you mean 'version'?" 'distro: { name = "x";\n vershun = "1"; };\n'
whole "k.cfg:1: 'distro' needs a 'name'" 'distro: { version = "1"; };\n'
whole "k.cfg:1: 'name' is 'Big X', must be small letters, digits and '-'" 'distro: { name = "Big X"; version = "1"; };\n'
whole "k.cfg:1: 'distro' needs a 'version' such as" 'distro: { name = "x"; };\n'
whole "k.cfg:2: 'version' is '1.0-beta', must be numbers with dots" 'distro: { name = "x";\n version = "1.0-beta"; };\n'
whole "k.cfg:1: 'kernel' is '>=zero', must be a range such as" 'distro: { name = "x"; version = "1"; kernel = ">=zero"; };\n'
whole "k.cfg:1: 'kernel' is '>=9', and this kernel is 0." 'distro: { name = "x"; version = "1"; kernel = ">=9"; };\n'
whole "k.cfg:1: 'libraries' is 'statik', must be one of shared|static" 'distro: { name = "x"; version = "1"; libraries = "statik"; };\n'
whole "k.cfg lists no plugins" "$head\n"
whole "k.cfg:2: k.cfg lists no plugins" "$head\nplugins = ( );\n"
whole "k.cfg:2: " "$head\nplugins = \"store-memory\";\n"

# --- plugins ---
entries "k.cfg:3: an entry of 'plugins' must be a group" '  "store-wal"'
entries "k.cfg:3: an entry of 'plugins' needs 'plugin'" '  { link = "static"; }'
entries "k.cfg:3: the tree has no plugin 'store-wall'; did you mean 'store-wal'?" '  { plugin = "store-wall"; }'
entries "k.cfg:3: the tree has no plugin 'admission-common'" '  { plugin = "admission-common"; }'
entries "k.cfg:4: plugin 'store-memory' is there already (k.cfg:2)" '  { plugin = "store-wal"; },\n  { plugin = "store-memory"; }'
entries "k.cfg:3: unknown setting 'lnk'; did you mean 'link'?" '  { plugin = "store-wal"; lnk = "static"; }'
entries "k.cfg:3: 'link' is 'dynamic', must be one of static|shared" '  { plugin = "store-wal"; link = "dynamic"; }'
entries "k.cfg:3: 'plugin' is '../x', must be small letters, digits and '-': a path goes into 'file' or 'source'" '  { plugin = "../x"; }'
entries "k.cfg:3: 'version' is '>>1', must be a range" '  { plugin = "store-wal"; version = ">>1"; }'
entries "k.cfg:3: 'good' has both 'file' and 'source'" '  { plugin = "good"; file = "good.so"; source = "source"; }'
entries "k.cfg:3: 'sha256' is for a 'file'" '  { plugin = "store-wal"; sha256 = "00"; }'
entries "k.cfg:3: 'sha256' must be 64 small hexadecimal digits" '  { plugin = "good"; file = "good.so"; sha256 = "00"; }'
entries "k.cfg:3: there is no file './none.so'" '  { plugin = "none"; file = "none.so"; }'
entries "k.cfg:3: there is no folder './none'" '  { plugin = "none"; source = "none"; }'
entries "k.cfg:3: './source' has no CMakeLists.txt that calls keelson_plugin(x ...)" '  { plugin = "x"; source = "source"; }'
entries "k.cfg:3: 'good' is a built file, which cannot be linked into the program" '  { plugin = "good"; file = "good.so"; link = "static"; }'

# --- built files, each wrong in its own way ---
while IFS='|' read -r name text; do
    entries "k.cfg:3: $text" "  { plugin = \"x\"; file = \"$name.so\"; }"
done <<END
empty|
text|
machine|
abi|
notes|
load|
version|
crash|
hang|
exit|
undefined|
no_open|
no_score|
small|
iface|
revision|
need|
fork|
writable|'$dir/in/writable.so' can be written by others
link|'./link.so' is a symbolic link
END
entries "plugins/x.so' is not an ELF file" '  { plugin = "x"; file = "text.so"; }'
entries "plugins/x.so' dies by signal 11 while it is loaded" '  { plugin = "x"; file = "crash.so"; }'
entries "made for plugin ABI 9; this host speaks 1" '  { plugin = "x"; file = "abi.so"; }'
entries "k.cfg:3: 'x' is another file than the one named: it is sha256 $sum" "  { plugin = \"x\"; file = \"good.so\"; sha256 = \"$(echo "$sum" | tr 0-9a-f 1-9a-f0)\"; }"

# --- files against each other ---
entries "k.cfg:3: plugin 'good' is version 1, and '>=2 <3' is wanted" '  { plugin = "good"; file = "good.so"; version = ">=2 <3"; }'
entries "k.cfg:4: 'twin' and 'good' (k.cfg:3) both provide 'good' of keelson.scheduler/0: one of them must go" \
    '  { plugin = "good"; file = "good.so"; },\n  { plugin = "twin"; file = "twin.so"; }'
entries "plugins need each other in a circle: 'a' needs 'b' needs 'a'" '  { plugin = "a"; file = "cycle_a.so"; },\n  { plugin = "b"; file = "cycle_b.so"; }'

# --- trust ---
rest "k.cfg:2: 'verify' is 'enforced', must be one of off|warn|enforce" 'trust: { verify = "enforced"; };'
rest "k.cfg:2: 'keys' is a list of files that end with .pub" 'trust: { verify = "warn"; keys = [ "acme.sec" ]; };'
rest "k.cfg:2: there is no file './nobody.pub'" 'trust: { verify = "warn"; keys = [ "nobody.pub" ]; };'
# only_file WANTED FILE KEYS: under enforce
only_file() {
    whole "k.cfg:2: $1" "$head plugins = (\n{ plugin = \"x\"; file = \"$2.so\"; } );\ntrust: { verify = \"enforce\"; keys = [ \"$3.pub\" ]; };\n"
}
only_file "'./unsigned.so' is not signed: \`keelson plugin sign --key KEY FILE\`" unsigned acme
only_file "'./signed.so' is signed by key " signed other
only_file "'./changed.so' is not what key " changed acme
only_file "'./nonsense.so.sig' is not a signature" nonsense acme
whole "k.cfg:3: './bad.pub' is not a public key" "$head plugins = (\n{ plugin = \"x\"; file = \"signed.so\"; } );\ntrust: { verify = \"enforce\"; keys = [ \"bad.pub\" ]; };\n"
whole "k.cfg:2: 'verify' is enforce, and nothing signs plugin 'store-memory': give --key, or link = \"static\"" \
    "$head plugins = ( { plugin = \"store-memory\"; } );\ntrust: { verify = \"enforce\"; };\n"

# --- images, files, packs ---
rest "k.cfg:2: an image needs a 'name' such as" 'images = ( { file = "image.tar"; } );'
rest "k.cfg:2: image 'a' needs either 'file' (an OCI layout or a docker archive) or 'busybox'" 'images = ( { name = "a"; } );'
rest "k.cfg:2: there is no file './none.tar'" 'images = ( { name = "a"; file = "none.tar"; } );'
rest "k.cfg:3: image 'a' is there already (k.cfg:2)" 'images = ( { name = "a"; file = "image.tar"; },\n { name = "a"; file = "image.tar"; } );'
rest "k.cfg:2: there is no file './none.cfg'" 'conf = "none.cfg";'
rest "k.cfg:2: 'conf_d' is a list of files that end with .cfg" 'conf_d = [ "image.tar" ];'
rest "k.cfg:2: 'pack' has 'tar.zts', must be \"tar.zst\", \"deb\" or \"oci\"; did you mean 'tar.zst'?" 'pack = [ "tar.zts" ];'
rest "k.cfg:2: 'pack' is empty" 'pack = [ ];'

# --- the command line ---
rest "--locked needs the lock file" '' --locked
printf '# a lock\nkernel 0.1.0 sha256:%064d\n' 0 >k.lock
rest "k.lock:2: kernel '0.1.0' is not what was locked: it is sha256:" '' --locked
printf '# empty\n' >k.lock
rest "k.lock: kernel '0.1.0' is not in the lock" '' --locked
printf 'nonsense\n' >k.lock
rest "k.lock:1: not a line of a lock" '' --locked
rm k.lock
rest "'/usr/lib' is not in a tree of Keelson's sources" '' --tree /usr/lib
printf '%s plugins = (\n { plugin = "store-memory"; link = "static"; } );\n' "$head" >k.cfg
build_says "k.cfg:2: 'store-memory' cannot be linked into a program that is taken from" --from "$build"
printf '%s plugins = (\n { plugin = "store-memry"; } );\n' "$head" >k.cfg
build_says "plugins' has no plugin 'store-memry'; did you mean 'store-memory'?" --from "$build"
export SOURCE_DATE_EPOCH=today
rest "SOURCE_DATE_EPOCH is 'today', must be seconds" ''
unset SOURCE_DATE_EPOCH
printf '%s plugins = ( { plugin = "store-memory"; } );\n' "$head" >k.cfg
mkdir "$dir/out" && touch "$dir/out/mine"
build_says "has files and is no earlier build" --from "$build"
rm -r "$dir/out"

# --- what only the finished whole shows: a setting, a need that nobody meets ---
from='plugins = (\n  { plugin = "store-memory"; },\n  { plugin = "authn-x509"; },\n  { plugin = "authz-groups"; }'
whole "k.cfg:1: the configuration of these plugins: etc/keelson/keelson.cfg:6: 'dev.keelson.store-memory' has no setting 'sise' (made of ./settings.cfg)" \
    "$head $from );\nconf = \"settings.cfg\";\n" --from "$build"
whole "k.cfg:5: plugin 'x' needs 'com.acme.nobody/0', which no plugin here provides" "$head $from,\n  { plugin = \"x\"; file = \"need_other.so\"; } );\n" --from "$build"
whole "k.cfg:5: image 'a': keelson image: import of './image.tar': " "$head $from );\nimages = ( { name = \"a\"; file = \"image.tar\"; } );\n" --from "$build"
echo "$rows mistakes"
[ "$rows" -ge 40 ] || bad=1
exit $bad

#!/bin/sh
# The three distributions that ship, each built twice in different folders: equal bit for bit; a changed byte in any file is seen; what is left out
# leaves nothing; each boots and passes the quickstart's demo. Needs root for the boots. usage: distro.sh BUILD_DIR
# not under AddressSanitizer: what is built here is not
# with containers
# takes long
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
command -v ninja >/dev/null || {
    echo "skipped: no ninja"
    exit 0
}
dir=$(mktemp -d)
bad=0
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
fail() {
    echo "FAILED: $1"
    shift
    [ $# = 0 ] || printf '  %s\n' "$@"
    bad=1
}
keelson() { nice "$build/keelson" "$@"; } # it compiles for minutes while others are tested
unset SOURCE_DATE_EPOCH
keelson plugin keys generate --dir "$dir" builder >/dev/null || exit 1
keelson plugin keys trust --trusted-keys "$dir/trust" "$dir/builder.pub" || exit 1

# --- full names every plugin of the tree ---
for list in "$top"/plugins/*/CMakeLists.txt; do
    name=$(basename "$(dirname "$list")")
    grep -q "keelson_plugin($name " "$list" && ! grep -q "\"$name\"" "$top/conf/distros/full.cfg" && fail "full.cfg lacks $name"
done

# --- twice, in folders of different names and depths, a day apart ---
for place in one another/place; do
    mkdir -p "$dir/$place/sources"
    cp -r "$top/CMakeLists.txt" "$top/kernel" "$top/plugins" "$top/sdk" "$top/conf" "$dir/$place/sources" || exit 1
done
find "$dir/another" -exec touch -d '2001-02-03 04:05:06' {} +
for name in mini edge full; do
    for place in one another/place; do
        (cd "$dir/$place" && TZ=Asia/Tokyo keelson distro build "sources/conf/distros/$name.cfg" --output "out/$name" --work work --key "$dir/builder.sec") \
            >"$dir/log" 2>&1 || {
            fail "$name in $place" "$(tail -n 40 "$dir/log")"
            exit 1
        }
    done
    one=$(cd "$dir/one/out/$name" && sha256sum ./*) other=$(cd "$dir/another/place/out/$name" && sha256sum ./*)
    [ "$one" = "$other" ] || fail "$name is not equal in both folders" "$one" "$other" \
        "$(keelson distro diff "$dir/one/out/$name" "$dir/another/place/out/$name")"
    cmp -s "$dir/one/sources/conf/distros/$name.lock" "$dir/another/place/sources/conf/distros/$name.lock" || fail "$name: the locks differ"
    [ "$(ls "$dir/one/out/$name" | wc -l)" = 10 ] || fail "$name: ten files are wanted" "$(ls "$dir/one/out/$name")"
    keelson distro verify "$dir/one/out/$name" --signed --trusted-keys "$dir/trust" >"$dir/log" 2>&1 || fail "verify $name" "$(cat "$dir/log")"
    grep -a -q "$dir" "$dir/one/out/$name"/*.spdx.json "$dir/one/out/$name"/*.lock && fail "$name: a path of this machine got in"
done
[ -z "$(find "$dir/one/out" "$dir/one" -maxdepth 1 -name '.keelson-distro-*')" ] || fail "a temporary folder is left"
out=$dir/one/out
files() { echo "$dir/files/$1/keelson-$1-0.1.0"; }
for name in mini edge full; do
    mkdir -p "$dir/files/$name"
    tar --zstd -xf "$out/$name/keelson-$name-0.1.0.tar.zst" -C "$dir/files/$name" || fail "tar cannot read $name"
    grep -a -q "$dir" "$(files "$name")/bin/keelson" && fail "$name: a path of this machine is in the program"
done

# --- mini: one file of plugins, at most 5 MB for everything, the demo's image included ---
size=$(find "$(files mini)" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
[ "$size" -le 5000000 ] || fail "mini has $size bytes"
echo "mini: $size bytes unpacked, $(stat -c %s "$out/mini/keelson-mini-0.1.0.tar.zst") packed"
[ -e "$(files mini)/lib" ] && fail "mini has a folder of plugins"

# --- what is left out leaves no file and no symbol; static plugins leave no file, shared ones no symbol ---
has() { grep -a -q "dev.keelson.$2\$\|dev.keelson.$2[^a-z-]" "$(files "$1")/bin/keelson"; }
for p in scheduler-binpack controller-autoscaling admission-webhook audit-log; do
    has mini "$p" && fail "mini's program has $p"
    grep -q "$p" "$(files mini)/etc/keelson/keelson.cfg" && fail "mini's configuration has $p"
done
has mini scheduler-spread || fail "mini's program lacks scheduler-spread"
has edge scheduler-spread || fail "edge's program lacks scheduler-spread"
has edge scheduler-binpack && fail "edge's program has scheduler-binpack, which is a file"
[ -f "$(files edge)/lib/keelson/plugins/scheduler-binpack.so" ] || fail "edge lacks scheduler-binpack.so"
[ -e "$(files edge)/lib/keelson/plugins/scheduler-spread.so" ] && fail "edge has scheduler-spread.so, which is in the program"
has full scheduler-spread && fail "full's program has scheduler-spread, which is a file"
ldd "$(files edge)/bin/keelson" | grep -q 'libarchive\|libicu' && fail "edge links libarchive as a library"

# --- a changed byte in any file, wherever it is ---
# flip FILE: a bit in the middle, and one in the last byte.
flip() {
    python3 - "$1" "$2" <<'END'
import sys
path, at = sys.argv[1], sys.argv[2]
b = bytearray(open(path, 'rb').read())
i = {'first': 0, 'middle': len(b) // 2, 'last': len(b) - 1}[at]
b[i] ^= 1
open(path, 'wb').write(b)
END
}
# changed FOLDER: every file of it, flipped alone, is seen.
changed() {
    for f in $(cd "$1" && find . -type f | sort); do
        for at in first middle last; do
            cp -p "$1/$f" "$dir/kept"
            flip "$1/$f" "$at"
            keelson distro verify "$1" --trusted-keys "$dir/trust" >"$dir/log" 2>&1 && fail "a changed byte ($at) in $1/$f is not seen" "$(cat "$dir/log")"
            cp -p "$dir/kept" "$1/$f"
        done
    done
    keelson distro verify "$1" --trusted-keys "$dir/trust" >"$dir/log" 2>&1 || fail "verify $1, put back" "$(cat "$dir/log")"
}
cp -r "$out/mini" "$dir/flip"
changed "$dir/flip"
changed "$(files edge)"
# an archive alone: its signature, then without one what is inside
cp "$out/mini/keelson-mini-0.1.0.tar.zst" "$out/mini/keelson-mini-0.1.0.tar.zst.sig" "$dir"
keelson distro verify "$dir/keelson-mini-0.1.0.tar.zst" --signed --trusted-keys "$dir/trust" >"$dir/log" 2>&1 || fail "verify the archive alone" "$(cat "$dir/log")"
flip "$dir/keelson-mini-0.1.0.tar.zst" middle
keelson distro verify "$dir/keelson-mini-0.1.0.tar.zst" --trusted-keys "$dir/trust" >"$dir/log" 2>&1 && fail "a changed archive"
# says STATUS TEXT ARGUMENT...
says() {
    status=$1 text=$2
    shift 2
    said=$(keelson "$@" 2>&1)
    case "$?:$said" in
    "$status":*"$text"*) ;;
    *) fail "keelson $*" "wanted: $status $text" "got: $said" ;;
    esac
}
says 1 "which '$dir/nobody' does not have" distro verify "$out/mini" --trusted-keys "$dir/nobody"
echo more >"$(files mini)/bin/more"
says 1 "file 'bin/more' was added" distro verify "$(files mini)" --trusted-keys "$dir/trust"
rm "$(files mini)/bin/more"
mv "$(files mini)/bin/keelson" "$dir/away"
says 1 "file 'bin/keelson' is missing" distro verify "$(files mini)" --trusted-keys "$dir/trust"
mv "$dir/away" "$(files mini)/bin/keelson"

# --- diff, --locked ---
says 0 "" distro diff "$out/mini" "$dir/another/place/out/mini"
says 1 "+ file lib/keelson/plugins/scheduler-binpack.so" distro diff "$out/mini" "$out/edge"
says 1 "+ input plugin scheduler-binpack" distro diff "$out/mini" "$out/edge"
cd "$dir/one" || exit 1
says 0 "out/mini" distro build sources/conf/distros/mini.cfg --output out/mini --work work --key "$dir/builder.sec" --locked
[ "$(cd out/mini && sha256sum ./*)" = "$(cd "$dir/another/place/out/mini" && sha256sum ./*)" ] || fail "the locked build is another"
echo '/* more */' >>sources/plugins/scheduler-spread/plugin.c
says 1 "plugin 'scheduler-spread' is not what was locked" distro build sources/conf/distros/mini.cfg --output out/mini --work work --key "$dir/builder.sec" --locked
[ -f out/mini/SHA256SUMS ] || fail "a build that failed took the earlier one away"

# --- a vendor's folder, linked in and as a file, with its rules and its signature ---
cat >50-acme.cfg <<'END'
chains: { admission = [ "stamp" ]; };
instances = ( { plugin = "acme-favourite"; settings = { prefix = "east-"; }; } );
END
cat >vendor.cfg <<END
distro: { name = "vendor"; version = "2.1"; };
plugins = (
  { plugin = "store-memory"; link = "static"; }, { plugin = "authn-x509"; link = "static"; }, { plugin = "authz-groups"; link = "static"; },
  { plugin = "acme-favourite"; source = "$top/tests/e2e/out-of-tree"; link = "static"; },
  { plugin = "acme-stamp"; source = "$top/tests/e2e/out-of-tree"; link = "shared"; version = ">=1 <2"; } );
conf_d = [ "50-acme.cfg" ];
trust: { verify = "enforce"; };
END
says 0 "out/vendor" distro build vendor.cfg --output out/vendor --tree sources --work work --key "$dir/builder.sec"
says 0 "signed by 'builder'" distro verify out/vendor --signed --trusted-keys "$dir/trust"
mkdir -p "$dir/files/vendor" && tar --zstd -xf out/vendor/keelson-vendor-2.1.tar.zst -C "$dir/files/vendor"
v=$dir/files/vendor/keelson-vendor-2.1
list=$("$v/bin/keelson" plugin list --config "$v/etc/keelson/keelson.cfg" --plugins "$v/lib/keelson/plugins" --trusted-keys "$v/etc/keelson/trust" 2>&1)
case "$list" in *com.acme.stamp*com.acme.favourite*) ;; *) fail "the vendor's plugins" "$list" ;; esac
echo x >>"$v/lib/keelson/plugins/acme-stamp.so"
list=$("$v/bin/keelson" plugin list --config "$v/etc/keelson/keelson.cfg" --plugins "$v/lib/keelson/plugins" --trusted-keys "$v/etc/keelson/trust" 2>&1)
case "$list" in *REFUSED*"is not what key"*) ;; *) fail "a changed plugin under enforce" "$list" ;; esac

# --- the other archives ---
if command -v dpkg-deb >/dev/null; then
    dpkg-deb -x "$out/edge/keelson-edge_0.1.0_$(dpkg --print-architecture).deb" "$dir/deb" || fail "dpkg-deb cannot read the package"
    cmp -s "$dir/deb/usr/bin/keelson" "$(files edge)/bin/keelson" || fail "the package's program is another"
    dpkg-deb -f "$out/edge"/*.deb Depends | grep -q 'crun, conmon, .*libgnutls30' || fail "the package's dependencies" "$(dpkg-deb -f "$out/edge"/*.deb Depends)"
    dpkg-deb -I "$out/edge"/*.deb conffiles | grep -qx /etc/keelson/keelson.cfg || fail "the package's conffiles"
fi
says 0 "localhost/keelson-edge:0.1.0" image --dir "$dir/images" import "$out/edge/keelson-edge-0.1.0.oci.tar"
python3 - "$out/edge/keelson-edge-0.1.0.spdx.json" "$(files edge)" <<'END' || fail "the SBOM"
import hashlib, json, sys
doc = json.load(open(sys.argv[1]))
ids = {p['SPDXID'] for p in doc['packages']} | {f['SPDXID'] for f in doc['files']} | {'SPDXRef-DOCUMENT'}
assert doc['spdxVersion'] == 'SPDX-2.3' and len(ids) == len(doc['packages']) + len(doc['files']) + 1
assert all(r['spdxElementId'] in ids and r['relatedSpdxElement'] in ids for r in doc['relationships'])
names = {p['name'] for p in doc['packages']}
assert {'dev.keelson.store-wal', 'dev.keelson.scheduler-binpack', 'libgnutls.so.30', 'libarchive.a'} <= names, names
for f in doc['files']:
    b = open(sys.argv[2] + '/' + f['fileName'], 'rb').read()
    sums = {c['algorithm']: c['checksumValue'] for c in f['checksums']}
    assert sums == {'SHA1': hashlib.sha1(b).hexdigest(), 'SHA256': hashlib.sha256(b).hexdigest()}, f
END

# --- each boots, and passes the demo ---
if [ "$(id -u)" != 0 ] || ! command -v kubectl >/dev/null; then
    echo "the boots are left out: they need root and kubectl"
    exit $bad
fi
for name in mini edge full; do
    unshare -n -m --propagation private sh "$top/tests/e2e/lib/distro-boot.sh" "$build/keelson" "$out/$name/keelson-$name-0.1.0.tar.zst" "$dir" >"$dir/log" 2>&1 ||
        fail "the boot of $name" "$(tail -n 40 "$dir/log")"
done
[ "$bad" = 0 ] && echo "ok: equal, verified, booted"
exit $bad

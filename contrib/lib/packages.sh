# packages.sh - what a fresh Debian 12 lacks, for contrib/test and contrib/quickstart. Sourced.
BUILD_PACKAGES="ca-certificates gcc cmake ninja-build pkg-config libc6-dev libconfig-dev libjansson-dev libnghttp2-dev libgnutls28-dev
  libcap-dev libarchive-dev libuv1-dev libwslay-dev zlib1g-dev libyaml-dev libpcre2-dev libmnl-dev libnftables-dev libseccomp-dev libzstd-dev libldns-dev"
NODE_PACKAGES="crun conmon iproute2"
TEST_PACKAGES="$NODE_PACKAGES
  busybox-static
  clang
  curl
  libclang-rt-14-dev
  libcriterion-dev
  nghttp2-server
  openssl
  procps
  python3
  signify-openbsd
  zstd"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_missing PACKAGE...: only what is not there, so that a second run needs no network.
install_missing() {
    missing=""
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
    done
    [ -z "$missing" ] && return 0
    echo "installing:$missing"
    as_root apt-get update -qq || true
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

#!/bin/sh
# tests/clients/python: the official Python client against a server of this script. usage: clients-python.sh BUILD_DIR [TEST...]
set -u
build=$(cd "$1" && pwd)
shift
tests=$(cd "$(dirname "$0")/.." && pwd)
venv=$build/clients/venv
mkdir -p "$build/clients"
command -v python3 >/dev/null || {
    echo "skipped: no python3"
    exit 0
}
"$venv/bin/python" -c 'import kubernetes' 2>/dev/null ||
    { python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q 'kubernetes>=36,<37'; } >"$build/clients/venv.log" 2>&1 || {
    echo "skipped: the kubernetes package cannot be had: $(tail -1 "$build/clients/venv.log")"
    exit 0
}
. "$(dirname "$0")/lib/server.sh"
start_server
PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore "$venv/bin/python" "$tests/clients/python/test_clients.py" -v "$@" 2>&1 || bad=1
kill -0 "$pid" || fail "the server ended"
[ "$bad" = 0 ] || tail -5 "$dir/log"
exit $bad

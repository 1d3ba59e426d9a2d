#!/bin/sh
# tests/clients/python: the official Python client, and others that can be had, against a server of this script. usage: clients-python.sh BUILD_DIR [TEST...]
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
# These skip their tests when they are missing.
"$venv/bin/python" -c 'import kr8s, lightkube' 2>/dev/null || "$venv/bin/pip" install -q 'kr8s>=0.20,<0.21' 'lightkube>=1.0,<2' >>"$build/clients/venv.log" 2>&1
. "$(dirname "$0")/lib/server.sh"
start_server
PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore "$venv/bin/python" "$tests/clients/python/test_clients.py" -v "$@" 2>&1 || bad=1
[ $# -gt 0 ] || PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore "$venv/bin/python" "$tests/clients/python/test_others.py" -v 2>&1 || bad=1
kill -0 "$pid" || fail "the server ended"
[ "$bad" = 0 ] || tail -5 "$dir/log"
exit $bad

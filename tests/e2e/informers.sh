#!/bin/sh
# 500 informers over 10,000 objects under load, with cut connections, histories that end too late, a server that is killed, and others that go on
# without a gap: in the end each cache equals the store (tests/clients/informers). usage: informers.sh BUILD_DIR [SECONDS [OPTION...]]   (30 without SECONDS)
# takes long
set -u
build=$(cd "$1" && pwd)
seconds=${2:-30}
[ $# -lt 2 ] || shift
shift
. "$(dirname "$0")/lib/go.sh"
build_go clients/informers informers.test
. "$(dirname "$0")/lib/server.sh"
start_server
port=${url##*:}
# The test asks for what it cannot do itself by a pipe.
mkfifo "$dir/control" "$dir/answers"
exec 3<>"$dir/control" 4<>"$dir/answers"
(
    CONTROL="$dir/control" ANSWERS="$dir/answers" "$build/clients/informers.test" -test.v -test.timeout $((seconds + 600))s -informers.seconds "$seconds" "$@" \
        >"$dir/out" 2>&1 3>&- 4>&-
    echo "end $?" >&3
) &
while read -r word code <&3; do
    case "$word" in
    kill)
        kill -9 "$pid"
        wait "$pid" 2>/dev/null
        gone "$pid"
        start_server "$port"
        echo up >&4
        ;;
    handover)
        said=$("$build/keelson" restart --linger 20 --state-dir "$dir/state" 2>&1) || fail "a restart without a gap" "$said"
        pid=$(echo "$said" | sed -n 's/^process \([0-9]*\) .*/\1/p')
        echo up >&4
        ;;
    end)
        [ "$code" = 0 ] || bad=1
        break
        ;;
    esac
done
grep -v '^=== ' "$dir/out"
kill -0 "$pid" || fail "the server ended"
[ $bad = 0 ] || tail -5 "$dir/log"
exit $bad

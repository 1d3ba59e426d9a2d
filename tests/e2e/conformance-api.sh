#!/bin/sh
# tests/conformance/api: the cases, and whether table.tsv tells the truth about them. usage: conformance-api.sh BUILD_DIR [GO_TEST_OPTION...]
# Fails when a case that the table calls passed did not pass, when a spec or a case has no row, or when a row has no reason for what it does not pass. The same
# for ../details.tsv: each of the 25 details has tests that are there, and its cases here pass.
set -u
build=$(cd "$1" && pwd)
shift
. "$(dirname "$0")/lib/go.sh"
build_go conformance/api conformance-api.test
. "$(dirname "$0")/lib/server.sh"
server_flags="--address 0.0.0.0 --node-address 192.0.2.10" # an address that it can show to pods
start_server
kill "$pid"
wait "$pid"
start_server "${url##*:}" # on a port that it knows before it listens, to show that too
"$build/clients/conformance-api.test" -test.v -test.parallel 16 -test.timeout 9m "$@" >"$dir/out" 2>&1
awk -F '\t' -v all="$#" '
function wrong(text) { print "FAILED: " text; bad = 1 }
FNR == NR {
    if (match($0, /^ *--- (PASS|FAIL|SKIP): [^ ]+/)) {
        split(substr($0, RSTART, RLENGTH), word, /^ *--- |: /)
        result[word[3]] = word[2]
        sub("/.*", "", word[3])
        tests[word[3]]++
    }
    next
}
{
    rows++
    has[$2] = 1
    if (specs[$3]++) wrong("two rows for " $3)
    if ($1 == "passed" && all == 0 && result[$2] != "PASS") wrong($2 ": the table says passed; it is " (result[$2] ? result[$2] : "not there") ": " $3)
    else if ($1 == "passed") passed++
    else if ($1 != "not passed" || $4 == "") wrong("row " FNR ": neither passed, nor not passed with a reason")
    else print (result[$2] == "PASS" ? "now passes: " : "not passed: ") $2 ": " $4
}
END {
    for (name in result)
        if (!has[name] && name !~ /^TestDetail/ && (name ~ "/" || tests[name] < 2)) wrong(name " has no row")
    if (rows != 114) wrong("the table has " rows " rows; upstream has 114 specs that need the API alone")
    print passed " of " rows " specs pass"
    exit bad
}' "$dir/out" "$tests/conformance/api/table.tsv" || bad=1
[ "$(wc -l <"$tests/conformance/details.tsv")" = 25 ] || fail "details.tsv has not 25 rows"
while IFS="$(printf '\t')" read -r number what names why; do
    [ "$names" != - ] || names=
    [ -n "$names$why" ] || fail "detail $number, $what: neither a test nor a reason"
    for name in $names; do
        file=$tests/../${name%%#*} name=${name#*#}
        grep -q -e "$name" "$file" || fail "detail $number, $what: no $name in $file"
        case "$file" in
        */conformance/api/*) [ $# != 0 ] || grep -q -e "--- PASS: $name " "$dir/out" || [ -n "$why" ] || fail "detail $number, $what: $name did not pass" ;;
        esac
    done
    [ -z "$why" ] || echo "not passed: detail $number, $what: $why"
done <"$tests/conformance/details.tsv"
[ "$bad" = 0 ] || grep -v -e '^=== ' -e '^ *--- PASS' "$dir/out" | head -200
kill -0 "$pid" || fail "the server ended"
exit $bad

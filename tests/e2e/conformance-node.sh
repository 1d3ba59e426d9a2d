#!/bin/sh
# tests/conformance/node.tsv: does every row name cases that are there, and a reason for what it does not pass? The cases themselves are run by the scripts that the
# rows name. usage: conformance-node.sh BUILD_DIR
# Columns: passed or not passed; how many conformance specs upstream has of it (0: none, features beyond them); subject; SCRIPT#TEXT|...; reason.
set -u
cd "$(dirname "$0")" || exit 1
bad=0 rows=0 passed=0 specs=0 all=0
tab=$(printf '\t')
while IFS= read -r line; do
    rows=$((rows + 1))
    state=$(echo "$line" | cut -f1) n=$(echo "$line" | cut -f2) what=$(echo "$line" | cut -f3) cases=$(echo "$line" | cut -f4)
    reason=$(echo "$line" | cut -f5- | tr -d "$tab")
    all=$((all + n))
    case "$state" in
    passed) passed=$((passed + 1)) specs=$((specs + n)) ;;
    "not passed") echo "not passed: $what: $reason" ;;
    *) echo "FAILED: row $rows is neither passed nor not passed" && bad=1 ;;
    esac
    [ "$state" = passed ] && [ -z "$cases" ] && echo "FAILED: $what is passed by nothing" && bad=1
    [ "$state" = passed ] || [ -n "$reason" ] || { echo "FAILED: $what: no reason" && bad=1; }
    old=$IFS
    IFS='|'
    for c in $cases; do
        [ -x "${c%%#*}" ] && grep -qF -e "${c#*#}" "${c%%#*}" || { echo "FAILED: $what: no case '${c#*#}' in ${c%%#*}" && bad=1; }
    done
    IFS=$old
done <../conformance/node.tsv
[ "$rows" -ge 30 ] || { echo "FAILED: $rows rows" && bad=1; }
echo "$passed of $rows subjects, $specs of $all specs"

# upstream.tsv: passed, failed or cannot; the spec; the reason.
awk -F '\t' '
function wrong(text) { print "FAILED: upstream.tsv: " text; bad = 1 }
{
    if (seen[$2]++) wrong("two rows for " $2)
    if ($1 != "passed" && $1 != "failed" && $1 != "cannot") wrong("row " FNR " is neither passed, failed nor cannot")
    if ($1 == "passed" && NF != 2) wrong($2 ": passed, and a reason")
    if ($1 != "passed" && $3 == "") wrong($2 ": no reason")
    if ($1 != "passed") print $1 ": " $2 ": " $3
    n[$1]++
}
END {
    if (FNR != 446) wrong(FNR " rows; the suite has 446")
    print "upstream: " n["passed"] " passed, " n["failed"] + 0 " failed, " n["cannot"] + 0 " cannot be passed where it was run"
    exit bad
}' ../conformance/upstream.tsv || bad=1
exit $bad

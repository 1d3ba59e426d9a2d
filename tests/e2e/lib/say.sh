# say.sh - what every script says, asks and waits with: sourced. Sets dir (a folder of its own; who sources this removes it), HOME, bad, pid; functions needs, needs_root,
# k, c, ok, fail, is, has, hasnt, holds, lacks, becomes, settles, until_is, soon, comes, none, eventually, sound. The script ends with: exit $bad.
# A time in seconds is that of a quiet machine; a busy one gets three times as long.
dir=$(mktemp -d /tmp/kl.XXXXXX)
export HOME="$dir"
echo 'user-agent = "tests"' >"$dir/.curlrc" # who says that it is curl gets JSON for people, over many lines
bad=0
pid=
# needs TOOL...: skips the script (exit 0, with a reason) where one is missing.
needs() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "skipped: no $tool"
            exit 0
        }
    done
}
needs_root() {
    [ "$(id -u)" = 0 ] || {
        echo "skipped: needs root"
        exit 0
    }
}
# k ARGUMENT...: the kubectl under test. c ARGUMENT...: curl as the administrator.
kubectl=${kubectl:-kubectl}
k() { timeout 60 "$kubectl" "$@" 2>&1; }
c() { curl -s --cacert "$dir/state/pki/ca.crt" --cert "$dir/state/pki/admin.crt" --key "$dir/state/pki/admin.key" "$@"; }
ok() { echo "ok: $1"; }
fail() {
    echo "FAILED: $1"
    shift
    [ $# = 0 ] || printf '  %s\n' "$@"
    bad=1
    touch "$dir/failed" # a pipe's part cannot set `bad`
}
# is WHAT WANTED GOT; has WHAT PART TEXT; hasnt WHAT PART TEXT
is() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "wanted '$2', got '$3'"; fi; }
has() { case "$3" in *"$2"*) ok "$1" ;; *) fail "$1" "wanted '$2' in '$3'" ;; esac; }
hasnt() { case "$3" in *"$2"*) fail "$1" "not wanted '$2' in '$3'" ;; *) ok "$1" ;; esac; }
# holds WHAT TEXT PART, lacks WHAT TEXT PART: the same the other way round, for a TEXT that is a command of many lines.
holds() { has "$1" "$3" "$2"; }
lacks() { hasnt "$1" "$3" "$2"; }
# becomes WHAT PART SECONDS COMMAND...: its output holds the part in time.
becomes() {
    what=$1 part=$2
    end=$(($(date +%s) + 3 * $3))
    shift 3
    while :; do
        got=$("$@" 2>&1)
        case "$got" in *"$part"*)
            ok "$what"
            return 0
            ;;
        esac
        [ "$(date +%s)" -lt "$end" ] || break
        sleep 0.2
    done
    fail "$what" "wanted '$part', got '$got'"
    return 1
}
# settles WHAT WANTED SECONDS COMMAND...: its output is exactly that in time.
settles() {
    what=$1 wanted=$2
    end=$(($(date +%s) + 3 * $3))
    shift 3
    until got=$("$@"); [ "$got" = "$wanted" ]; do
        [ "$(date +%s)" -lt "$end" ] || break
        sleep 0.2
    done
    is "$what" "$wanted" "$got"
}
# until_is TEXT ARGUMENT...: the whole output of kubectl is that within 20 s.
until_is() {
    text=$1
    shift
    settles "kubectl $*" "$text" 20 k "$@"
}
# soon WHAT PART COMMAND...: within 30 s.
soon() {
    what=$1 part=$2
    shift 2
    becomes "$what" "$part" 30 "$@"
}
# comes TEXT COMMAND...: the same, called by its own words.
comes() { soon "$*" "$@"; }
# eventually WHAT SECONDS COMMAND...: it succeeds in time.
eventually() {
    what=$1
    end=$(($(date +%s) + 3 * $2))
    shift 2
    until got=$("$@" 2>&1); do
        [ "$(date +%s)" -lt "$end" ] || {
            fail "$what" "$*" "$(echo "$got" | tail -3)"
            return 1
        }
        sleep 0.2
    done
    ok "$what"
}
says_nothing() { [ -z "$("$@" 2>&1)" ]; }
# none WHAT COMMAND...: no output, within 30 s.
none() {
    what=$1
    shift
    eventually "$what" 30 says_nothing "$@" || "$@"
}
# sound FILE: sanitizers have said nothing there, and nothing has failed. meant: what they are meant to say, as grep -E has it.
sound() {
    said=$(grep -E 'ERROR: [A-Za-z]+Sanitizer|\.[ch]:[0-9:]+ runtime error:' "$1" 2>/dev/null | grep -vE "${meant:-^$}")
    [ -z "$said" ] || fail "a sanitizer has found something" "$said"
    [ -z "$said" ] && [ ! -e "$dir/failed" ]
}

# pods.sh - what scripts with real containers share: sourced. They run in network and mount namespaces of their own, so that links, rules and mounts are nobody
# else's and go with them. Sets dir and all of say.sh; functions end_containers, node_net. Skips where something is missing. Sourced with the script's arguments in place.
. "$(dirname "$0")/lib/say.sh"
rm -r "$dir"
needs kubectl crun conmon busybox ip unshare nsenter curl python3
needs_root
[ -n "${e2e_inside:-}" ] || exec env e2e_inside=1 unshare -n -m --propagation private "$(cd "$(dirname "$0")" && pwd)/$(basename "$0")" "$@"
mkdir "$dir" && echo 'user-agent = "tests"' >"$dir/.curlrc"
ip link set lo up
# crun 1.8 wants every v1 controller it finds in /proc/cgroups to be mounted
if [ -d /sys/fs/cgroup/memory ] && ! [ -f /sys/fs/cgroup/hugetlb/cgroup.procs ]; then
    mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb hugetlb /sys/fs/cgroup/hugetlb 2>/dev/null
fi
# Containers and monitors of nodes whose folders are below $dir, their mounts, and $dir.
end_containers() {
    for p in $(pgrep -f "$dir/run"); do kill -9 "$p" 2>/dev/null; done # monitors: the path is this run's own
    for p in $(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$dir"/*/runtime/containers/*/*.json 2>/dev/null); do
        grep -q kubepods "/proc/$p/cgroup" 2>/dev/null && kill -9 "$p" 2>/dev/null # and what they watched over
    done
    sed -n "s|^[^ ]* [^ ]* [^ ]* [^ ]* \($dir/[^ ]*\) .*|\1|p" /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null
    rm -rf "$dir"
}
# node_net NAME SUBNET: a network namespace for a node of its own, SUBNET.2, behind a link to this one, SUBNET.1. Who makes it deletes it (ip netns del).
node_net() {
    [ -n "${netns_hidden:-}" ] || { mkdir -p /run/netns 2>/dev/null; mount -t tmpfs tmpfs /run/netns; } # the machine's own are nobody's here
    netns_hidden=1
    ip netns add "$1"
    ip link add "e-$1" type veth peer name e1 netns "$1"
    ip addr add "$2.1/24" dev "e-$1"
    ip link set "e-$1" up
    ip -n "$1" addr add "$2.2/24" dev e1
    ip -n "$1" link set e1 up
    ip -n "$1" link set lo up
    ip -n "$1" route add default via "$2.1"
}

# kubectl debug in a terminal. usage: debug_tty.py KUBECONFIG IMAGE NODE. Expects the pod "web" of debug.sh.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from terminal import Terminal  # noqa: E402

config, image, node = sys.argv[1:]
kubectl = ["kubectl", "--kubeconfig", config, "debug", "-it", "--profile=general", "--image=" + image]


def prompt(t):
    t.type("\n")
    t.until("# ", 60)


t = Terminal(33, 99, *kubectl, "web", "-c", "look", "--target=web", "--", "sh")
prompt(t)
t.shows("stty size", "33 99")
t.type("echo pid-$$; ps | grep -c '[h]ttpd'; cat /proc/1/root/mark\n")
t.until("pid-")
t.until("1\r\n")
t.until("of-web")
t.type("wget -qO- http://127.0.0.1:8081/; echo sum-$((20+3))\n")
t.until("hello")
t.until("sum-23")
t.type("exit 5\n")
t.end()

t = Terminal(33, 99, *kubectl, "web", "--copy-to=twin", "-c", "more", "--share-processes", "--", "sh")
prompt(t)
t.type("ps | grep -c '[h]ttpd'; echo copy-$((20+4))\n")
t.until("1\r\n")
t.until("copy-24")
t.type("exit\n")
t.end()

t = Terminal(33, 99, *[x for x in kubectl if x != "--profile=general"], "--profile=sysadmin", "node/" + node, "--", "sh")
prompt(t)
t.type("ls /host/etc/passwd; hostname; ps | grep -c '[c]onmon' | sed 's/^/monitors-/'; echo node-$((20+5))\n")
t.until("/host/etc/passwd")
t.until(os.uname().nodename)
t.until("monitors-")
t.until("node-25")
t.type("exit\n")
t.end()

# Terminals: a pty on our side, kubectl in it. usage: streams_tty.py KUBECTL. Expects the pods "two" and "tty" of streams.sh.
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from terminal import Terminal  # noqa: E402

kubectl = sys.argv[1]

t = Terminal(33, 99, kubectl, "exec", "-it", "two", "-c", "b", "--", "sh")
t.until("# ")
t.type("stty size; tty; echo so-$((40+2))\n")
t.until("33 99")
t.until("/dev/pts/")
t.until("so-42")
t.resize(40, 120)
t.shows("stty size", "40 120")
t.type("sleep 100; echo after-$?\n")
time.sleep(0.5)
t.type("\x03")  # interrupts what runs in there, not kubectl
t.type("echo still-$((1+1))\n")
t.until("still-2")
t.type("exit 4\n")
t.until("exit code 4")
code = t.end()
if code != 4:
    sys.exit("exit 4 in a terminal gave %d" % code)

t = Terminal(25, 81, kubectl, "attach", "-it", "tty")
t.type("\n")
t.until("# ")
t.shows("stty size", "25 81")
t.type("echo in-$((2+3))\n")
t.until("in-5")
t.kill()
t = Terminal(30, 90, kubectl, "attach", "-it", "tty")
t.type("echo again-$((3+3))\n")
t.until("again-6")
t.kill()

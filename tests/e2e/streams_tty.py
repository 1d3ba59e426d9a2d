# Terminals: a pty on our side, kubectl in it. usage: streams_tty.py KUBECTL. Expects the pods "two" and "tty" of streams.sh.
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

kubectl = sys.argv[1]


class Terminal:
    def __init__(self, rows, columns, *args):
        self.text = ""
        self.over = False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.2)  # until its size is set
            os.execvp(kubectl, [kubectl, *args])
        self.resize(rows, columns, False)

    def resize(self, rows, columns, tell=True):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.kill(self.pid, signal.SIGWINCH)

    def read(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:  # the last user of the terminal has gone
                self.over = True

    def until(self, what, seconds=20):
        end = time.time() + seconds
        while what not in self.text:
            if time.time() > end or self.over:
                sys.exit("wanted %r, got %r" % (what, self.text))
            self.read(0.5)
        self.text = self.text.split(what, 1)[1]

    def shows(self, command, what):
        """Again and again: a size may be on its way still."""
        for _ in range(20):
            self.type(command + "\n")
            end = time.time() + 1
            while time.time() < end and what not in self.text and not self.over:
                self.read(0.1)
            if what in self.text:
                break
        self.until(what, 0)

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        while not self.over:
            self.read(0.5)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


t = Terminal(33, 99, "exec", "-it", "two", "-c", "b", "--", "sh")
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

t = Terminal(25, 81, "attach", "-it", "tty")
t.type("\n")
t.until("# ")
t.shows("stty size", "25 81")
t.type("echo in-$((2+3))\n")
t.until("in-5")
os.kill(t.pid, signal.SIGKILL)
os.waitpid(t.pid, 0)
t = Terminal(30, 90, "attach", "-it", "tty")
t.type("echo again-$((3+3))\n")
t.until("again-6")
os.kill(t.pid, signal.SIGKILL)
os.waitpid(t.pid, 0)

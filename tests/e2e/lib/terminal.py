# A terminal: a pty on our side, a program in it.
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time


class Terminal:
    def __init__(self, rows, columns, *command):
        self.text = ""
        self.over = False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.2)  # until its size is set
            os.execvp(command[0], command)
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

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def end(self):
        while not self.over:
            self.read(0.5)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

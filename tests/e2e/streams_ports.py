# port-forward to the echo server of the pod "two". usage: streams_ports.py KUBECTL.
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading

kubectl = sys.argv[1]


def forward(port):
    p = subprocess.Popen([kubectl, "port-forward", "pod/two", ":%d" % port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    found = re.search(r"127\.0\.0\.1:(\d+)", line)
    if not found:
        sys.exit("port-forward said %r %r" % (line, p.stderr.read()))
    return p, int(found.group(1))


def echo(port, size, failed):
    sent, got = os.urandom(size), hashlib.sha256()
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    writer = threading.Thread(target=s.sendall, args=(sent,))
    writer.start()
    left = size
    while left:
        part = s.recv(65536)
        if not part:
            break
        got.update(part)
        left -= len(part)
    writer.join()
    s.close()
    if got.digest() != hashlib.sha256(sent).digest():
        failed.append("%d bytes came back wrong (%d missing)" % (size, left))


failed = []
p, port = forward(8080)
for size in (1, 5000000):
    echo(port, size, failed)
many = [threading.Thread(target=echo, args=(port, 200000, failed)) for _ in range(10)]
for t in many:
    t.start()
for t in many:
    t.join()
p.kill()
p.wait()
p, port = forward(81)
s = socket.create_connection(("127.0.0.1", port), timeout=10)
if s.recv(10):
    failed.append("data from a port where nobody listens")
line = p.stderr.readline()
if "error forwarding port 81 to pod two" not in line or "onnection refused" not in line:
    failed.append("a refused connection was told as %r" % line)
p.kill()
p.wait()
sys.exit("; ".join(failed) or 0)

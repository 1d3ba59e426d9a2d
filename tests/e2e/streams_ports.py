# port-forward to the web server of the pod "web", whose /cgi-bin/x gives back what it gets. usage: streams_ports.py KUBECTL.
import os
import re
import socket
import subprocess
import sys
import threading

kubectl = sys.argv[1]


def forward(port):
    p = subprocess.Popen([kubectl, "port-forward", "pod/web", ":%d" % port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    found = re.search(r"127\.0\.0\.1:(\d+)", line)
    if not found:
        sys.exit("port-forward said %r %r" % (line, p.stderr.read()))
    return p, int(found.group(1))


def echo(port, size, failed):
    sent, got = os.urandom(size), b""
    s = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = "POST /cgi-bin/x HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % size
    writer = threading.Thread(target=s.sendall, args=(head.encode() + sent,))
    writer.start()
    while part := s.recv(65536):
        got += part
    writer.join()
    s.close()
    if not got.endswith(b"POST\n" + sent):
        failed.append("%d bytes came back wrong: %d, %r" % (size, len(got), got[:100]))


failed = []
p, port = forward(8000)
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
if "error forwarding port 81 to pod web" not in line or "onnection refused" not in line:
    failed.append("a refused connection was told as %r" % line)
p.kill()
p.wait()
sys.exit("; ".join(failed) or 0)

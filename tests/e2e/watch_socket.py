"""watch_socket.py URL PKI KEELSON STATE: a WebSocket client of its own that watches. Prints who serves in the end, after restarts without a gap."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
from urllib.parse import quote, urlparse

url, pki = urlparse(sys.argv[1]), sys.argv[2]
LIMIT = 90  # seconds that anything may take
failed = False


def check(what, wanted, got):
    global failed
    if wanted != got:
        failed = True
        print(f"FAILED: {what}\n  wanted: {wanted}\n  got: {got}")


def connect():
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
    s = context.wrap_socket(socket.create_connection((url.hostname, url.port), LIMIT), server_hostname=url.hostname)
    s.settimeout(LIMIT)
    return s


def request(method, path, body=b"", headers=()):
    s = connect()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    answer = b""
    while chunk := s.recv(65536):
        answer += chunk
    return int(answer.split(b" ", 2)[1]), answer


class Watch:
    """One upgraded connection."""

    def __init__(self, path, protocol=None, accept=None):
        self.s = connect()
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {url.netloc}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key}", f"Origin: https://{url.netloc}"]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        if accept:
            lines.append(f"Accept: {accept}")
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.s.recv(1) or sys.exit("FAILED: no answer to the upgrade")
        lines = head.decode().split("\r\n")
        self.code = int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.accepted = self.headers.get("sec-websocket-accept") == base64.b64encode(digest).decode()

    def read(self, n):
        data = b""
        while len(data) < n:
            data += self.s.recv(n - len(data)) or sys.exit("FAILED: the connection ended within a message")
        return data

    def frame(self):
        first, length = self.read(2)
        if length == 126:
            length = struct.unpack(">H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.read(8))[0]
        return first & 15, self.read(length)

    def event(self):
        """The next event; opcode and newline are those of upstream. Pings and pongs are none."""
        while True:
            op, data = self.frame()
            if op in (9, 10):
                continue
            check("a text message", 1, op)
            check("ends a line", b"\n", data[-1:])
            return json.loads(data)

    def close(self, code=1000):
        mask = os.urandom(4)
        body = bytes(b ^ mask[i % 4] for i, b in enumerate(struct.pack(">H", code)))
        self.s.sendall(bytes([0x88, 0x80 | len(body)]) + mask + body)


def said(e):
    return e["type"], e["object"]["metadata"]["name"]


maps = "/api/v1/namespaces/default/configmaps"


def put(name, labels=None, method="POST"):
    body = json.dumps({"metadata": {"name": name, "labels": labels or {}}, "data": {"fill": "x" * 70000}}).encode()
    code, answer = request(method, maps if method == "POST" else f"{maps}/{name}", body if method != "DELETE" else b"", ["Content-Type: application/json"])
    check(f"{method} {name}", True, code in (200, 201))


put("first", {"color": "red"})
w = Watch(f"{maps}?watch=true&fieldSelector=metadata.name%21%3Dkube-root-ca.crt")
check("switched", (101, True, None), (w.code, w.accepted, w.headers.get("sec-websocket-protocol")))
first = w.event()
check("what is there", ("ADDED", "first"), said(first))
put("second", {"color": "blue"})
check("what comes", ("ADDED", "second"), said(w.event()))
put("second", {"color": "red"}, "PUT")
check("what changes", ("MODIFIED", "second"), said(w.event()))
put("second", method="DELETE")
check("what goes", ("DELETED", "second"), said(w.event()))
w.close()
check("the close is answered", (8, struct.pack(">H", 1000)), w.frame())

revision = first["object"]["metadata"]["resourceVersion"]
w = Watch(f"{maps}?watch=true&labelSelector={quote('color=red')}&resourceVersion={revision}", "base64.binary.k8s.io")
check("a protocol's name is given back", (101, "base64.binary.k8s.io"), (w.code, w.headers.get("sec-websocket-protocol")))
check("from a revision, by label", [("ADDED", "second"), ("DELETED", "second")], [said(w.event()), said(w.event())])

w = Watch(f"{maps}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Dfirst")
check("a list by watch", ("ADDED", "first"), said(w.event()))
mark = w.event()
check("and its end", ("BOOKMARK", "true"), (mark["type"], mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]))
while (end := w.frame())[0] not in (8,):
    pass
check("the end is a clean close", struct.pack(">H", 1000), end[1])

w = Watch(f"{maps}?watch=true&fieldSelector=metadata.name%3Dfirst", accept="application/json;as=Table;g=meta.k8s.io;v=v1")
check("as a Table", ("ADDED", "Table", "first"), (lambda e: (e["type"], e["object"]["kind"], e["object"]["rows"][0]["cells"][0]))(w.event()))
w.s.close()  # gone without a word

check("two names", 400, Watch(f"{maps}?watch=true", "a.example.com, b.example.com").code)
check("an error is an answer", 400, Watch(f"{maps}?watch=true&labelSelector=%3D%3D").code)

many = [Watch(f"{maps}?watch=true&fieldSelector=metadata.name%3Dfirst") for _ in range(50)]
check("fifty at once", 50 * [("ADDED", "first")], [said(x.event()) for x in many])
put("first", {"color": "green"}, "PUT")
check("fifty hear it", 50 * [("MODIFIED", "first")], [said(x.event()) for x in many])
table = Watch(f"{maps}?watch=true&fieldSelector=metadata.name%3Dfirst", accept="application/json;as=Table;g=meta.k8s.io;v=v1")
check("as a Table again", "ADDED", table.event()["type"])
for color in ("blue", "white"):
    done = subprocess.run([sys.argv[3], "restart", "--state-dir", sys.argv[4]], capture_output=True, text=True)
    check("another process goes on", (0, ""), (done.returncode, done.stderr))
    put("first", {"color": color}, "PUT")
    check("fifty hear it from there", 50 * [("MODIFIED", "first", color)], [(*said(e), e["object"]["metadata"]["labels"]["color"]) for e in (x.event() for x in many)])
    check("and the Table", ("MODIFIED", "first"), (lambda e: (e["type"], e["object"]["rows"][0]["cells"][0]))(table.event()))
    print(done.stdout.split()[1])
for x in [table, *many]:
    x.s.close()
sys.exit(failed)

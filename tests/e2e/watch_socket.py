"""watch_socket.py URL PKI KEELSON STATE: watches over WebSockets. Prints who serves in the end, after restarts without a gap."""
import json
import os
import struct
import subprocess
import sys
from urllib.parse import quote, urlparse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import websocket  # noqa: E402
from websocket import WebSocket, check  # noqa: E402

url, pki = urlparse(sys.argv[1]), sys.argv[2]


def request(method, path, body=b"", headers=()):
    s = websocket.connect(url, pki)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    answer = b""
    while chunk := s.recv(65536):
        answer += chunk
    return int(answer.split(b" ", 2)[1]), answer


class Watch(WebSocket):
    def __init__(self, path, protocol=None, accept=None):
        super().__init__(url, pki, path, protocol, [f"Origin: https://{url.netloc}"] + ([f"Accept: {accept}"] if accept else []))

    def event(self):
        """The next event; opcode and newline are those of upstream."""
        op, data = self.frame()
        check("a text message", 1, op)
        check("ends a line", b"\n", data[-1:])
        return json.loads(data)


def said(e):
    return e["type"], e["object"]["metadata"]["name"]


maps = "/api/v1/namespaces/default/configmaps"


def put(name, labels=None, method="POST"):
    body = json.dumps({"metadata": {"name": name, "labels": labels or {}}, "data": {"fill": "x" * 70000}}).encode()
    code, answer = request(method, maps if method == "POST" else f"{maps}/{name}", body if method != "DELETE" else b"", ["Content-Type: application/json"])
    check(f"{method} {name}", True, code in (200, 201))


put("first", {"color": "red"})
w = Watch(f"{maps}?watch=true&fieldSelector=metadata.name%21%3Dkube-root-ca.crt")
check("switched", (101, True, None), (w.code, w.accepted, w.protocol))
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
check("a protocol's name is given back", (101, "base64.binary.k8s.io"), (w.code, w.protocol))
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
sys.exit(websocket.failed)

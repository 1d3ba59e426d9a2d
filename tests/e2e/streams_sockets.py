"""streams_sockets.py URL PKI NODE: by WebSockets logs, exec of v5, and connections through the proxies of pods, services and nodes.
Expects the pods of streams.sh."""
import base64
import os
import sys
from urllib.parse import urlparse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import websocket  # noqa: E402
from websocket import WebSocket, check  # noqa: E402

url, pki, node = urlparse(sys.argv[1]), sys.argv[2], sys.argv[3]
DEFAULT = "/api/v1/namespaces/default"
LINES = b"line 1\nline 2\nline 3\nline 4\nline 5\nto stderr\n"


class Socket(WebSocket):
    def __init__(self, path, protocol=None):
        super().__init__(url, pki, path, protocol)
        self.answer = self.code, self.protocol

    def all(self):
        """Opcodes and payloads until the end."""
        ops, parts = set(), []
        while (f := self.frame())[0] != 8:
            ops.add(f[0])
            parts.append(f[1])
        return ops, parts


# logs: bytes as they come, or base64 of them; upstream's protocols for readers
for protocol in (None, "binary.k8s.io", "base64.binary.k8s.io"):
    s = Socket(f"{DEFAULT}/pods/two/log?container=a&limitBytes={len(LINES)}", protocol)
    check(f"logs, {protocol}", (101, protocol), s.answer)
    ops, parts = s.all()
    text = protocol == "base64.binary.k8s.io"
    check(f"logs, {protocol}: messages", {1 if text else 2}, ops)
    check(f"logs, {protocol}: text", LINES, b"".join(base64.b64decode(p) if text else p for p in parts))
s = Socket(f"{DEFAULT}/pods/two/log?container=b&follow=true", "base64.binary.k8s.io")
check("logs begin with an empty message, as upstream's", (1, b""), s.frame())
check("logs that are followed", (1, b"only b\n"), (lambda f: (f[0], base64.b64decode(f[1])))(s.frame()))
s.s.settimeout(1)
try:
    check("logs that are followed do not end", None, s.frame())
except TimeoutError:
    pass  # as it should be
s.s.close()

# exec: v5 has a signal that a stream is closed, here stdin; then what the command says of all its input comes, and how it ended
s = Socket(f"{DEFAULT}/pods/two/exec?container=b&command=wc&command=-c&stdin=true&stdout=true", "v5.channel.k8s.io")
check("exec v5", (101, "v5.channel.k8s.io"), s.answer)
s.send(b"\x00hello")
s.send(b"\xff\x00")
ops, parts = s.all()
check("exec v5: the command sees the end", b"5\n", b"".join(p[1:] for p in parts if p[:1] == b"\x01"))
check("exec v5: and its end is told", True, any(p[:1] == b"\x03" and b'"status":"Success"' in p for p in parts))
# v4 has none: it is a channel that nobody knows, and the command goes on
s = Socket(f"{DEFAULT}/pods/two/exec?container=b&command=cat&stdin=true&stdout=true", "v4.channel.k8s.io")
check("exec v4", (101, "v4.channel.k8s.io"), s.answer)
s.send(b"\x00hello")
while (f := s.frame())[1] in (b"", b"\x01", b"\x02", b"\x03"):  # upstream begins with one empty message for each channel
    pass
check("exec v4 echoes", (2, b"\x01hello"), f)
s.s.close()

# proxies: what is behind them switches protocols, and gets and sends bytes as they are. `switch` of the pod sends them back.
for path in (f"{DEFAULT}/pods/switch:9000/proxy/x", f"{DEFAULT}/services/switch:raw/proxy/x"):
    s = Socket(path, "odd.example.com")
    check(f"{path}", (101, "echo.example.com"), s.answer)
    for word in (b"first", b"second" * 1000):
        s.s.sendall(word)
        check(f"{path}: there and back", word, s.read(len(word)))
    s.s.close()
s = Socket(f"/api/v1/nodes/{node}/proxy/exec/default/two/b?command=echo&command=hi&output=1", "v4.channel.k8s.io")
check("through a node's proxy", (101, "v4.channel.k8s.io"), s.answer)
if s.answer[0] == 101:
    check("through a node's proxy: output", b"hi\n", b"".join(p[1:] for p in s.all()[1] if p[:1] == b"\x01"))
sys.exit(websocket.failed)

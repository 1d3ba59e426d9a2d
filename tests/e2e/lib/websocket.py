# An upgraded connection: a WebSocket client of our own, with an administrator's certificate. And check(), which says what is not as wanted.
import base64
import hashlib
import os
import socket
import ssl
import struct
import sys

LIMIT = 90  # seconds that anything may take
failed = False


def check(what, wanted, got):
    global failed
    if wanted != got:
        failed = True
        print(f"FAILED: {what}\n  wanted: {wanted}\n  got: {got}")


def connect(url, pki):
    """A connection of TLS to a parsed URL. pki: a state folder's."""
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
    s = context.wrap_socket(socket.create_connection((url.hostname, url.port), LIMIT), server_hostname=url.hostname)
    s.settimeout(LIMIT)
    return s


class WebSocket:
    """code, protocol and accepted: what the server has answered."""

    def __init__(self, url, pki, path, protocol=None, headers=()):
        self.s = connect(url, pki)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {url.netloc}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key}", *headers]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.s.recv(1) or sys.exit(f"FAILED: {path}: no answer to the upgrade: {head}")
        lines = head.decode().split("\r\n")
        self.code = int(lines[0].split()[1])
        answered = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
        self.protocol = answered.get("sec-websocket-protocol")
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.accepted = answered.get("sec-websocket-accept") == base64.b64encode(digest).decode()

    def read(self, n):
        data = b""
        while len(data) < n:
            data += self.s.recv(n - len(data)) or sys.exit("FAILED: the connection ended within a message")
        return data

    def frame(self):
        """Opcode and payload of the next frame but pings and pongs; 8: the end."""
        while True:
            first, length = self.read(2)
            if length == 126:
                length = struct.unpack(">H", self.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.read(8))[0]
            data = self.read(length)
            if first & 15 not in (9, 10):
                return first & 15, data

    def send(self, data, op=2):
        mask = os.urandom(4)
        self.s.sendall(bytes([0x80 | op, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def close(self, code=1000):
        self.send(struct.pack(">H", code), 8)

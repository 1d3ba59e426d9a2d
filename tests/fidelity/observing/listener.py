"""Whom an API server calls: an HTTPS server that keeps every request and answers as its path says (answers.py)."""
import json
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import answers


def certificates(folder, names, ca=None):
    """CA and certificate in FOLDER: ca.crt, tls.crt, tls.key; names as openssl's subjectAltName has them. ca: of an authority that is there, without .crt and .key."""
    run = lambda *a: subprocess.run(["openssl", *a], cwd=folder, check=True, capture_output=True)
    with open(os.path.join(folder, "ext"), "w") as f:
        f.write("subjectAltName=" + ",".join(names))
    if not ca:
        ca = "ca"
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=observers", "-days", "2")
    run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=observer")
    run("x509", "-req", "-in", "tls.csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial", "-out", "tls.crt", "-days", "2", "-extfile", "ext")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while n := int(self.rfile.readline(), 16):
                body += self.rfile.read(n)
                self.rfile.readline()
            self.rfile.readline()
        try:
            shown = json.loads(body)
        except ValueError:
            shown = body.decode("latin-1")
        call = {"method": self.command, "path": self.path, "headers": sorted([k.lower(), v] for k, v in self.headers.items()), "body": shown}
        with self.server.lock:
            self.server.calls.append(call)
        status, headers, out = answers.answer(self.path, shown)
        try:
            self.send_response_only(status)
            for k, v in {"content-length": str(len(out)), **headers}.items():
                self.send_header(k, v)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(out)
        except OSError:
            pass  # who asked had a time limit
        if status == 101:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve

    def log_message(self, *args):
        pass


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key"))
        self.lock, self.calls = threading.Lock(), []
        super().__init__(("0.0.0.0", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, address):  # the handshake on the connection's own thread
        super().finish_request(self.tls.wrap_socket(request, server_side=True), address)

    def handle_error(self, request, address):
        pass

    def shows(self, folder):
        """Another certificate from now on."""
        self.tls.load_cert_chain(os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key"))

    def take(self):
        """What was asked since the last time."""
        with self.lock:
            calls, self.calls[:] = list(self.calls), []
        return calls

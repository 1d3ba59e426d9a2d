"""An aggregated API server that answers each GET with the file that is named like its path, with '+' for '/'; without one with 404.

Usage: hpa.py CERT KEY ADDRESS FOLDER; prints its port.
"""
import os
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

cert, key, address, folder = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        name = os.path.join(folder, path.strip("/").replace("/", "+"))
        code, data = (200, open(name, "rb").read()) if os.path.exists(name) else (404, b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"message":"no such metric"}')
        with open(os.path.join(folder, "asked"), "a") as f:
            f.write(self.path + "\n")
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = ThreadingHTTPServer((address, 0), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()

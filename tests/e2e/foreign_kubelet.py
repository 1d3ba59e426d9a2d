"""A kubelet in few words: logs in text, failures in text; it notes what it is asked. Usage: foreign_kubelet.py CERT KEY FILE; prints its port."""
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

cert, key, asked = sys.argv[1:]
ANSWERS = {'waits': (400, 'container "main" in pod "waits" is waiting to start: ContainerCreating'), 'away': (404, 'pod does not exist'), 'broken': (500, 'it is on fire')}


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *a):
        pass

    def answer(self):
        with open(asked, 'a') as f:
            f.write(self.path + '\n')
        parts = self.path.partition('?')[0].split('/')
        if 'yaml' in self.headers.get('Accept', ''):
            code, text = 406, 'no such form'
        else:
            code, text = (403, 'no') if parts[1] != 'containerLogs' else ANSWERS.get(parts[3], (200, 'a line\n'))
        self.send_response(code)
        self.send_header('Content-Type', 'text/plain; charset=utf-8')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = answer


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()

# An image registry for tests: what is in an OCI layout, with the troubles that registries have.
# usage: registry_server.py PORT LAYOUT. Repositories (all hold the layout's image as :1):
#   open/app       asks for nothing; blobs are redirected to another port, which must not see credentials
#   basic/app      basic credentials   user / p:w
#   token/app      a bearer token from this server, which gives it to user / p:w
#   index/app      :1 is an index of three platforms
#   bad/manifest, bad/blob, bad/size, bad/gone     what is sent is not what its digest says, or breaks off, or is not there
#   slow/app       (unused paths answer 404)
# Prints one line when it listens. Counts requests in PORT's file: LAYOUT/../asked
import base64
import hashlib
import http.server
import json
import os
import sys
import threading
import urllib.parse

port, layout = int(sys.argv[1]), sys.argv[2]
machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
asked = open(os.path.join(layout, "..", "asked"), "a", buffering=1)
login = "Basic " + base64.b64encode(b"user:p:w").decode()


def blob(digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as f:
        return f.read()


descriptor = json.load(open(os.path.join(layout, "index.json")))["manifests"][0]
manifest = blob(descriptor["digest"])


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


other = {"mediaType": descriptor["mediaType"], "digest": "sha256:" + "0" * 64, "size": 7, "platform": {"os": "linux", "architecture": "vax"}}
mine = {**{k: descriptor[k] for k in ("mediaType", "digest", "size")}, "platform": {"os": "linux", "architecture": machine}}
index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [other, mine]}).encode()


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        if self.server.server_port != port or "chunked" not in self.path:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        sent = self.headers.get("Authorization", "")
        asked.write("%d %s %s\n" % (self.server.server_port, self.path, sent.split(" ")[0] or "-"))
        if self.server.server_port != port:  # where blobs are kept
            return self.say(400, b"credentials") if sent else self.say(200, blob(url.path[1:]))
        if url.path == "/token":
            want = urllib.parse.parse_qs(url.query)
            good = sent == login and want["scope"] == ["repository:token/app:pull"] and want["service"] == ["test registry"]
            return self.say(200, json.dumps({"token": "a.b.c"}).encode()) if good else self.say(401)
        part = url.path.split("/")  # "", v2, A, B, manifests|blobs, what
        if len(part) != 6 or part[1] != "v2":
            return self.say(404)
        repo, kind, what = part[2] + "/" + part[3], part[4], part[5]
        if repo == "basic/app" and sent != login:
            return self.say(401, WWW_Authenticate='Basic realm="test"')
        if repo == "token/app" and sent != "Bearer a.b.c":
            challenge = 'Bearer realm="http://127.0.0.1:%d/token",service="test registry",scope="repository:token/app:pull"' % port
            return self.say(401, WWW_Authenticate=challenge)
        if kind == "manifests":
            return self.manifest(repo, what)
        if repo == "open/app":
            return self.say(307, Location="http://localhost:%d/%s" % (port + 1, what))
        return self.blob(repo, what)

    def manifest(self, repo, what):
        text = index if repo == "index/app" and what in ("1", digest_of(index)) else manifest
        if what not in ("1", digest_of(text)) or repo.split("/")[0] not in ("open", "basic", "token", "index", "bad"):
            return self.say(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        if repo == "bad/manifest":
            text = text + b" "
        self.say(200, text, Content_Type=json.loads(text)["mediaType"], Docker_Content_Digest=digest_of(text))

    def blob(self, repo, what):
        data = blob(what)
        if repo == "bad/gone":
            return self.say(404)
        if repo == "bad/blob":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if repo == "bad/size":
            data += b"more"
        if repo == "token/app":  # in chunks
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(data), 100000):
                piece = data[at : at + 100000]
                self.wfile.write(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return None
        return self.say(200, data)


store = http.server.ThreadingHTTPServer(("127.0.0.1", port + 1), Registry)
threading.Thread(target=store.serve_forever, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Registry)
print("index", digest_of(index), "manifest", descriptor["digest"], flush=True)
server.serve_forever()

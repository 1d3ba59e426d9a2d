"""An OpenID Connect issuer out of the standard library and openssl: serves what DIR/issuer.json and DIR/jwks.json say, counts requests in
DIR/count, and makes tokens. usage: oidc_issuer.py serve DIR | key DIR KID ALG | jwks DIR KID... | token DIR KID ALG CLAIMS [HEADER]"""
import base64, http.server, json, os, ssl, subprocess, sys

HASH = {"256": "sha256", "384": "sha384", "512": "sha512"}
CURVE = {"ES256": ("prime256v1", "P-256", 32), "ES384": ("secp384r1", "P-384", 48), "ES512": ("secp521r1", "P-521", 66)}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def run(*args, data=None):
    return subprocess.run(args, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


def make_key(d, kid, alg):
    out = f"{d}/{kid}.pem"
    if alg in CURVE:
        run("openssl", "ecparam", "-name", CURVE[alg][0], "-genkey", "-noout", "-out", out)
    else:
        run("openssl", "genrsa", "-out", out, "2048")


def jwk(d, kid):
    pem = f"{d}/{kid}.pem"
    if b"RSA" in open(pem, "rb").read() or b"BEGIN PRIVATE" in open(pem, "rb").read():
        n = run("openssl", "rsa", "-in", pem, "-noout", "-modulus").decode().strip().split("=")[1]
        return {"kty": "RSA", "use": "sig", "kid": kid, "e": "AQAB", "n": b64(bytes.fromhex(n))}
    der = run("openssl", "ec", "-in", pem, "-pubout", "-outform", "DER")
    for _, crv, size in CURVE.values():
        point = der[-(2 * size + 1):]
        if len(der) < 2 * size + 40 and point[0] == 4:
            return {"kty": "EC", "use": "sig", "kid": kid, "crv": crv, "x": b64(point[1:size + 1]), "y": b64(point[size + 1:])}
    raise SystemExit("a key of no known kind")


def raw_signature(der, size):
    at = 3 if der[1] & 0x80 else 2
    out = b""
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(size, b"\0")
        at += 2 + n
    return out


def token(d, kid, alg, claims, header=None):
    head = header or json.dumps({"alg": alg, "kid": kid})
    text = b64(head.encode()) + "." + b64(claims.encode())
    args = ["openssl", "dgst", "-" + HASH[alg[2:]], "-sign", f"{d}/{kid}.pem"]
    if alg.startswith("PS"):
        args += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    sig = run(*args, data=text.encode())
    return text + "." + b64(raw_signature(sig, CURVE[alg][2]) if alg in CURVE else sig)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        d = self.server.folder
        with open(f"{d}/count", "a") as f:
            f.write(self.path + "\n")
        name = {"/.well-known/openid-configuration": "issuer.json", "/cel-discovery": "cel.json", "/keys": "jwks.json"}.get(self.path)
        body = open(f"{d}/{name}", "rb").read() if name and os.path.exists(f"{d}/{name}") else b"{}"
        self.send_response(200 if name else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def serve(d):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder = d
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{d}/tls.crt", f"{d}/tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(f"{d}/port.new", "w") as f:
        f.write(str(server.server_port))
    os.rename(f"{d}/port.new", f"{d}/port")
    server.serve_forever()


what, args = sys.argv[1], sys.argv[2:]
if what == "serve":
    serve(*args)
elif what == "key":
    make_key(*args)
elif what == "jwks":
    with open(f"{args[0]}/jwks.json", "w") as f:
        json.dump({"keys": [jwk(args[0], kid) for kid in args[1:]]}, f)
else:
    print(token(*args))

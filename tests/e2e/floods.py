"""Hostile clients, each by hand-written bytes. usage: floods.py KUBECONFIG PID. Exit status 1 when one of them succeeds."""
import base64, json, os, re, socket, ssl, struct, sys, tempfile, time

text, pid = open(sys.argv[1]).read(), int(sys.argv[2])
host, port = re.search(r"server: https://([^:]+):(\d+)", text).groups()
pem = {k: base64.b64decode(re.search(k + r": (\S+)", text).group(1)) for k in ("client-certificate-data", "client-key-data")}
with tempfile.NamedTemporaryFile() as f:
    f.write(pem["client-certificate-data"] + b"\n" + pem["client-key-data"])
    f.flush()
    known = ssl.create_default_context()
    known.check_hostname, known.verify_mode = False, ssl.CERT_NONE
    known.load_cert_chain(f.name)
nobody = ssl.create_default_context()
nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
bad = 0


def say(name, ok, why=""):
    global bad
    bad |= not ok
    print("%s: %s%s" % ("ok" if ok else "FAILED", name, (" - " + why) if why else ""), flush=True)


def rss():
    return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % pid).read()).group(1)) * 1024


def raw():
    return socket.create_connection((host, int(port)), timeout=20)


def tls(alpn, ctx=nobody):
    ctx.set_alpn_protocols([alpn])
    return ctx.wrap_socket(raw(), server_hostname="localhost")


def served():
    """A well-behaved client gets its answer."""
    s = tls("http/1.1")
    s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    out = drain(s)
    return b"200 OK" in out


def drain(s, limit=1 << 20, seconds=20):
    out = b""
    s.settimeout(seconds)
    try:
        while len(out) < limit:
            part = s.recv(65536)
            if not part:
                break
            out += part
    except (ssl.SSLError, OSError):
        pass
    return out


# --- HTTP/2 by hand ---
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, body=b""):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(name, value):  # never indexed, no Huffman
    def n(s):
        return bytes([len(s)]) + s if len(s) < 127 else b"\x7f" + varint(len(s) - 127) + s

    return b"\x10" + n(name) + n(value)


def varint(v):
    out = b""
    while v >= 128:
        out += bytes([v % 128 + 128])
        v //= 128
    return out + bytes([v])


GET = b"\x82\x87" + literal(b":path", b"/livez") + literal(b":authority", b"x")


def h2(ctx=nobody, settings=b""):
    s = tls("h2", ctx)
    s.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
    return s


def frames(b):
    while len(b) >= 9:
        n = int.from_bytes(b[:3], "big")
        yield b[3], int.from_bytes(b[5:9], "big") & 0x7FFFFFFF, b[9 : 9 + n]
        b = b[9 + n :]


def flood(name, make, rounds=200, codes=(11,)):
    """Sends until the server ends it: GOAWAY with one of these codes, or a cut connection; memory stays flat."""
    before, s, sent, got = rss(), h2(), 0, b""
    s.settimeout(0.05)
    try:
        for i in range(rounds):
            s.sendall(make(i))
            sent += 1
            try:
                got += s.recv(65536)
            except (ssl.SSLWantReadError, TimeoutError, socket.timeout):
                pass
            if any(k == GOAWAY for k, _, _ in frames(got)):
                break
    except (ssl.SSLError, OSError):
        pass
    ended = sent < rounds
    got += drain(s, seconds=2)
    code = [int.from_bytes(p[4:8], "big") for k, _, p in frames(got) if k == GOAWAY]
    grown = rss() - before
    say(name, ended and (not code or code[-1] in codes) and grown < 16 << 20 and served(),
        "ended after %d of %d rounds, GOAWAY %s, memory %+d KiB" % (sent, rounds, code, grown // 1024))


def rapid_reset(i):
    return b"".join(frame(HEADERS, 5, 2 * (i * 500 + k) + 1, GET) + frame(RST, 0, 2 * (i * 500 + k) + 1, b"\0\0\0\x08") for k in range(500))


flood("rapid reset", rapid_reset, codes=(2, 11))  # 2: by nghttp2 itself
flood("PING flood", lambda i: frame(PING, 0, 0, b"12345678") * 1000)
flood("SETTINGS flood", lambda i: frame(SETTINGS, 0, 0) * 1000)
flood("PRIORITY flood", lambda i: frame(PRIORITY, 0, 3, b"\0\0\0\0\x10") * 1000)
flood("empty DATA flood", lambda i: (frame(HEADERS, 4, 1, b"\x83" + GET[1:]) if i == 0 else b"") + frame(DATA, 0, 1) * 1000)
flood("large SETTINGS", lambda i: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 100), codes=(11, 1))
flood("CONTINUATION flood", lambda i: (frame(HEADERS, 0, 1, GET) if i == 0 else b"") + frame(CONTINUATION, 0, 1) * 20, codes=(1, 2, 11))


def window_flood(i):
    return frame(WINDOW, 0, 0, b"\0\0\0\x01") * 1000


flood("WINDOW_UPDATE flood", window_flood)


def hpack_bomb():
    """One large entry in the dynamic table, then thousands of one-byte references to it."""
    before, s = rss(), h2()
    entry = b"\x40" + b"\x01x" + b"\x7f" + varint(3000 - 127) + b"y" * 3000
    for i in range(100):
        block = GET + (entry if i == 0 else b"") + b"\xbe" * 12000
        try:
            s.sendall(frame(HEADERS, 5, 2 * i + 1, block))
        except (ssl.SSLError, OSError):
            break
    got = drain(s, seconds=2)
    ok = sum(1 for k, _, p in frames(got) if k == HEADERS and p[:1] == b"\x88")
    grown = rss() - before
    say("HPACK bomb", ok == 0 and grown < 16 << 20 and served(), "%d answered with 200, memory %+d KiB" % (ok, grown // 1024))


def closed_window():
    """Streams whose answers may not be sent: what they hold is bounded."""
    before, s = rss(), h2(known, struct.pack(">HI", 4, 0))
    path = b"\x82\x87" + literal(b":path", b"/openapi/v3/api/v1") + literal(b":authority", b"x")
    s.sendall(b"".join(frame(HEADERS, 5, 2 * i + 1, path) for i in range(100)))
    time.sleep(1)
    grown = rss() - before
    say("answers against a closed window", grown < 48 << 20 and served(), "memory %+d KiB" % (grown // 1024))
    s.close()


hpack_bomb()
closed_window()


# --- HTTP/1.1: what can be read in two ways is refused ---
def refused(name, request):
    s = tls("http/1.1")
    s.sendall(request)
    out = drain(s, seconds=5)
    say(name, out.startswith(b"HTTP/1.1 400") and out.count(b"HTTP/1.1 ") == 1, out[:40].decode("latin-1"))


H = b"POST /livez HTTP/1.1\r\nHost: x\r\n"
refused("length and chunks together", H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
refused("two lengths", H + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
refused("bare line feeds", b"GET /livez HTTP/1.1\nHost: x\n\n")
refused("a folded line", H + b"X: a\r\n b\r\n\r\n")
refused("a blank before the colon", H + b"Content-Length : 0\r\n\r\n")
refused("an unknown coding", H + b"Transfer-Encoding: xchunked\r\n\r\n")
refused("a sign before the length", H + b"Content-Length: +5\r\n\r\nhello")
refused("NUL in a field", H + b"X: a\0b\r\n\r\n")
refused("a bad chunk size", H + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")
refused("no host", b"GET /livez HTTP/1.1\r\n\r\n")


# --- bodies that explode ---
def bomb(name, body, kind="application/json", codes=(400, 413, 415, 422)):
    before, began = rss(), time.time()
    s = tls("http/1.1", known)
    s.sendall(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %s\r\n"
              b"Content-Length: %d\r\n\r\n" % (kind.encode(), len(body)))
    try:
        s.sendall(body)
    except (ssl.SSLError, OSError):
        pass
    out = drain(s)
    code = int(out[9:12] or b"0") if out.startswith(b"HTTP/1.1 ") else 0
    grown = rss() - before
    status = json.loads(out.split(b"\r\n\r\n", 1)[1] or b"{}") if b"\r\n\r\n" in out and b"chunked" not in out else {}
    say(name, code in codes and grown < 64 << 20 and served(),
        "%d in %.0f ms, memory %+d KiB: %s" % (code, (time.time() - began) * 1000, grown // 1024, status.get("message", "")[:80]))


HEAD = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":'
bomb("deep brackets", b"[" * 1000000)
bomb("deep objects", HEAD + b'{"a":' * 500000)
bomb("a million values", HEAD + b"[" + b"1," * 1400000 + b"1]}")
bomb("too long", HEAD + b'{"a":"' + b"x" * (4 << 20) + b'"}}')
bomb("a million colons", b"{" + b'"":0,' * 500000 + b'"":0}')
yaml = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9))
bomb("YAML aliases", yaml, "application/yaml")
bomb("YAML depth", b"- " * 500000, "application/yaml")
bomb("protobuf of nothing", b"k8s\0" + b"\xff" * 2000000, "application/vnd.kubernetes.protobuf")

# --- more connections than descriptors: the rest is refused at once, and the loop does not spin ---
def cpu():
    f = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def no_descriptors():
    import resource
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, old[1]))
    many = [raw() for _ in range(100)]
    began = cpu()
    time.sleep(1)
    used = cpu() - began
    for s in many:
        s.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    time.sleep(0.2)
    say("more connections than descriptors", used < 0.5 and served(), "%.2f s of CPU in a second" % used)


no_descriptors()

# --- slow clients: cut off after ten seconds, all at once so that the test waits only once ---
silent = [raw() for _ in range(100)]
half = []
for _ in range(100):
    s = tls("http/1.1")
    s.sendall(b"GET /livez HTTP/1.1\r\nHost: ")
    half.append(s)
say("others are served beside 200 slow clients", served())
time.sleep(13)


def cut(s):
    s.settimeout(1)
    try:
        return s.recv(1) == b""
    except (TimeoutError, socket.timeout):
        return False
    except (ssl.SSLError, OSError):
        return True


say("silent connections are cut", all(cut(s) for s in silent))
say("half requests are cut", all(cut(s) for s in half))
say("the server serves on", served())
sys.exit(bad)

# The Python client's own WebSocket code (v4.channel.k8s.io). Expects the pods of streams.sh.
import sys

from kubernetes import client, config
from kubernetes.stream import portforward, stream

config.load_kube_config()
api = client.CoreV1Api()


def check(what, wanted, got):
    if wanted != got:
        sys.exit("%s: wanted %r, got %r" % (what, wanted, got))


out = stream(api.connect_get_namespaced_pod_exec, "two", "default", container="b", command=["echo", "from python"], stdout=True, stderr=True)
check("exec", "from python\n", out)
ws = stream(api.connect_get_namespaced_pod_exec, "two", "default", container="b", command=["sh", "-c", "read x; echo got $x; echo err >&2; exit 5"],
            stdin=True, stdout=True, stderr=True, _preload_content=False)
ws.write_stdin("a word\n")
ws.run_forever(timeout=20)
check("stdout", "got a word\n", ws.read_stdout())
check("stderr", "err\n", ws.read_stderr())
check("exit code", 5, ws.returncode)
ws = stream(api.connect_get_namespaced_pod_exec, "two", "default", container="b", command=["head", "-c", "3000000"], stdin=True, stdout=True,
            _preload_content=False)
ws.write_stdin("x" * 3000000)
ws.run_forever(timeout=60)
check("a large message", 3000000, len(ws.read_stdout()))
pf = portforward(api.connect_get_namespaced_pod_portforward, "web", "default", ports="8000")
s = pf.socket(8000)
s.setblocking(True)
s.sendall(b"GET /dir/index.html HTTP/1.0\r\n\r\n")
got = b""
while part := s.recv(1000):
    got += part
check("port-forward", b"below\n", got.split(b"\r\n\r\n")[-1])
s.close()
check("log", "only b\n", api.read_namespaced_pod_log("two", "default", container="b"))

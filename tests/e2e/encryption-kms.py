"""A KMS v2 plugin: v2.KeyManagementService on a unix socket, messages by hand. Its key is the text in a file beside the socket: whoever changes it turns the
key over. Old keys stay known.

Usage: encryption-kms.py SOCKET KEY_FILE
"""
import base64
import hashlib
import sys
from concurrent import futures

import grpc


def fields(data):
    at, out = 0, {}

    def varint():
        nonlocal at
        shift = n = 0
        while True:
            c = data[at]
            at += 1
            n |= (c & 127) << shift
            shift += 7
            if c < 128:
                return n

    while at < len(data):
        tag = varint()
        n = varint()
        if tag & 7 == 2:
            out.setdefault(tag >> 3, []).append(data[at:at + n])
            at += n
    return out


def field(number, value):
    out, n = bytes([number << 3 | 2]), len(value)
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n]) + value


def key_id():
    return open(sys.argv[2], "rb").read().strip()


def crypt(key, data):
    pad = hashlib.sha256(key).digest() * (len(data) // 32 + 1)
    return bytes(a ^ b for a, b in zip(data, pad))


def status(request, context):
    return field(1, b"v2") + field(2, b"ok") + field(3, key_id())


def encrypt(request, context):
    plain, = fields(request)[1]
    return field(1, crypt(key_id(), plain)) + field(2, key_id()) + field(3, field(1, b"note.kms.example") + field(2, b"kept"))


def decrypt(request, context):
    f = fields(request)
    notes = [fields(n) for n in f.get(4, [])]
    if notes != [{1: [b"note.kms.example"], 2: [b"kept"]}]:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the annotations are not those of the writing")
    print("decrypt", f[3][0].decode(), flush=True)
    return field(1, crypt(f[3][0], f[1][0]))


server = grpc.server(futures.ThreadPoolExecutor(4))
raw = {name: grpc.unary_unary_rpc_method_handler(f) for name, f in (("Status", status), ("Encrypt", encrypt), ("Decrypt", decrypt))}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v2.KeyManagementService", raw),))
server.add_insecure_port("unix://" + sys.argv[1])
server.start()
print("ready", flush=True)
server.wait_for_termination()

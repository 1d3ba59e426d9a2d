"""Protobuf messages without their schema: fields in the order in which they were sent, [number, value]; what looks like a message is read as one."""
import struct
import time

import normal

ENVELOPE = b"k8s\0"


def varint(b, at):
    n = shift = 0
    while True:
        c = b[at]
        at += 1
        n |= (c & 0x7F) << shift
        if c < 0x80:
            return n, at
        shift += 7
        if shift > 63:
            raise ValueError("varint")


def fields(b):
    at = 0
    while at < len(b):
        key, at = varint(b, at)
        number, kind = key >> 3, key & 7
        if not number or number > 1000:
            raise ValueError("field number")
        if kind == 0:
            v, at = varint(b, at)
        elif kind == 2:
            n, at = varint(b, at)
            v, at = b[at:at + n], at + n
            if at > len(b):
                raise ValueError("length")
        elif kind in (1, 5):
            n = 8 if kind == 1 else 4
            v, at = struct.unpack_from("<d" if kind == 1 else "<I", b, at)[0], at + n
        else:
            raise ValueError("wire type")
        yield number, kind, v


def text(b):
    try:
        s = b.decode()
    except UnicodeDecodeError:
        return None
    return s if all(c >= " " or c in "\n\t" for c in s) else None


def value(b, number):
    if b.startswith(ENVELOPE):
        return message(b)
    s = text(b)
    if s is not None and not s.startswith("\n"):
        return "<revision>" if number in (2, 6) and s.isdigit() else normal.text(s)
    try:
        return message(b)
    except (ValueError, IndexError, struct.error):
        return normal.text(s) if s is not None else b.hex()


def message(b):
    """A message, or an Unknown in its envelope."""
    if b.startswith(ENVELOPE):
        return {"envelope": message(b[4:])}
    out = []
    for number, kind, v in fields(b):
        if kind == 2:
            v = value(v, number)
        elif kind == 0 and 30000 <= v <= 32767:
            v = "<port>"
        elif kind == 0 and abs(v - time.time()) < 86400:
            v = "<time>"
        out.append({f"{number}": v})
    return out


def frames(b):
    """A watch: four bytes of length before each event."""
    out = []
    while len(b) >= 4:
        n = int.from_bytes(b[:4], "big")
        out.append(message(b[4:4 + n]))
        b = b[4 + n:]
    return out

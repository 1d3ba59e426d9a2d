/* http2.c - frames of an HTTP/2 connection behind the preface and a SETTINGS frame. */
#include "http.h"

FUZZ(data)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    buf_lit(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    buf_add(&b, "\0\0\0\4\0\0\0\0\0", 9);
    buf_add_str(&b, data);
    http_fuzz(buf_str(&b));
}

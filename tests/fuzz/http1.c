/* http1.c - bytes of an HTTP/1.1 connection (or of HTTP/2 by prior knowledge, when they begin with its preface). */
#include "http.h"

FUZZ(data)
{
    http_fuzz(data);
}

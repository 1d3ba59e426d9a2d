/* spdy_headers.c - header blocks of SPDY/3: 32-bit counts and lengths, packed by zlib. */
#include <pthread.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/spdy.h"

/* The dictionary of the protocol's draft 3, section 2.6.10.1: words with their length in front, then plain text. */
static const char *const words[] = {
    "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges",
    "age", "allow", "authorization", "cache-control", "connection", "content-base", "content-encoding", "content-language", "content-length",
    "content-location", "content-md5", "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location", "max-forwards", "pragma",
    "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after", "server", "te", "trailer", "transfer-encoding", "upgrade",
    "user-agent", "vary", "via", "warning", "www-authenticate", "method", "get", "status", "200 OK", "version", "HTTP/1.1", "url", "public",
    "set-cookie", "keep-alive", "origin",
};
static const char tail[] =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No "
    "Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not "
    "Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, "
    "GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public"
    "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static unsigned char dictionary[2048];
static unsigned dictionary_len;

static void put_u32(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void make_dictionary(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]);
        put_u32(dictionary + n, (uint32_t)len);
        memcpy(dictionary + n + 4, words[i], len);
        n += 4 + (unsigned)len;
    }
    memcpy(dictionary + n, tail, sizeof tail - 1);
    dictionary_len = n + (unsigned)sizeof tail - 1;
}

static void need_dictionary(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_dictionary);
}

/* --- unpacking --- */

struct spdy_unpack {
    z_stream z;
    struct buf plain;
};

struct spdy_unpack *spdy_unpack_new(void)
{
    struct spdy_unpack *u = mem_alloc(sizeof *u);
    need_dictionary();
    if (!u || inflateInit(&u->z) != Z_OK) {
        mem_free(u);
        return NULL;
    }
    u->plain.max = SPDY_HEADER_BYTES;
    return u;
}

void spdy_unpack_free(struct spdy_unpack *u)
{
    if (!u)
        return;
    inflateEnd(&u->z);
    buf_free(&u->plain);
    mem_free(u);
}

static bool inflate_all(struct spdy_unpack *u, struct str block)
{
    buf_clear(&u->plain);
    u->z.next_in = (unsigned char *)(uintptr_t)block.at;
    u->z.avail_in = (unsigned)block.len;
    for (int rc = Z_OK; rc == Z_OK;) {
        char *room = buf_room(&u->plain, 1024);
        if (!room)
            return false;
        u->z.next_out = (unsigned char *)room;
        u->z.avail_out = 1024;
        rc = inflate(&u->z, Z_SYNC_FLUSH);
        if (rc == Z_NEED_DICT && (rc = inflateSetDictionary(&u->z, dictionary, dictionary_len)) == Z_OK)
            continue;
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return false;
        u->plain.len += 1024 - u->z.avail_out;
        if (!u->z.avail_in && u->z.avail_out)
            break;
    }
    return u->z.avail_in == 0;
}

static bool next_text(struct str *s, struct str *ret)
{
    if (s->len < 4 || get_u32(s->at) > s->len - 4)
        return false;
    *ret = str_n(s->at + 4, get_u32(s->at));
    *s = str_skip(*s, 4 + ret->len);
    return true;
}

int spdy_unpack(struct spdy_unpack *u, struct str block, struct http_header ret[SPDY_HEADERS_MOST])
{
    if (block.len > SPDY_HEADER_BYTES || !inflate_all(u, block) || u->plain.len < 4)
        return -1;
    struct str s = buf_str(&u->plain);
    uint32_t n = get_u32(s.at);
    s = str_skip(s, 4);
    if (n > SPDY_HEADERS_MOST)
        return -1;
    for (uint32_t i = 0; i < n; i++)
        if (!next_text(&s, &ret[i].name) || !ret[i].name.len || !next_text(&s, &ret[i].value))
            return -1;
    return s.len ? -1 : (int)n;
}

/* --- packing --- */

struct spdy_pack {
    z_stream z;
    struct buf plain, packed;
};

struct spdy_pack *spdy_pack_new(void)
{
    struct spdy_pack *p = mem_alloc(sizeof *p);
    need_dictionary();
    /* A small window: our blocks are a few bytes, and there may be many connections. */
    if (!p || deflateInit2(&p->z, 1, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK) {
        mem_free(p);
        return NULL;
    }
    if (deflateSetDictionary(&p->z, dictionary, dictionary_len) != Z_OK) {
        spdy_pack_free(p);
        return NULL;
    }
    return p;
}

void spdy_pack_free(struct spdy_pack *p)
{
    if (!p)
        return;
    deflateEnd(&p->z);
    buf_free(&p->plain);
    buf_free(&p->packed);
    mem_free(p);
}

static void add_u32(struct buf *b, size_t v)
{
    unsigned char at[4];
    put_u32(at, (uint32_t)v);
    buf_add(b, at, sizeof at);
}

struct str spdy_pack(struct spdy_pack *p, const struct http_header *h, unsigned n)
{
    buf_clear(&p->plain);
    buf_clear(&p->packed);
    add_u32(&p->plain, n);
    for (unsigned i = 0; i < n; i++) {
        add_u32(&p->plain, h[i].name.len);
        buf_add_str(&p->plain, h[i].name);
        add_u32(&p->plain, h[i].value.len);
        buf_add_str(&p->plain, h[i].value);
    }
    size_t most = p->plain.failed ? 0 : deflateBound(&p->z, p->plain.len) + 64;
    char *room = most ? buf_room(&p->packed, most) : NULL;
    if (!room)
        return STR_NONE;
    p->z.next_in = (unsigned char *)p->plain.at;
    p->z.avail_in = (unsigned)p->plain.len;
    p->z.next_out = (unsigned char *)room;
    p->z.avail_out = (unsigned)most;
    if (deflate(&p->z, Z_SYNC_FLUSH) != Z_OK || p->z.avail_in)
        return STR_NONE;
    p->packed.len = most - p->z.avail_out;
    return buf_str(&p->packed);
}

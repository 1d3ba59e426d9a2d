/* remote_ports.c - port-forward over SPDY: each connection to a port is a pair of streams that name the same request. */
#include "remote-internal.h"

static struct remote_pair *by_request(struct remote *r, struct str request)
{
    list_each(n, &r->pairs)
    {
        struct remote_pair *p = list_item(n, struct remote_pair, link);
        if (!p->told && str_is(request, p->request))
            return p;
    }
    return NULL;
}

static struct remote_pair *make(struct remote *r, struct str request, uint16_t port)
{
    struct remote_pair *p = r->n_pairs < PORTS_MOST && request.len < sizeof p->request ? mem_alloc(sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->id = r->next_pair++;
    p->port = port;
    memcpy(p->request, request.at, request.len);
    list_push(&r->pairs, &p->link);
    r->n_pairs++;
    return p;
}

bool remote_pair_open(struct remote *r, uint32_t stream, const struct http_header *h, unsigned n)
{
    char own[16];
    int64_t port;
    struct str type = http_header_of(h, n, STR("streamtype")), request = http_header_of(h, n, STR("requestid"));
    bool data = str_is(type, "data");
    if (!str_int(http_header_of(h, n, STR("port")), &port) || port < 1 || port > 65535 || (!data && !str_is(type, "error")))
        return false;
    if (!request.len) {                 /* old clients: the data stream follows its error stream */
        snprintf(own, sizeof own, "#%u", data && stream > 2 ? stream - 2 : stream);
        request = str_of(own);
    }
    struct remote_pair *p = by_request(r, request);
    if (!p && !(p = make(r, request, (uint16_t)port)))
        return false;
    uint32_t *at = data ? &p->data : &p->error;
    if (*at || p->port != port)
        return false;
    *at = stream;
    return true;
}

unsigned remote_pair_channel(struct remote *r, uint32_t stream, struct remote_pair **ret)
{
    list_each(n, &r->pairs)
    {
        struct remote_pair *p = list_item(n, struct remote_pair, link);
        if (p->data != stream && p->error != stream)
            continue;
        if (ret)
            *ret = p;
        return 2 * p->id + (p->error == stream);
    }
    return CHANNEL_UNKNOWN;
}

struct remote_pair *remote_pair_find(struct remote *r, unsigned id)
{
    list_each(n, &r->pairs)
        if (list_item(n, struct remote_pair, link)->id == id)
            return list_item(n, struct remote_pair, link);
    return NULL;
}

void remote_pair_free(struct remote *r, struct remote_pair *p)
{
    list_remove(&p->link);
    r->n_pairs--;
    mem_free(p);
}

void remote_pairs_free(struct remote *r)
{
    list_each(n, &r->pairs)
        remote_pair_free(r, list_item(n, struct remote_pair, link));
}

/* list_stream.c - a long JSON list goes out piece by piece from the store's own bytes: however many objects there are and however many
 * clients ask, each costs a list of pointers and a few hundred KiB of output at a time. */
#include "api-internal.h"

#define AHEAD (256u << 10)              /* queued at most */

struct list_stream {
    struct http_req *http;
    struct store_object **at;
    size_t n, next;
    bool typed;                         /* items have kind and apiVersion */
    struct str tail;
};

static void release_mem(void *at)
{
    mem_free(at);
}

static void end(struct list_stream *s)
{
    for (size_t i = s->next; i < s->n; i++)
        store_object_unref(s->at[i]);
    mem_free((void *)s->tail.at);
    mem_free(s->at);
    mem_free(s);
}

static void on_gone(void *ctx)
{
    end(ctx);
}

static void feed(void *ctx)
{
    struct list_stream *s = ctx;
    while (s->next < s->n && http_stream_queued(s->http) < AHEAD) {
        struct store_object *o = s->at[s->next];
        struct str json = store_object_json(o);
        bool first = s->next++ == 0;
        if (!s->typed || !first)
            http_stream_write(s->http, (struct http_slice){ .data = s->typed ? STR(",") : first ? STR("{") : STR(",{") });
        http_stream_write(s->http, (struct http_slice){ s->typed ? json : api_strip_type(json), store_object_release, o });
    }
    if (s->next < s->n)
        return;                         /* on_drain comes back here */
    http_stream_write(s->http, (struct http_slice){ s->tail, release_mem, (void *)s->tail.at });
    s->tail = STR_NONE;
    http_stream_end(s->http);
    end(s);
}

int api_stream_list(struct api_rq *rq, struct buf *head, struct buf *tail, struct store_object **at, size_t n)
{
    struct http_header h[API_HEADERS];
    struct list_stream *s = mem_alloc(sizeof *s);
    size_t len, tail_len;
    char *text = s ? buf_take(head, &len) : NULL, *last = text ? buf_take(tail, &tail_len) : NULL;
    if (!last) {
        mem_free(text);
        mem_free(s);
        return -KL_NO_MEMORY;
    }
    *s = (struct list_stream){ rq->http, at, n, 0, rq->info.kind->flags & K_CUSTOM, str_n(last, tail_len) };
    http_stream_begin(rq->http, 200, h, api_headers(rq, h, "application/json"));
    http_on_close(rq->http, on_gone, s);
    http_stream_on_drain(rq->http, feed, s);
    http_stream_write(rq->http, (struct http_slice){ str_n(text, len), release_mem, text });
    feed(s);
    return 0;
}

/* memory.c - what was asked for a request that waits, and what was answered: until the host says that it is over. */
#include "webhook.h"

#define BUCKETS (sizeof ((struct memory *)0)->at / sizeof *((struct memory *)0)->at)

void memory_init(struct memory *m)
{
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&m->at[i]);
}

struct asked *memory_find(struct memory *m, uint64_t request)
{
    list_each(l, &m->at[request % BUCKETS])
        if (list_item(l, struct asked, link)->request == request)
            return list_item(l, struct asked, link);
    return NULL;
}

struct asked *memory_of(struct memory *m, uint64_t request, unsigned n)
{
    struct asked *k = memory_find(m, request);
    if (k && k->n >= n)
        return k;
    struct arena *a = k ? k->arena : arena_new(0);
    bool *flags = a ? arena_alloc(a, 2 * ((size_t)n + 1) * sizeof *flags) : NULL;
    if (!k && flags && (k = arena_alloc(a, sizeof *k))) {
        k->arena = a;
        k->request = request;
        list_init(&k->questions);
        list_push(&m->at[request % BUCKETS], &k->link);
    }
    if (!k || !flags) {
        if (!k)
            arena_free(a);
        return NULL;
    }
    k->invoked = flags;                 /* hooks came in between: what was known of their places means nothing now */
    k->due = flags + n;
    k->n = n;
    return k;
}

struct question *memory_question(struct asked *k, const uint64_t digest[2])
{
    list_each(l, &k->questions) {
        struct question *q = list_item(l, struct question, link);
        if (q->digest[0] == digest[0] && q->digest[1] == digest[1])
            return q;
    }
    return NULL;
}

struct question *memory_ask(struct asked *k, const uint64_t digest[2])
{
    struct question *q = arena_alloc(k->arena, sizeof *q);
    if (!q)
        return NULL;
    q->digest[0] = digest[0];
    q->digest[1] = digest[1];
    list_push(&k->questions, &q->link);
    return q;
}

void memory_drop(struct asked *k, const struct kl_host *h, const struct kl_host_http *http)
{
    list_each(l, &k->questions) {
        struct question *q = list_item(l, struct question, link);
        if (q->ticket)
            http->drop(h, q->ticket);
    }
    list_remove(&k->link);
    arena_free(k->arena);               /* k lives in it */
}

void memory_free(struct memory *m, const struct kl_host *h, const struct kl_host_http *http)
{
    for (size_t i = 0; i < BUCKETS; i++)
        list_each(l, &m->at[i])
            memory_drop(list_item(l, struct asked, link), h, http);
}

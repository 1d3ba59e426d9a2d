/* crowd.c - see crowd.h. */
#include "crowd.h"

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/mem.h"

#define BATCH_EACH_NS  50000            /* changes wait that long for others, for each pod that there is: as long as several looks at all take */
#define BATCH_LEAST_NS 2000000
#define BATCH_MOST_NS  250000000

static uint64_t digest(struct str s)
{
    static const uint64_t seed[2] = { 0x63726f77, 0x64 };
    return hash_sip(seed, s.at, s.len);
}

struct crowd *crowd_of(const struct ctl *x, struct str key)
{
    return map_get(&x->crowds, key);
}

static struct str key_of(struct ctl_run *r, struct str ns, struct str name)
{
    return str_of(arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name)));
}

static struct crowd *new_crowd(struct ctl *x, struct str key, size_t record)
{
    struct crowd *c = key.len ? mem_alloc(sizeof *c + key.len) : NULL;
    if (!c)
        return NULL;
    c->key = str_n(memcpy(c + 1, key.at, key.len), key.len);
    c->record = record;
    c->whole = true;
    if (map_put(&x->crowds, c->key, c))
        return c;
    mem_free(c);
    return NULL;
}

/* Where most have changed, reading all is less work than looking for each. */
static bool mostly_changed(const struct crowd *c)
{
    return c->n_changed > 16 + c->pods.n / 4;
}

struct crowd *crowd_open(struct ctl_run *r, struct str ns, struct str name, struct str version, size_t record)
{
    struct str key = key_of(r, ns, name);
    struct crowd *c = crowd_of(r->ctl, key);
    if (!c && !(c = new_crowd(r->ctl, key, record)))
        return NULL;
    c->whole |= c->open || c->version != digest(version) || mostly_changed(c);
    c->version = digest(version);
    c->open = true;
    c->round++;
    c->ran_ns = r->ctl->env->mono_ns(r->ctl->host);
    return c;
}

void *crowd_get(const struct crowd *c, struct str pod)
{
    return map_get(&c->pods, pod);
}

void *crowd_put(struct crowd *c, struct str pod)
{
    struct crowd_pod *p = map_get(&c->pods, pod);
    if (!p && (p = mem_alloc(c->record + pod.len))) {
        p->name = str_n(memcpy((char *)p + c->record, pod.at, pod.len), pod.len);
        if (!map_put(&c->pods, p->name, p)) {
            mem_free(p);
            p = NULL;
        }
    }
    if (!p) {
        c->whole = true;
        return NULL;
    }
    p->round = c->round;
    p->gone = false;
    return p;
}

static void mark_changed(struct crowd *c, struct crowd_pod *p)
{
    if (p->changed)
        return;
    p->changed = true;
    p->next = c->changed;
    c->changed = p;
    c->n_changed++;
}

void crowd_touch(struct crowd *c, struct str pod)
{
    struct crowd_pod *p = crowd_put(c, pod);
    if (p)
        mark_changed(c, p);
}

/* Of a whole look, who was not seen is none of them. */
static void mark_unseen(struct crowd *c)
{
    size_t at = 0;
    void *v;
    while (map_next(&c->pods, &at, NULL, &v)) {
        struct crowd_pod *p = v;
        p->gone |= p->round != c->round;
        if (p->gone)
            mark_changed(c, p);
    }
}

void crowd_close(struct crowd *c)
{
    if (c->whole)
        mark_unseen(c);
    for (struct crowd_pod *p = c->changed, *next; p; p = next) {
        next = p->next;
        p->changed = false;
        if (p->gone)
            mem_free(map_del(&c->pods, p->name));
    }
    c->changed = NULL;
    c->n_changed = 0;
    c->whole = c->open = false;
    c->known = true;
}

static void free_crowd(struct crowd *c)
{
    size_t at = 0;
    void *v;
    while (map_next(&c->pods, &at, NULL, &v))
        mem_free(v);
    map_free(&c->pods);
    mem_free(c->more);
    mem_free(c);
}

void crowd_forget(struct ctl *x, struct str ns, struct str name)
{
    _cleanup_buf_ struct buf key = BUF_INIT(1024);
    ctl_key_add(&key, ns, name);
    struct crowd *c = map_del(&x->crowds, buf_str(&key));
    if (c)
        free_crowd(c);
}

void crowd_forget_all(struct ctl *x)
{
    size_t at = 0;
    void *v;
    while (map_next(&x->crowds, &at, NULL, &v))
        free_crowd(v);
    map_free(&x->crowds);
}

void crowd_doubt_all(struct ctl *x)
{
    size_t at = 0;
    void *v;
    while (map_next(&x->crowds, &at, NULL, &v))
        ((struct crowd *)v)->whole = true;
}

/* --- batches --- */

static int64_t wait_ns(const struct crowd *c, int64_t now_ns)
{
    int64_t batch = (int64_t)c->pods.n * BATCH_EACH_NS;
    batch = batch < BATCH_LEAST_NS ? 0 : batch < BATCH_MOST_NS ? batch : BATCH_MOST_NS;
    return c->ran_ns + batch - now_ns;
}

void crowd_note(struct ctl_run *r, struct str pod, struct buf *keys)
{
    struct str rest = str_of(arena_dup(r->arena, buf_str(keys)));
    if (!rest.len || !r->ctl->crowds.n)
        return;
    int64_t now_ns = r->ctl->env->mono_ns(r->ctl->host);
    buf_clear(keys);
    while (rest.len) {
        struct str key = str_cut(&rest, '\n');
        struct crowd *c = crowd_of(r->ctl, key);
        if (c)
            crowd_touch(c, pod);
        int64_t left = c ? wait_ns(c, now_ns) : 0;
        if (left > 0)
            r->ctl->queue->add(r->ctl->host, arena_dup(r->arena, key), left);
        else
            ctl_key_add(keys, STR(""), key);
    }
}

/* limits.c - see limits.h. */
#include "limits.h"

#include "base/cleanup.h"
#include "base/mem.h"

#define CACHE_DEFAULT 4096
#define NS_PER_S      1000000000.0

const char *const limit_types[LIMIT_TYPES] = { "Server", "Namespace", "User", "SourceAndObject" };

struct bucket {
    struct list link;
    double tokens;
    int64_t at_ns;                      /* when they were counted */
    struct str key;                     /* behind it */
};

/* --- configuration --- */

static int read_number(const struct val *v, const char *key, int64_t fallback, unsigned i, int64_t *ret, struct kl_err *err)
{
    const struct val *n = json_get(v, str_of(key));
    *ret = n && n->type == VAL_INT ? n->i : n ? 0 : fallback;
    return *ret > 0 ? 0 : kl_err_set(err, KL_INVALID, "limits[%u].%s: must be a positive number", i, key);
}

static int read_limit(const struct val *v, unsigned i, struct limit *l, struct kl_err *err)
{
    struct str type = json_str(v, "type");
    unsigned t = 0;
    list_init(&l->used);
    while (t < LIMIT_TYPES && !str_is(type, limit_types[t]))
        t++;
    if (t == LIMIT_TYPES)
        return kl_err_set(err, KL_INVALID, "limits[%u].type: unsupported value \"" STR_FMT "\": Server, Namespace, User or SourceAndObject", i, STR_ARG(type));
    l->type = t;
    int rc = read_number(v, "qps", 0, i, &l->qps, err);
    if (rc == 0)
        rc = read_number(v, "burst", 0, i, &l->burst, err);
    if (rc == 0)
        rc = read_number(v, "cache_size", t == LIMIT_SERVER ? 1 : CACHE_DEFAULT, i, &l->most, err);
    val_each(m, v)
        if (rc == 0 && !str_is(val_key(m), "type") && !str_is(val_key(m), "qps") && !str_is(val_key(m), "burst") && !str_is(val_key(m), "cache_size"))
            rc = kl_err_set(err, KL_INVALID, "limits[%u]: unknown setting '" STR_FMT "'", i, STR_ARG(val_key(m)));
    return rc;
}

int limits_read(struct arena *a, const struct val *list, struct limit **ret, unsigned *ret_n, struct kl_err *err)
{
    unsigned n = val_is(list, VAL_ARR) ? list->n : 0, i = 0;
    struct limit *at = n ? arena_alloc(a, n * sizeof *at) : NULL;
    if (!n)
        return kl_err_set(err, KL_INVALID, "limits: at least one is needed");
    if (!at)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(v, list) {
        int rc = read_limit(v, i, &at[i], err);
        if (rc < 0)
            return rc;
        i++;
    }
    *ret = at;
    *ret_n = n;
    return 0;
}

/* --- buckets --- */

static void forget(struct limit *l, struct bucket *b)
{
    list_remove(&b->link);
    map_del(&l->buckets, b->key);
    mem_free(b);
    l->n--;
}

void limits_free(struct limit *at, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        list_each(x, &at[i].used)
            forget(&at[i], list_item(x, struct bucket, link));
        map_free(&at[i].buckets);
    }
}

static struct bucket *bucket_new(struct limit *l, struct str key, int64_t now_ns)
{
    struct bucket *b = mem_alloc(sizeof *b + key.len + 1);
    if (!b)
        return NULL;
    char *text = (char *)(b + 1);
    if (key.len)
        memcpy(text, key.at, key.len);
    *b = (struct bucket){ .tokens = (double)l->burst, .at_ns = now_ns, .key = str_n(text, key.len) };
    list_init(&b->link);
    if (l->n == l->most)
        forget(l, list_item(l->used.next, struct bucket, link));
    if (!map_put(&l->buckets, b->key, b)) {
        mem_free(b);
        return NULL;
    }
    l->n++;
    return b;
}

bool limit_take(struct limit *l, struct str key, int64_t now_ns)
{
    struct bucket *b = map_get(&l->buckets, key);
    if (!b && !(b = bucket_new(l, key, now_ns)))
        return false;
    list_remove(&b->link);
    list_push(&l->used, &b->link);
    b->tokens += (double)(now_ns - b->at_ns) / NS_PER_S * (double)l->qps;
    b->tokens = b->tokens > (double)l->burst ? (double)l->burst : b->tokens;
    b->at_ns = now_ns;
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    return true;
}

struct str limit_event_key(struct arena *a, const struct val *event)
{
    static const char *const members[] = { "kind", "namespace", "name", "uid", "apiVersion" };
    const struct val *about = json_get(event, STR("involvedObject")), *source = json_get(event, STR("source"));
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    buf_add_str(&b, json_str(source, "component"));
    buf_add_str(&b, json_str(source, "host"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        buf_add_str(&b, json_str(about, members[i]));
    return b.failed ? STR("") : arena_str(a, buf_str(&b));
}

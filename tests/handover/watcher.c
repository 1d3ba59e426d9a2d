/* watcher.c - watches in several forms, and what they should have shown: the sequence that the reference has. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "load.h"

#define PATH "/api/v1/namespaces/load/configmaps?watch=true&resourceVersion=%llu%s%s"

static void wrong(struct watcher *w, const char *what, struct str text)
{
    if (!w->why[0])
        snprintf(w->why, sizeof w->why, "%s: " STR_FMT, what, STR_ARG(str_n(text.at, text.len < 200 ? text.len : 200)));
}

static void keep(struct watcher *w, char type, const struct val *meta)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 1024;
        w->at = mem_resize(w->at, w->cap * sizeof *w->at);
        if (!w->at)
            abort();
    }
    struct event *e = &w->at[w->n++];
    int64_t revision = 0;
    *e = (struct event){ .type = type, .even = str_is(val_str(json_get(json_get(meta, STR("labels")), STR("even"))), "yes") };
    str_int(json_str(meta, "resourceVersion"), &revision);
    e->revision = (uint64_t)revision;
    snprintf(e->name, sizeof e->name, STR_FMT, STR_ARG(json_str(meta, "name")));
}

static void line(struct watcher *w, struct str text)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(a, text, &err), *object = json_get(v, STR("object"));
    struct str type = json_str(v, "type");
    if (str_is(type, "ADDED") || str_is(type, "MODIFIED") || str_is(type, "DELETED")) {
        w->frames++;
        struct val *rows = json_get(object, STR("rows"));      /* a Table's own metadata has no more than the revision */
        bool table = w->form == FORM_TABLE && val_is(rows, VAL_ARR) && rows->n == 1;
        keep(w, type.at[0], table ? json_path(rows->first, "object.metadata") : json_path(object, "metadata"));
    } else if (str_is(type, "BOOKMARK")) {
        w->bookmarks++;
        w->initial_ends += json_get(json_path(object, "metadata.annotations"), STR("k8s.io/initial-events-end")) != NULL;
        if (w->initial && w->initial_ends) {    /* what was there is no event; the rest follows this revision */
            int64_t revision = 0;
            str_int(json_str(object, "metadata.resourceVersion"), &revision);
            w->from = (uint64_t)revision;
            w->initial = false;
            w->n = 0;
        }
    } else {
        wrong(w, "it says", text);
    }
}

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    struct watcher *w = ctx;
    char text[16];
    (void)h;
    (void)n;
    snprintf(text, sizeof text, "%d", status);
    if (status != 200)
        wrong(w, "the answer", str_of(text));
}

static size_t frame_len(const struct watcher *w, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.at;
    if (w->form != FORM_PROTOBUF) {
        long at = str_find(s, '\n');
        return at < 0 ? 0 : (size_t)at + 1;
    }
    size_t n = s.len < 4 ? 0 : 4 + ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
    return n <= s.len ? n : 0;
}

static void on_data(void *ctx, struct str bytes)
{
    struct watcher *w = ctx;
    size_t n;
    buf_add_str(&w->rest, bytes);
    struct str s = buf_str(&w->rest);
    for (; (n = frame_len(w, s)); s = str_skip(s, n))
        if (w->form == FORM_PROTOBUF)
            w->frames++;
        else
            line(w, str_n(s.at, n));
    memmove(w->rest.at, s.at, s.len);
    w->rest.len = s.len;
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct watcher *w = ctx;
    w->call = NULL;
    w->over = true;
    if (w->rest.len)
        wrong(w, "it ended within", buf_str(&w->rest));
    if (err)
        wrong(w, "it broke", str_of(err->msg));
    else if (!w->late)
        wrong(w, "it ended", STR("cleanly"));
}

struct watcher *watcher_new(struct load *l, const struct watcher *as)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    static const char *const accept[] = { "application/json", "application/vnd.kubernetes.protobuf",
                                          "application/json;as=Table;v=v1;g=meta.k8s.io" };
    struct watcher *w = mem_alloc(sizeof *w);
    struct http_header h = { STR("accept"), str_of(accept[as->form]) };
    char path[300];
    *w = *as;
    w->rest = (struct buf)BUF_INIT(0);
    snprintf(path, sizeof path, PATH, (unsigned long long)w->from, w->even_only ? "&labelSelector=even%3Dyes" : "",
             w->late ? "&timeoutSeconds=2" : w->initial ? "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=3000"
                                           : "&timeoutSeconds=3000");
    w->call = http_call_new(load_client(l, w->form == FORM_TABLE), "GET", path, &h, 1, STR(""), 0, &ev, w);
    list_push(&l->watchers, &w->link);
    return w;
}

/* --- judging --- */

/* What a watch with the label's selector shows of the reference's next event. 0: nothing. */
static char seen_by_label(struct load *l, size_t i)
{
    const struct event *e = &l->reference->at[i];
    bool was = false;
    for (size_t k = i; k-- > 0 && e->type != 'A';)
        if (strcmp(l->reference->at[k].name, e->name) == 0) {
            was = l->reference->at[k].even;
            break;
        }
    bool is = e->type != 'D' && e->even;
    return is ? (was ? 'M' : 'A') : was ? 'D' : 0;
}

static bool same(struct load *l, struct watcher *w)
{
    const struct watcher *ref = l->reference;
    size_t k = 0;
    while (k < w->n && w->at[k].revision <= w->from)
        k++;                            /* what was there at first */
    for (size_t i = 0; i < ref->n; i++) {
        const struct event *e = &ref->at[i];
        char type = w->even_only ? seen_by_label(l, i) : e->type;
        if (e->revision <= w->from || !type)
            continue;
        if (k == w->n)
            return w->late || (load_fail(l, "%s lacks revision %llu and what follows", w->what, (unsigned long long)e->revision), false);
        if (w->at[k].revision != e->revision || w->at[k].type != type) {
            load_fail(l, "%s shows %c %llu in place of %c %llu", w->what, w->at[k].type, (unsigned long long)w->at[k].revision, type,
                      (unsigned long long)e->revision);
            return false;
        }
        k++;
    }
    if (k < w->n)
        load_fail(l, "%s shows more than there is: %c %llu", w->what, w->at[k].type, (unsigned long long)w->at[k].revision);
    return k == w->n;
}

static void judge_reference(struct load *l)
{
    const struct watcher *ref = l->reference;
    size_t lacking = 0;
    for (size_t i = 1; i < ref->n; i++)
        if (ref->at[i].revision <= ref->at[i - 1].revision)
            load_fail(l, "revision %llu follows %llu", (unsigned long long)ref->at[i].revision, (unsigned long long)ref->at[i - 1].revision);
    for (size_t i = 0; i < l->n_written; i++) {
        size_t low = 0, high = ref->n;
        while (low < high) {
            size_t mid = (low + high) / 2;
            if (ref->at[mid].revision < l->written[i])
                low = mid + 1;
            else
                high = mid;
        }
        lacking += low == ref->n || ref->at[low].revision != l->written[i];
    }
    if (lacking)
        load_fail(l, "%zu writes that were answered are in no event", lacking);
}

void watchers_judge(struct load *l)
{
    judge_reference(l);
    list_each(n, &l->watchers)
    {
        struct watcher *w = list_item(n, struct watcher, link);
        if (w->why[0])
            load_fail(l, "%s: %s", w->what, w->why);
        else if (w->form == FORM_PROTOBUF && w->frames != l->reference->frames)
            load_fail(l, "%s: %zu events, not %zu", w->what, w->frames, l->reference->frames);
        else if (w->form != FORM_PROTOBUF)
            same(l, w);
        if (!w->late && w->initial_ends > 1)
            load_fail(l, "%s: the end of what was there was told %u times", w->what, w->initial_ends);
    }
}

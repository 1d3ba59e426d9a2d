#include "fake.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "reconcile/call.h"

/* --- its objects --- */

static struct fake_object *find(struct fake *f, struct str name)
{
    for (unsigned i = 0; i < f->n; i++)
        if (f->at[i].there && str_is(name, f->at[i].name))
            return &f->at[i];
    return NULL;
}

static int text_of(const struct fake_object *o, char *room, size_t size, bool typed)
{
    return snprintf(room, size, "{%s\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"uid\":\"%s\",\"resourceVersion\":\"%llu\","
                    "\"ownerReferences\":[{\"uid\":\"owner-of-%s\"}]},\"data\":{\"k\":\"%s\"}}", typed ? "\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\"," : "",
                    o->name, o->uid, (unsigned long long)o->revision, o->name, o->data);
}

static void note(struct fake *f, const char *type, const struct fake_object *o)
{
    if (f->n_events == f->cap_events) {
        f->cap_events = f->cap_events ? f->cap_events * 2 : 64;
        f->events = realloc(f->events, f->cap_events * sizeof *f->events);
    }
    struct fake_event *e = &f->events[f->n_events++];
    e->type = type;
    e->revision = f->revision;
    text_of(o, e->text, sizeof e->text, true);
    if (!f->mute)
        fake_tell(f);
}

void fake_put(struct fake *f, const char *name, const char *data)
{
    struct fake_object *o = find(f, str_of(name));
    bool new = !o;
    if (new) {
        o = &f->at[f->n++];
        cr_assert_lt(f->n, FAKE_OBJECTS);
        *o = (struct fake_object){ .there = true };
        snprintf(o->name, sizeof o->name, "%s", name);
        snprintf(o->uid, sizeof o->uid, "uid-%u", f->n);
    }
    snprintf(o->data, sizeof o->data, "%s", data);
    o->revision = ++f->revision;
    note(f, new ? "ADDED" : "MODIFIED", o);
}

void fake_delete(struct fake *f, const char *name)
{
    struct fake_object *o = find(f, str_of(name));
    cr_assert(o);
    o->there = false;
    o->revision = ++f->revision;
    note(f, "DELETED", o);
}

/* --- watches --- */

struct cursor {
    struct fake *fake;
    uint64_t told;                      /* revision */
    char name[64];                      /* metadata.name that is wanted; empty: all */
};

static struct cursor cursors[16];

static void write_text(struct http_req *r, const char *text, size_t n)
{
    char *copy = mem_dup(text, n);
    http_stream_write(r, (struct http_slice){ str_n(copy, n), mem_free, copy });
}

static void tell(struct http_req *r, const char *type, const char *object)
{
    char line[1024];
    write_text(r, line, (size_t)snprintf(line, sizeof line, "{\"type\":\"%s\",\"object\":%s}\n", type, object));
}

static bool wanted(const struct cursor *c, const char *object)
{
    return !c->name[0] || str_is(json_scan_text(json_scan_path(str_of(object), "metadata.name")), c->name);
}

void fake_tell(struct fake *f)
{
    for (unsigned w = 0; w < f->n_watchers; w++)
        for (unsigned i = 0; i < f->n_events; i++)
            if (f->events[i].revision > cursors[w].told) {
                if (wanted(&cursors[w], f->events[i].text))
                    tell(f->watchers[w], f->events[i].type, f->events[i].text);
                cursors[w].told = f->events[i].revision;
            }
}

static void drop_watcher(struct fake *f, unsigned i)
{
    f->watchers[i] = f->watchers[--f->n_watchers];
    cursors[i] = cursors[f->n_watchers];
}

/* Several may leave: which one is found by its stream being the caller's. */
static void watcher_gone(void *ctx)
{
    struct http_req *r = ctx;
    extern struct fake *fake_now;
    for (unsigned i = 0; i < fake_now->n_watchers; i++)
        if (fake_now->watchers[i] == r) {
            drop_watcher(fake_now, i);
            return;
        }
}

struct fake *fake_now;

void fake_end_watches(struct fake *f, bool clean)
{
    while (f->n_watchers) {
        struct http_req *r = f->watchers[0];
        drop_watcher(f, 0);
        if (clean)
            http_stream_end(r);
        else
            http_stream_abort(r);
    }
}

void fake_error(struct fake *f, int code)
{
    char status[160];
    snprintf(status, sizeof status, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old\",\"code\":%d}", code);
    for (unsigned i = 0; i < f->n_watchers; i++)
        tell(f->watchers[i], "ERROR", status);
    fake_end_watches(f, true);
}

void fake_forget(struct fake *f)
{
    f->oldest = f->revision + 1;
}

/* --- requests --- */

static void answer(struct http_req *r, int status, const char *text)
{
    struct http_header h = { STR("content-type"), STR("application/json") };
    http_reply(r, status, &h, 1, (struct http_slice){ .data = arena_str(http_arena(r), str_of(text)) });
}

static void refuse(struct http_req *r, int code, const char *reason, const char *message)
{
    char text[512];
    snprintf(text, sizeof text, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}\n",
             message, reason, code);
    answer(r, code, text);
}

static struct str param(struct http_req *r, const char *name)
{
    struct str query = http_query(r), key, value;
    while (http_query_next(http_arena(r), &query, &key, &value))
        if (str_is(key, name))
            return value;
    return STR("");
}

static void begin_watch(struct fake *f, struct http_req *r)
{
    int64_t from = 0;
    char room[512];
    struct str q = http_query(r);
    snprintf(f->last_watch, sizeof f->last_watch, STR_FMT, STR_ARG(q));
    bool stream = str_is(param(r, "sendInitialEvents"), "true");
    str_int(param(r, "resourceVersion"), &from);
    if (stream && f->no_stream) {
        refuse(r, 422, "Invalid", "sendInitialEvents is forbidden");
        return;
    }
    if (!stream && (uint64_t)from < f->oldest) {
        refuse(r, 410, "Expired", "too old resource version");
        return;
    }
    if (!stream && (uint64_t)from > f->revision) {
        refuse(r, 504, "Timeout", "Too large resource version: 9, current: 1");
        return;
    }
    f->streams += stream;
    f->watches += !stream;
    http_stream_begin(r, 200, NULL, 0);
    http_on_close(r, watcher_gone, r);
    struct cursor c = { .fake = f, .told = stream ? f->revision : (uint64_t)from };
    struct str selector = param(r, "fieldSelector");
    if (str_starts(selector, STR("metadata.name=")))
        snprintf(c.name, sizeof c.name, STR_FMT, STR_ARG(str_skip(selector, 14)));
    for (unsigned i = 0; stream && i < f->n; i++)
        if (f->at[i].there) {
            text_of(&f->at[i], room, sizeof room, true);
            if (wanted(&c, room))
                tell(r, "ADDED", room);
        }
    if (stream) {
        snprintf(room, sizeof room, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%llu\",\"annotations\":"
                 "{\"k8s.io/initial-events-end\":\"true\"}}}", (unsigned long long)f->revision);
        tell(r, "BOOKMARK", room);
    }
    cr_assert_lt(f->n_watchers, 16);
    cursors[f->n_watchers] = c;
    f->watchers[f->n_watchers++] = r;
    fake_tell(f);
}

static void list(struct fake *f, struct http_req *r)
{
    int64_t from = 0;
    char room[512];
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    unsigned i, n = 0;
    str_int(param(r, "continue"), &from);
    f->lists += from == 0;
    buf_add_z(&b, "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"items\":[");
    for (i = (unsigned)from; i < f->n && (!f->page || n < (unsigned)f->page); i++)
        if (f->at[i].there) {
            text_of(&f->at[i], room, sizeof room, false);
            buf_printf(&b, "%s%s", n++ ? "," : "", room);
        }
    buf_printf(&b, "],\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)f->revision);
    if (i < f->n)
        buf_printf(&b, ",\"continue\":\"%u\"", i);
    buf_add_z(&b, "}}\n");
    answer(r, 200, b.at);
}

static void write_one(struct fake *f, struct http_req *r, struct str name)
{
    char room[512], data[64], id[64];
    struct str body = http_body(r), value = json_scan_text(json_scan_path(body, "data.k"));
    f->writes++;
    if (!name.len)
        name = json_scan_text(json_scan_path(body, "metadata.name"));
    snprintf(id, sizeof id, STR_FMT, STR_ARG(name));
    snprintf(data, sizeof data, STR_FMT, STR_ARG(value));
    bool delete = str_is(http_method(r), "DELETE"), create = str_is(http_method(r), "POST");
    struct fake_object *o = find(f, name);
    if (create && o) {
        refuse(r, 409, "AlreadyExists", "configmaps already exists");
    } else if (!create && !o) {
        refuse(r, 404, "NotFound", "configmaps not found");
    } else if (delete) {
        fake_delete(f, id);
        answer(r, 200, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\"}\n");
    } else {
        fake_put(f, id, data);
        text_of(find(f, str_of(id)), room, sizeof room, true);
        answer(r, create ? 201 : 200, room);
    }
}

static void handle(void *ctx, struct http_req *r)
{
    static const char base[] = "/api/v1/configmaps", one[] = "/api/v1/namespaces/default/configmaps";
    struct fake *f = ctx;
    struct str path = http_path(r);
    char room[512];
    snprintf(f->last_path, sizeof f->last_path, STR_FMT, STR_ARG(path));
    snprintf(f->last_method, sizeof f->last_method, STR_FMT, STR_ARG(http_method(r)));
    snprintf(f->last_body, sizeof f->last_body, STR_FMT, STR_ARG(http_body(r)));
    snprintf(f->last_type, sizeof f->last_type, STR_FMT, STR_ARG(http_header(r, STR("content-type"))));
    bool get = str_is(http_method(r), "GET");
    if (!str_is(path, base) && !str_starts(path, str_of(one))) {
        f->writes += !get;
        if (get)
            refuse(r, 404, "NotFound", "not here");
        else
            answer(r, 201, arena_dup(http_arena(r), http_body(r)));
    } else if (f->names_only && get && (str_is(path, base) || (path.len <= sizeof one - 1 && !str_starts(param(r, "fieldSelector"), STR("metadata.name="))))) {
        refuse(r, 403, "Forbidden", "only by name");
    } else if (f->refuse) {
        refuse(r, f->refuse, f->refuse == 403 ? "Forbidden" : "InternalError", "refused by the test");
    } else if (get && str_is(param(r, "watch"), "true")) {
        begin_watch(f, r);
    } else if (get && path.len <= sizeof one - 1) {
        list(f, r);
    } else if (get) {
        struct fake_object *o = find(f, str_skip(path, sizeof one));
        f->gets++;
        if (f->drop_get)
            return;
        if (o)
            text_of(o, room, sizeof room, true);
        if (o)
            answer(r, 200, room);
        else
            refuse(r, 404, "NotFound", "configmaps not found");
    } else {
        write_one(f, r, path.len > sizeof one ? str_skip(path, sizeof one) : STR(""));
    }
}

/* --- life --- */

static void too_long(int sig)
{
    static const char text[] = "a test waited for 20 s\n";
    (void)sig;
    if (write(2, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

void fake_listen(struct fake *f)
{
    struct kl_err err;
    kl_err_init(&err);
    struct http_conf c = { .address = f->path };
    cr_assert_eq(http_server_new(f->loop, &c, handle, f, &f->http, &err), 0, "%s", err.msg);
}

struct ending {
    struct loop *loop;
    bool over;
};

static void end(void *ctx)
{
    struct ending *e = ctx;
    e->over = true;
    loop_stop(e->loop);
}

static void await(struct ending *e)
{
    while (!e->over)
        loop_run(e->loop);
}

void fake_away(struct fake *f)
{
    struct ending e = { .loop = f->loop };
    http_server_close(f->http, 0, end, &e);
    await(&e);
    f->http = NULL;
}

struct fake *fake_open(void)
{
    struct fake *f = mem_alloc(sizeof *f);
    char url[80];
    struct kl_err err;
    kl_err_init(&err);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, too_long);
    alarm(20);
    fake_now = f;
    f->loop = loop_new();
    f->revision = 100;
    snprintf(f->path, sizeof f->path, "/tmp/keelson-mirror-%d.sock", (int)getpid());
    fake_listen(f);
    snprintf(url, sizeof url, "unix:%s", f->path);
    struct http_client_conf cc = { .url = url, .prior_h2 = true };
    cr_assert_eq(http_client_new(f->loop, &cc, &f->client, &err), 0);
    struct mirror_conf mc = { .loop = f->loop, .http = f->client, .agent = "test" };
    cr_assert_eq(mirror_new(&mc, &f->mirror, &err), 0);
    return f;
}

void fake_close(struct fake *f)
{
    struct ending e = { .loop = f->loop };
    mirror_stop(f->mirror, end, &e);
    await(&e);
    mirror_free(f->mirror);
    http_client_free(f->client);
    if (f->http)
        fake_away(f);
    loop_free(f->loop);
    free(f->events);
    mem_free(f);
}

static void nothing(void *ctx)
{
    loop_stop(ctx);
}

void fake_until(struct fake *f, bool (*cond)(struct fake *f))
{
    while (!cond(f)) {
        struct loop_timer t = { 0 };
        loop_timer_start(f->loop, &t, 5000000, nothing, f->loop);
        loop_run(f->loop);
        loop_timer_stop(&t);
    }
}

bool fake_synced(struct fake *f)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *list = json_get(mirror_debug(f->mirror, a), STR("resources"));
    val_each(r, list)
        if (!str_is(json_str(r, "state"), "watching"))
            return false;
    return true;
}

const char *fake_see(struct fake *f, const char *name)
{
    static char room[64];
    struct store_object *o = store_get(mirror_store(f->mirror), STR("/configmaps"), STR("default"), str_of(name));
    struct str s = o ? json_scan_text(json_scan_path(store_object_json(o), "data.k")) : STR("");
    snprintf(room, sizeof room, STR_FMT, STR_ARG(s));
    return room;
}

unsigned fake_held(struct fake *f)
{
    return (unsigned)store_count(mirror_store(f->mirror), STR("/configmaps"));
}

/* --- calls from a thread --- */

struct errand {
    struct fake *fake;
    atomic_bool done;
    struct fake_call *calls[2];
};

static void call_once(struct fake *f, struct fake_call *c)
{
    struct objects *o = mirror_objects(f->mirror);
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call k;
    struct kl_object_key key = { sizeof key, "/configmaps", "default", c->name, c->sub };
    struct kl_bytes body = { c->body, c->body ? strlen(c->body) : 0 }, got = { NULL, 0 };
    struct kl_object_list list = { .size = sizeof list };
    struct kl_list_options lo = { .size = sizeof lo, .resource = "/configmaps", .field_selector = c->field_selector, .owner_uid = c->owner };
    struct kl_delete_options dopt = { .size = sizeof dopt, .grace_seconds = c->grace ? c->grace : -1 };
    host_call_init(&k, a, "test");
    if (strcmp(c->verb, "get") == 0)
        c->rc = o->ops->get(o, "test", &k, &key, &got);
    else if (strcmp(c->verb, "list") == 0)
        c->rc = o->ops->list(o, "test", &k, &lo, &list);
    else if (strcmp(c->verb, "create") == 0)
        c->rc = o->ops->create(o, "test", &k, &key, body, &got);
    else if (strcmp(c->verb, "update") == 0)
        c->rc = o->ops->update(o, "test", &k, &key, body, &got);
    else if (strcmp(c->verb, "patch") == 0)
        c->rc = o->ops->patch(o, "test", &k, &key, c->patch_type, body, &got);
    else
        c->rc = o->ops->remove(o, "test", &k, &key, &dopt);
    c->err = k.err;
    c->n = list.n;
    if (list.n)
        got = list.at[0];
    snprintf(c->got, sizeof c->got, "%.*s", (int)got.len, got.at ? got.at : "");
}

static void *errand_main(void *ctx)
{
    struct errand *e = ctx;
    for (int i = 0; i < 2 && e->calls[i]; i++)
        call_once(e->fake, e->calls[i]);
    e->done = true;
    loop_stop(e->fake->loop);
    return NULL;
}

void fake_call_then_get(struct fake *f, struct fake_call *c, struct fake_call *then)
{
    struct errand e = { .fake = f, .calls = { c, then } };
    pthread_t t;
    pthread_create(&t, NULL, errand_main, &e);
    while (!e.done)
        loop_run(f->loop);
    pthread_join(t, NULL);
}

void fake_call(struct fake *f, struct fake_call *c)
{
    fake_call_then_get(f, c, NULL);
}

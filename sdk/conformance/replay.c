/* replay.c - see replay.h. The calls are made in a child, as all that runs a plugin's code; the session is read line by line. */
#include "replay.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <keelson/iface/scheduler.h>

#include "bench.h"
#include "box.h"
#include "layer/show.h"
#include "plugin/signature.h"

#define DIFFERENCES 10u                 /* that are told */
#define HANDLES     256u

struct counts {                         /* shared with the child */
    unsigned lines, made, same, differ, left_out;
};

struct handle {
    char name[32];                      /* as the session has it; "": free */
    void *now;
};

struct replay {
    const struct replay_options *o;
    FILE *to;
    struct counts *n;
    struct bench b;
    struct handle handles[HANDLES];
};

/* --- values: JSON to arguments --- */

static struct kl_bytes bytes_of(struct pen *p, const struct val *v)
{
    struct str hex = json_str(v, "hex");
    if (val_is(v, VAL_STR))
        return (struct kl_bytes){ pen_text(p, v->s, v->n, true), v->n };
    if (!hex.len)
        return (struct kl_bytes){ NULL, 0 };
    char *at = pen_alloc(p, hex.len / 2 + 1);
    for (size_t i = 0; at && i + 1 < hex.len; i += 2) {
        char two[3] = { hex.at[i], hex.at[i + 1], '\0' };
        at[i / 2] = (char)strtoul(two, NULL, 16);
    }
    return (struct kl_bytes){ at, hex.len / 2 };
}

static void put(void *at, const void *p)
{
    memcpy(at, &p, sizeof p);
}

static const char *const *texts_of(struct pen *p, const struct val *v)
{
    const char **at = val_is(v, VAL_ARR) ? pen_alloc(p, (v->n + 1) * sizeof *at) : NULL;
    unsigned n = 0;
    if (at)
        val_each(t, v)
            at[n++] = bytes_of(p, t).at;
    return at;
}

static bool fill(struct pen *p, const struct kl_sig_item *m, const struct val *v, void *at);

static void *struct_of(struct pen *p, const struct kl_sig_struct *s, const struct val *v, void *at)
{
    unsigned char *to = at ? at : val_is(v, VAL_OBJ) ? pen_alloc(p, s->bytes) : NULL;
    if (!to)
        return NULL;
    memcpy(to, &s->bytes, sizeof s->bytes);
    for (uint32_t i = 0; i < s->n; i++)
        fill(p, &s->members[i], json_get(v, str_of(s->members[i].name)), to + s->members[i].offset);
    return to;
}

static void *list_of(struct pen *p, const struct kl_sig_item *m, const struct val *v)
{
    unsigned char *at = val_is(v, VAL_ARR) && v->n ? pen_alloc(p, (size_t)v->n * m->of->bytes) : NULL;
    uint32_t i = 0;
    if (at)
        val_each(one, v)
            struct_of(p, m->of, one, at + (size_t)i++ * m->of->bytes);
    return at;
}

/* False: a descriptor, which no session holds. */
static bool fill(struct pen *p, const struct kl_sig_item *m, const struct val *v, void *at)
{
    int64_t number = val_is(v, VAL_INT) ? v->i : val_is(v, VAL_NUM) ? (int64_t)strtoull(v->s, NULL, 10) : 0;
    switch (m->kind) {
    case KL_SIG_I32: case KL_SIG_U32: memcpy(at, &number, 4); return true;
    case KL_SIG_I64: case KL_SIG_U64: case KL_SIG_SIZE: memcpy(at, &number, 8); return true;
    case KL_SIG_STR: put(at, bytes_of(p, v).at); return true;
    case KL_SIG_STRS: put(at, texts_of(p, v)); return true;
    case KL_SIG_BYTES: {
        struct kl_bytes b = bytes_of(p, v);
        memcpy(at, &b, sizeof b);
        return true;
    }
    case KL_SIG_STRUCT: put(at, struct_of(p, m->of, v, NULL)); return true;
    case KL_SIG_STRUCTS: put(at, list_of(p, m, v)); return true;
    case KL_SIG_FD: {
        int32_t none = -1;
        memcpy(at, &none, sizeof none);
        return !val_is(v, VAL_STR);
    }
    default: return true;
    }
}

/* --- handles --- */

static void **handle_of(struct replay *r, struct str name, bool make)
{
    struct handle *empty = NULL;
    for (unsigned i = 0; i < HANDLES; i++) {
        if (str_is(name, r->handles[i].name) && name.len)
            return &r->handles[i].now;
        if (!r->handles[i].name[0] && !empty)
            empty = &r->handles[i];
    }
    if (!make || !empty || name.len >= sizeof empty->name)
        return NULL;
    snprintf(empty->name, sizeof empty->name, STR_FMT, STR_ARG(name));
    return &empty->now;
}

static void forget(struct replay *r, struct str name)
{
    for (unsigned i = 0; i < HANDLES; i++)
        if (name.len && str_is(name, r->handles[i].name))
            r->handles[i].name[0] = '\0';
}

/* --- one line --- */

static int call_index(const struct kl_sig_table *t, struct str name)
{
    for (uint32_t i = 0; i < t->n_calls; i++)
        if (str_is(name, t->calls[i].name))
            return (int)i;
    return -1;
}

static void differs(struct replay *r, unsigned line, const char *call, struct str was, struct str now)
{
    if (r->n->differ++ < DIFFERENCES)
        fprintf(r->to, "line %u: %s: %.*s, was %.*s\n", line, call, (int)(now.len < 300 ? now.len : 300), now.at, (int)(was.len < 300 ? was.len : 300), was.at);
}

/* What came of it, as the session writes it. Of a failure its code counts, not its words. */
static void show_outcome(struct buf *b, const struct kl_sig_call *call, const union invoke_result *res, const void *const *args)
{
    if (call->result == KL_SIG_R_STR)
        show_item(b, &(struct kl_sig_item){ .name = "", .kind = KL_SIG_STR }, &res->s, 1, SIZE_MAX);
    else
        buf_add_int(b, call->result == KL_SIG_R_VOID ? 0 : res->i);
    if (call->result == KL_SIG_R_INT && res->i < 0)
        return;
    buf_add_c(b, ' ');
    show_results(b, call, args, SIZE_MAX);
}

static void write_was(struct buf *b, const struct kl_sig_call *call, const struct val *line)
{
    const struct val *result = json_get(line, STR("result")), *results = json_get(line, STR("results"));
    if (result)
        json_write(b, result);
    if (call->result == KL_SIG_R_INT && result && result->i < 0)
        return;
    buf_add_c(b, ' ');
    if (results)
        json_write(b, results);
}

static bool build(struct replay *r, const struct kl_sig_call *call, const struct val *line, struct args *a, struct kl_call *c)
{
    const struct val *given = json_get(line, STR("arguments"));
    bool ok = args_build(a, r->b.sig, call, ARGS_USUAL, c, NULL);
    for (uint32_t i = 0; ok && i < call->n; i++) {
        const struct kl_sig_item *m = &call->arguments[i];
        if (m->kind == KL_SIG_HANDLE) {
            void **h = handle_of(r, json_str(line, "handle"), false);
            put(args_at(a, call, i), h ? *h : NULL);
        } else if (m->kind != KL_SIG_CALL && !show_is_result(m->kind) && m->kind != KL_SIG_OUT_MEMORY) {
            ok = fill(a->in, m, json_get(given, str_of(m->name)), args_at(a, call, i));
        }
    }
    return ok;
}

static void made(struct replay *r, uint32_t i, const struct val *line, struct args *a, struct arena *arena, unsigned number)
{
    const struct kl_sig_call *call = &r->b.sig->calls[i];
    const void *args[16];
    union invoke_result res;
    _cleanup_buf_ struct buf now = BUF_INIT(0), was = BUF_INIT(0), again = BUF_INIT(0);
    for (uint32_t k = 0; k < call->n && k < 16; k++)
        args[k] = args_at(a, call, k);
    test_host_be(bench_loop(&r->b, i) ? TEST_LOOP : TEST_WORKER);
    invoke(r->b.sig, i, r->b.table, r->b.self, a->block, &res);
    test_host_be(TEST_NOBODY);
    r->n->made++;
    for (uint32_t k = 0; k < call->n; k++)
        if (call->arguments[k].kind == KL_SIG_OUT_HANDLE && res.i >= 0) {
            void **h = handle_of(r, json_str(line, "made"), true);
            if (h)
                memcpy(h, *(void *const *)args_at(a, call, k), sizeof *h);
        }
    if (call->result == KL_SIG_R_VOID)
        forget(r, json_str(line, "handle"));
    show_outcome(&now, call, &res, args);
    write_was(&was, call, line);
    /* Read and written again, so that both have the same spelling. */
    struct str rest = buf_str(&now), head = str_cut(&rest, ' ');
    struct val *v = rest.at ? json_parse(arena, rest, NULL) : NULL;
    buf_add_str(&again, head);
    if (rest.at)
        buf_add_c(&again, ' ');
    if (v)
        json_write(&again, v);
    if (str_eq(buf_str(&again), buf_str(&was)))
        r->n->same++;
    else
        differs(r, number, call->name, buf_str(&was), buf_str(&again));
}

static void *line_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void replay_line(struct replay *r, struct arena *arena, const struct val *line, unsigned number)
{
    int i = call_index(r->b.sig, json_str(line, "call"));
    if (i < 0 || !invoke_has(&r->b.sig->calls[i], r->b.table) || strcmp(r->b.sig->calls[i].name, "examine") == 0) {
        r->n->left_out++;               /* probe, close; what this file does not have */
        return;
    }
    struct kl_call c = { .size = sizeof c, .arena = arena, .alloc = line_alloc, .flags = (uint32_t)json_int(line, "flags", 0), .user = r->b.provider->name,
                         .request = (uint64_t)json_int(line, "request", 0) };
    kl_err_init(&c.err);
    struct args a = { .in = pen_new(64u << 20, false), .out = pen_new(1u << 16, false), .fd = -1 };
    if (a.in && a.out && build(r, &r->b.sig->calls[i], line, &a, &c))
        made(r, (uint32_t)i, line, &a, arena, number);
    else
        r->n->left_out++;
    pen_close(a.in);
    pen_close(a.out);
}

static void replay_all(struct replay *r, const char *iface, const char *instance)
{
    FILE *f = fopen(r->o->session, "re");
    char *text = NULL;
    size_t room = 0;
    unsigned number = 0;
    for (ssize_t n; f && (n = getline(&text, &room, f)) > 0;) {
        _cleanup_arena_ struct arena *arena = arena_new(0);
        struct val *line = arena ? json_parse(arena, str_n(text, (size_t)n), NULL) : NULL;
        number++;
        if (!line || !str_is(json_str(line, "iface"), iface) || !str_is(json_str(line, "instance"), instance))
            continue;
        r->n->lines++;
        replay_line(r, arena, line, number);
    }
    free(text);
    if (f)
        fclose(f);
}

/* --- instances: each in a child --- */

static _Noreturn void child(struct replay *r, const char *iface, const char *instance, const struct val *settings)
{
    void *handle;
    const struct kl_plugin *p;
    struct kl_err err;
    char why[REPORT_TEXT] = "";
    struct report *report = mem_alloc(sizeof *report);
    kl_err_init(&err);
    if (!report || plugin_dlopen(r->o->file, &p, &handle, &err) < 0)
        _exit(1);
    for (uint32_t i = 0; i < p->providers.n; i++) {
        const struct kl_provider *v = KL_AT(struct kl_provider, p->providers, i);
        if (strcmp(v->iface, iface) != 0)
            continue;
        if (!bench_init(&r->b, p, v, settings, report) || bench_open(&r->b, why) < 0) {
            fprintf(r->to, "%s: open fails: %s\n", instance, why);
            fflush(r->to);
            _exit(1);
        }
        replay_all(r, iface, instance);
        bench_close(&r->b);
        break;
    }
    fflush(r->to);
    _exit(0);
}

static int run_one(struct replay *r, struct box *box, unsigned number, const char *iface, const char *instance)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    const char *dir = a ? box_folder(box, a, number) : NULL;
    int status = 0;
    if (!dir)
        return 1;
    memset(r->n, 0, sizeof *r->n);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child(r, iface, instance, box_settings(box, a, dir));
    waitpid(pid, &status, 0);
    fprintf(r->to, "%s (%s): %u calls made, %u answers as they were, %u otherwise, %u calls left out\n", instance, iface, r->n->made, r->n->same, r->n->differ, r->n->left_out);
    if (status) {
        fprintf(r->to, "%s: the process that made the calls %s %d\n", instance, WIFSIGNALED(status) ? "died by signal" : "ended with status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return 1;
    }
    return r->n->differ ? 1 : 0;
}

/* Each instance of the session for whose interface the file has a provider. */
static int run_all(struct replay *r, struct box *box, const struct plugin_note *note)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *seen = a ? val_new(a, VAL_OBJ) : NULL;
    FILE *f = fopen(r->o->session, "re");
    char *text = NULL;
    size_t room = 0;
    unsigned bad = 0;
    int rc = 0;
    for (ssize_t n; seen && f && (n = getline(&text, &room, f)) > 0;) {
        struct val *line = json_parse(a, arena_str(a, str_n(text, (size_t)n)), NULL);
        struct str iface = json_str(line, "iface"), instance = json_str(line, "instance");
        bad += !line || !iface.len;
        bool wanted = instance.len && (!r->o->instance || str_is(instance, r->o->instance)) && !json_get(seen, instance);
        if (wanted && strstr(note->provides, arena_dup(a, iface)))
            json_set_str(a, seen, instance, iface);
    }
    free(text);
    if (f)
        fclose(f);
    if (bad)
        return fprintf(stderr, "keelson: plugin replay: '%s' is no session: %u lines make no sense\n", r->o->session, bad), 1;
    if (!seen || !seen->n)
        return fprintf(stderr, "keelson: plugin replay: '%s' holds no calls that '%s' (%s) could answer\n", r->o->session, r->o->file, note->provides), 1;
    unsigned number = 0;
    val_each(v, seen)
        rc |= run_one(r, box, ++number, arena_dup(a, val_str(v)), arena_dup(a, val_key(v)));
    return rc;
}

int replay_run(const struct replay_options *o, FILE *to)
{
    struct replay *r = mem_alloc(sizeof *r);
    struct plugin_note note;
    struct box box;
    struct kl_err err;
    kl_err_init(&err);
    if (!r)
        return 1;
    r->o = o;
    r->to = to;
    r->n = mmap(NULL, sizeof *r->n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rc = access(o->session, R_OK) == 0 ? 0 : kl_err_set(&err, KL_NOT_FOUND, "'%s' cannot be read: %s", o->session, strerror(errno));
    if (rc == 0)
        rc = plugin_note_read(o->file, &note, &err);
    if (rc == 0)
        rc = plugin_probe(o->file, &err);
    if (rc == 0)
        rc = box_open(&box, o->file, o->settings, &err);
    if (rc < 0) {
        fprintf(stderr, "keelson: plugin replay: %s\n", err.msg);
        rc = 1;
    } else {
        rc = run_all(r, &box, &note);
        box_close(&box);
    }
    munmap(r->n, sizeof *r->n);
    mem_free(r);
    return rc;
}

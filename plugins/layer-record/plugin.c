/* plugin.c - layer-record: every call of the instances that it is a layer of, whole, so that `keelson plugin replay` can make the same calls to another
 * file and compare. A line of JSON each. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "layer/layer.h"
#include "layer/show.h"
#include "layer/sink.h"

#define LINE_MOST (64u << 20)

struct conf {
    const char *path;
    int64_t buffer;
};

struct record {
    const struct conf *conf;
    const struct kl_host *host;
    struct sink *sink;
};

/* What a plugin handed out and is given back (a scheduler's cycle): by its address. */
static void add_handles(struct buf *b, const struct layer_call *x)
{
    for (uint32_t i = 0; i < x->call->n; i++) {
        const void *p;
        if (x->call->arguments[i].kind != KL_SIG_HANDLE && x->call->arguments[i].kind != KL_SIG_OUT_HANDLE)
            continue;
        memcpy(&p, x->args[i], sizeof p);
        if (p && x->call->arguments[i].kind == KL_SIG_OUT_HANDLE)
            memcpy(&p, p, sizeof p);
        buf_printf(b, ",\"%s\":\"%p\"", x->call->arguments[i].kind == KL_SIG_HANDLE ? "handle" : "made", p);
    }
}

static void after(void *layer, struct layer_call *x, bool made, int64_t *result)
{
    struct record *r = layer;
    _cleanup_buf_ struct buf b = BUF_INIT(LINE_MOST);
    buf_printf(&b, "{\"of\":%u,\"iface\":\"%s\",\"instance\":", x->of->number, x->of->inner.iface);
    json_write_str(&b, str_of(x->of->instance));
    buf_printf(&b, ",\"call\":\"%s\",\"arguments\":", x->call->name);
    show_arguments(&b, x->call, x->args, SIZE_MAX);
    add_handles(&b, x);
    if (x->c)
        buf_printf(&b, ",\"flags\":%u,\"request\":%llu", x->c->flags, (unsigned long long)x->c->request);
    if (x->call->result == KL_SIG_R_STR) {
        const char *text = (const char *)(uintptr_t)*result;
        buf_lit(&b, ",\"result\":");
        show_item(&b, &(struct kl_sig_item){ .name = "", .kind = KL_SIG_STR }, &text, 1, SIZE_MAX);
    } else {
        buf_printf(&b, ",\"result\":%lld", (long long)*result);
    }
    if (x->c && *result < 0 && x->call->result == KL_SIG_R_INT) {
        buf_lit(&b, ",\"message\":");
        json_write_str(&b, str_of(x->c->err.msg));
    } else if (made) {
        buf_lit(&b, ",\"results\":");
        show_results(&b, x->call, x->args, SIZE_MAX);
    }
    buf_lit(&b, "}\n");
    if (!b.failed)
        sink_add(r->sink, buf_str(&b));
}

static const struct layer_ops ops = { .after = after };

static int record_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    r->conf = conf;
    r->host = h;
    if (!(r->sink = sink_open(r->conf->path, (size_t)r->conf->buffer, c))) {
        free(r);
        return -c->err.code;
    }
    *self = r;
    return 0;
}

static void record_close(void *self)
{
    struct record *r = self;
    uint64_t lost = sink_lost(r->sink);
    if (lost)
        kl_log(r->host, KL_WARN, "%llu calls are missing from '%s': they came faster than they could be written", (unsigned long long)lost, r->conf->path);
    sink_close(r->sink, STR(""));
    free(r);
}

static int record_wrap(void *self, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret)
{
    return layer_wrap(&ops, self, c, inner, ret);
}

static const struct kl_layer table = { .size = sizeof table, .life = { .open = record_open, .close = record_close }, .wrap = record_wrap };
static const struct kl_provider provides[] = { { KL_LAYER_0, "record", 0, &table } };
#define AT(member) offsetof(struct conf, member)
static const struct kl_conf_field fields[] = {
    { "path", KL_CONF_STR, AT(path), KL_CONF_REQUIRED, NULL, 0, 0, NULL, "the session's file; made anew, and holds all that was said: also what is secret" },
    { "buffer", KL_CONF_QUANTITY, AT(buffer), 0, "16Mi", 65536, 1 << 30, NULL, "what may wait to be written" },
};

KL_PLUGIN_DEFINE("dev.keelson.layer-record", "0.1.0", "keelson.layer/0:record", "", .summary = "records every call, for replay", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));

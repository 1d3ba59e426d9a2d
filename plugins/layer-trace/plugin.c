/* plugin.c - layer-trace: every call of the instances that it is a layer of, with arguments, result and time; as lines of text, or for a browser's trace
 * viewer (Chrome's JSON). */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "layer/layer.h"
#include "layer/show.h"
#include "layer/sink.h"

#define LINE_MOST (1u << 20)

struct conf {
    const char *path, *format;
    int64_t bytes, buffer;
};

struct trace {
    const struct conf *conf;
    const struct kl_host *host;
    struct sink *sink;
    int64_t start_ns;
    bool chrome;
    uint32_t lines;
};

/* What came of it: "= 42", "= -KL_CONFLICT 'the reason'", nothing of a function that returns nothing. */
static void add_result(struct buf *b, const struct layer_call *x, int64_t result, size_t most)
{
    switch (x->call->result) {
    case KL_SIG_R_VOID: return;
    case KL_SIG_R_STR: {
        const char *text = (const char *)(uintptr_t)result;
        buf_lit(b, " = ");
        show_item(b, &(struct kl_sig_item){ .name = "", .kind = KL_SIG_STR }, &text, 1, most);
        return;
    }
    default: break;
    }
    if (x->call->result == KL_SIG_R_INT && result < 0)
        buf_printf(b, " = -KL_%s '%s'", kl_code_row((int)result)->name, x->c ? x->c->err.msg : "");
    else
        buf_printf(b, " = %lld", (long long)result);
}

static void add_results(struct buf *b, const struct layer_call *x, bool made, int64_t result, size_t most)
{
    bool any = false;
    for (uint32_t i = 0; i < x->call->n; i++)
        any |= show_is_result(x->call->arguments[i].kind);
    if (any && made && (x->call->result != KL_SIG_R_INT || result >= 0)) {
        buf_add_c(b, ' ');
        show_results(b, x->call, x->args, most);
    }
}

static void add_line(struct buf *b, const struct trace *t, const struct layer_call *x, bool made, int64_t result, int64_t took)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ %s %s(", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000,
               x->of->instance, x->call->name);
    show_arguments(b, x->call, x->args, (size_t)t->conf->bytes);
    buf_add_c(b, ')');
    add_result(b, x, result, (size_t)t->conf->bytes);
    add_results(b, x, made, result, (size_t)t->conf->bytes);
    buf_printf(b, " %lld.%03lldus%s\n", (long long)(took / 1000), (long long)(took % 1000), made ? "" : " (not called)");
}

/* A complete event ("X"): microseconds from the start. */
static void add_event(struct buf *b, struct trace *t, const struct layer_call *x, bool made, int64_t result, int64_t took)
{
    _cleanup_buf_ struct buf text = BUF_INIT(LINE_MOST);
    int64_t from = x->began_ns - t->start_ns;
    add_result(&text, x, result, (size_t)t->conf->bytes);
    buf_printf(b, "%s{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"ts\":%lld.%03lld,\"dur\":%lld.%03lld,\"pid\":1,\"tid\":%ld,\"args\":{\"instance\":",
               __atomic_fetch_add(&t->lines, 1, __ATOMIC_RELAXED) ? ",\n" : "", x->call->name, x->of->inner.iface, (long long)(from / 1000), (long long)(from % 1000),
               (long long)(took / 1000), (long long)(took % 1000), syscall(SYS_gettid));
    json_write_str(b, str_of(x->of->instance));
    buf_lit(b, ",\"arguments\":");
    show_arguments(b, x->call, x->args, (size_t)t->conf->bytes);
    buf_lit(b, ",\"result\":");
    json_write_str(b, str_trim(buf_str(&text)));
    buf_printf(b, ",\"called\":%s}}", made ? "true" : "false");
}

static void after(void *layer, struct layer_call *x, bool made, int64_t *result)
{
    struct trace *t = layer;
    _cleanup_buf_ struct buf b = BUF_INIT(LINE_MOST);
    int64_t took = layer_now_ns() - x->began_ns;
    if (t->chrome)
        add_event(&b, t, x, made, *result, took);
    else
        add_line(&b, t, x, made, *result, took);
    if (!b.failed)
        sink_add(t->sink, buf_str(&b));
}

static const struct layer_ops ops = { .after = after };

/* --- the plugin --- */

static int trace_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    t->conf = conf;
    t->host = h;
    t->start_ns = layer_now_ns();
    t->chrome = strcmp(t->conf->format, "chrome") == 0;
    if (!(t->sink = sink_open(t->conf->path, (size_t)t->conf->buffer, c))) {
        free(t);
        return -c->err.code;
    }
    if (t->chrome)
        sink_add(t->sink, STR("[\n"));
    *self = t;
    return 0;
}

static void trace_close(void *self)
{
    struct trace *t = self;
    uint64_t lost = sink_lost(t->sink);
    if (lost)
        kl_log(t->host, KL_WARN, "%llu calls are missing from '%s': they came faster than they could be written", (unsigned long long)lost, t->conf->path);
    sink_close(t->sink, t->chrome ? STR("\n]\n") : STR(""));
    free(t);
}

static int trace_wrap(void *self, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret)
{
    return layer_wrap(&ops, self, c, inner, ret);
}

static const struct kl_layer table = { .size = sizeof table, .life = { .open = trace_open, .close = trace_close }, .wrap = trace_wrap };
static const struct kl_provider provides[] = { { KL_LAYER_0, "trace", 0, &table } };
#define AT(member) offsetof(struct conf, member)
static const struct kl_conf_field fields[] = {
    { "path", KL_CONF_STR, AT(path), KL_CONF_REQUIRED, NULL, 0, 0, NULL, "the file; made anew" },
    { "format", KL_CONF_ENUM, AT(format), 0, "text", 0, 0, "text|chrome", "lines of text, or JSON for a trace viewer (chrome://tracing, Perfetto)" },
    { "bytes", KL_CONF_QUANTITY, AT(bytes), 0, "200", 0, 1 << 20, NULL, "how much of a text or an object is shown" },
    { "buffer", KL_CONF_QUANTITY, AT(buffer), 0, "4Mi", 65536, 1 << 30, NULL, "what may wait to be written" },
};

KL_PLUGIN_DEFINE("dev.keelson.layer-trace", "0.1.0", "keelson.layer/0:trace", "", .summary = "every call with arguments, result and time", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));

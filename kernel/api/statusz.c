/* statusz.c - /statusz and /flagz: what runs here since when, and with which settings. For people as text; for tools as config.k8s.io's Statusz and Flagz. */
#include <time.h>

#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/yaml.h"

static const char *const paths[] = { "/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version" };

#define WARNING "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n"

/* What the first clause of Accept that can be met wants. */
struct form {
    bool text, old;
    enum api_media media;
};

static bool meets(struct str clause, const char *kind, struct form *ret)
{
    struct str type = str_trim(str_cut(&clause, ';')), as = STR_NONE, group = STR_NONE, version = STR_NONE;
    while (clause.at) {
        struct str value = str_trim(str_cut(&clause, ';')), key = str_trim(str_cut(&value, '='));
        *(str_is(key, "as") ? &as : str_is(key, "g") ? &group : str_is(key, "v") ? &version : &value) = value;
    }
    *ret = (struct form){ .text = str_is(type, "*/*") || str_is(type, "text/*") || str_is(type, "text/plain") };
    if (ret->text)
        return true;
    ret->media = str_is(type, "application/json") ? MEDIA_JSON : str_is(type, "application/yaml") ? MEDIA_YAML : 0;
    ret->old = str_is(version, "v1alpha1");
    return ret->media && str_is(as, kind) && str_is(group, "config.k8s.io") && (ret->old || str_is(version, "v1beta1"));
}

static bool find_form(struct api_rq *rq, const char *kind, struct form *ret)
{
    struct str accept = http_header(rq->http, STR("accept"));
    if (!accept.len)
        accept = STR("*/*");
    while (accept.at)
        if (meets(str_trim(str_cut(&accept, ',')), kind, ret))
            return true;
    api_fail(&rq->err, rq->arena, KL_NOT_ACCEPTABLE, "only the following media types are accepted: application/json, application/yaml, text/plain");
    api_send_error(rq);
    return false;
}

static void send_form(struct api_rq *rq, const char *kind, const struct form *f, struct val *v)
{
    struct arena *a = rq->arena;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct http_header h[API_HEADERS];
    const char *version = f->old ? "v1alpha1" : "v1beta1";
    const char *type = arena_printf(a, "application/%s;g=config.k8s.io;v=%s;as=%s", f->media == MEDIA_YAML ? "yaml" : "json", version, kind);
    json_set_str(a, v, STR("kind"), str_of(kind));
    json_set_str(a, v, STR("apiVersion"), str_of(arena_printf(a, "config.k8s.io/%s", version)));
    if (f->old)
        api_warn(rq, kind[0] == 'S' ? "This version of the statusz endpoint is deprecated. Please use a newer version."
                                   : "This version of the flagz endpoint is deprecated. Please use a newer version.");
    if (f->media == MEDIA_YAML && json_sort_all(a, v))
        yaml_write(&b, v);
    else
        json_write_pretty(&b, v);
    unsigned n = api_headers(rq, h, type ? type : "");
    http_reply(rq->http, 200, h, n, (struct http_slice){ .data = arena_str(a, buf_str(&b)) });
}

static struct val *new_form(struct arena *a)
{
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), STR(""));
    json_set_str(a, v, STR("apiVersion"), STR(""));
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), STR("apiserver"));
    return v;
}

/* "1.36.0" of "v1.36.0+keelson-0.1.0". */
static const char *binary_version(struct arena *a, const struct api *api)
{
    struct str rest = str_of(api->conf.version);
    rest = str_skip(rest, rest.len && rest.at[0] == 'v');
    return arena_dup(a, str_cut(&rest, '+'));
}

static void send_statusz(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    struct form f;
    int64_t up = (env_wall_ns() - rq->api->started_wall_ns) / NS_PER_S;
    if (!find_form(rq, "Statusz", &f))
        return;
    if (f.text) {
        _cleanup_buf_ struct buf b = BUF_INIT(4096);
        time_t since = (time_t)(rq->api->started_wall_ns / NS_PER_S);
        struct tm tm;
        char when[64];
        gmtime_r(&since, &tm);
        strftime(when, sizeof when, "%a %b %e %H:%M:%S UTC %Y", &tm);
        buf_printf(&b, "\napiserver statusz\n" WARNING "\nStarted: %s\nUp: %d hr %02d min %02d sec\nGo version: none\nBinary version: %s\nEmulation version: 1.36\nPaths:",
                   when, (int)(up / 3600), (int)(up / 60 % 60), (int)(up % 60), binary_version(a, rq->api));
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            buf_printf(&b, " %s", paths[i]);
        buf_add_c(&b, '\n');
        api_send_text(rq, 200, "text/plain; charset=utf-8", buf_str(&b));
        return;
    }
    struct val *v = new_form(a);
    char when[CLOCK_TEXT];
    clock_format(rq->api->started_wall_ns, when);
    json_set_str(a, v, STR("startTime"), arena_str(a, str_of(when)));
    json_set_int(a, v, STR("uptimeSeconds"), up);
    json_set_str(a, v, STR("goVersion"), STR("none"));
    json_set_str(a, v, STR("binaryVersion"), str_of(binary_version(a, rq->api)));
    json_set_str(a, v, STR("emulationVersion"), STR("1.36"));
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        val_push(json_arr(a, v, STR("paths")), val_of_str(a, str_of(paths[i])));
    send_form(rq, "Statusz", &f, v);
}

static void send_flagz(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    struct form f;
    const char *name, *value;
    if (!find_form(rq, "Flagz", &f))
        return;
    struct val *v = new_form(a), *flags = json_obj(a, v, STR("flags"));
    for (unsigned i = 0; rq->api->flag && (name = rq->api->flag(rq->api->flag_ctx, i, &value)); i++)
        json_set_str(a, flags, str_of(name), str_of(value));
    json_sort(a, flags);
    if (!f.text) {
        send_form(rq, "Flagz", &f, v);
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    buf_add_z(&b, "\napiserver flagz\n" WARNING);
    val_each(m, flags) buf_printf(&b, STR_FMT ": " STR_FMT "\n", STR_ARG(val_key(m)), STR_ARG(val_str(m)));
    api_send_text(rq, 200, "text/plain; charset=utf-8", buf_str(&b));
}

void api_flags_set(struct api *a, const char *(*flag)(void *ctx, unsigned i, const char **value), void *ctx)
{
    a->flag = flag;
    a->flag_ctx = ctx;
}

bool api_statusz(struct api_rq *rq, struct str path)
{
    if (str_is(path, "/statusz"))
        send_statusz(rq);
    else if (str_is(path, "/flagz"))
        send_flagz(rq);
    else
        return false;
    return true;
}

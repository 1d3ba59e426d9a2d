/* env.c - a container's environment: services, envFrom, env with all of valueFrom, and $(NAME) in texts. */
#include "agent.h"

#include "sources.h"

struct making {
    struct agent *agent;
    struct kl_call *call;
    const struct pod_view *view;
    const struct ctr *ctr;
    struct val *vars;
};

struct str env_expand(struct arena *a, struct str text, const struct val *vars)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    if (str_find(text, '$') < 0)
        return text;
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = str_skip(text, i + 1);
        if (text.at[i] != '$' || !rest.len) {
            buf_add_c(&b, text.at[i]);
            continue;
        }
        long end = rest.at[0] == '(' ? str_find(rest, ')') : -1;
        if (rest.at[0] == '$') {
            buf_add_c(&b, '$');
            i++;
        } else if (end > 0) {
            const struct val *v = json_get(vars, str_n(rest.at + 1, (size_t)end - 1));
            buf_add_str(&b, v ? val_str(v) : str_n(text.at + i, (size_t)end + 2));
            i += (size_t)end + 1;
        } else {
            buf_add_c(&b, '$');
        }
    }
    return b.failed ? text : arena_str(a, buf_str(&b));
}

static void set(struct making *m, struct str name, struct str value)
{
    json_set_str(m->view->arena, m->vars, name, value);
}

static char *upper(struct arena *ar, struct str s)
{
    char *z = arena_dup(ar, s);
    for (char *p = z; p && *p; p++)
        *p = *p == '-' || *p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    return z;
}

#define put(m, fmt, value, ...) \
    do { \
        char *name_ = arena_printf((m)->view->arena, fmt, __VA_ARGS__); \
        if (name_) \
            set((m), str_of(name_), (value)); \
    } while (0)

static void add_port(struct making *m, const char *up, struct str ip, const struct val *p)
{
    struct arena *ar = m->view->arena;
    long long port = (long long)json_int(p, "port", 0);
    struct str proto = json_str(p, "protocol");
    char *proto_up = upper(ar, proto.len ? proto : STR("TCP")), *low = proto_up ? arena_dup(ar, str_of(proto_up)) : NULL;
    for (char *c = low; c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    if (!low)
        return;
    struct str number = str_of(arena_printf(ar, "%lld", port));
    put(m, "%s_PORT_%lld_%s", str_of(arena_printf(ar, "%s://" STR_FMT ":%lld", low, STR_ARG(ip), port)), up, port, proto_up);
    put(m, "%s_PORT_%lld_%s_PROTO", str_of(low), up, port, proto_up);
    put(m, "%s_PORT_%lld_%s_PORT", number, up, port, proto_up);
    put(m, "%s_PORT_%lld_%s_ADDR", ip, up, port, proto_up);
}

static void add_service(struct making *m, const struct val *svc)
{
    struct arena *ar = m->view->arena;
    struct str ip = json_str(svc, "spec.clusterIP");
    const struct val *ports = json_path(svc, "spec.ports"), *first = val_is(ports, VAL_ARR) ? ports->first : NULL;
    char *up = upper(ar, json_str(svc, "metadata.name"));
    if (!ip.len || str_is(ip, "None") || !first || !up)
        return;
    struct str proto = json_str(first, "protocol");
    long long port = (long long)json_int(first, "port", 0);
    put(m, "%s_SERVICE_HOST", ip, up);
    put(m, "%s_SERVICE_PORT", str_of(arena_printf(ar, "%lld", port)), up);
    val_each(p, ports)
        if (json_str(p, "name").len)
            put(m, "%s_SERVICE_PORT_%s", str_of(arena_printf(ar, "%lld", (long long)json_int(p, "port", 0))), up,
                upper(ar, json_str(p, "name")));
    put(m, "%s_PORT", str_of(arena_printf(ar, "%s://" STR_FMT ":%lld", str_is(proto, "UDP") ? "udp" : str_is(proto, "SCTP") ? "sctp" : "tcp",
                                          STR_ARG(ip), port)), up);
    val_each(p, ports)
        add_port(m, up, ip, p);
}

static int add_services(struct making *m)
{
    struct arena *ar = m->view->arena;
    struct val *svc = NULL;
    struct kl_object_key k = agent_key("/services", "default", "kubernetes", NULL);
    if (json_bool(m->view->spec, "enableServiceLinks", true)) {
        struct kl_list_options o = { .size = sizeof o, .resource = "/services", .ns = arena_dup(ar, m->view->ns) };
        struct kl_object_list got = { .size = sizeof got };
        int rc = m->agent->objects->list(m->agent->host, m->call, &o, &got);
        if (rc < 0)
            return rc;
        for (uint32_t i = 0; i < got.n; i++)
            if ((svc = agent_parse(ar, m->call, got.at[i])))
                add_service(m, svc);
    }
    if (agent_get(m->agent, m->call, ar, &k, &svc) == 0)
        add_service(m, svc);
    return 0;
}

/* The object's data as {name: text}; *ret NULL when it is absent and optional. */
static int data_of(struct making *m, const struct val *ref, const char *resource, struct val **ret)
{
    *ret = NULL;
    int rc = source_data(m->agent, m->call, m->view, json_str(ref, "name"), resource, ret);
    return rc == -KL_NOT_FOUND && json_bool(ref, "optional", false) ? 0 : rc;
}

static int add_from(struct making *m, const struct val *from)
{
    const struct val *map = json_get(from, STR("configMapRef")), *ref = map ? map : json_get(from, STR("secretRef"));
    struct val *data = NULL;
    int rc = data_of(m, ref, map ? "/configmaps" : "/secrets", &data);
    if (rc < 0 || !data)
        return rc;
    val_each(v, data)
        put(m, STR_FMT STR_FMT, val_str(v), STR_ARG(json_str(from, "prefix")), STR_ARG(val_key(v)));
    return 0;
}

static int key_value(struct making *m, const struct val *ref, const char *resource, struct str *ret)
{
    struct val *data = NULL;
    int rc = data_of(m, ref, resource, &data);
    if (rc < 0)
        return rc;
    const struct val *v = json_get(data, json_str(ref, "key"));
    if (v) {
        *ret = val_str(v);
        return 1;
    }
    if (json_bool(ref, "optional", false))
        return 0;
    return kl_fail(m->call, KL_INVALID, "couldn't find key " STR_FMT " in %s " STR_FMT "/" STR_FMT, STR_ARG(json_str(ref, "key")),
                   *(resource + 1) == 's' ? "Secret" : "ConfigMap", STR_ARG(m->view->ns), STR_ARG(json_str(ref, "name")));
}

/* 1: *ret is the value, 0: leave the variable out. */
static int value_from(struct making *m, const struct val *from, struct str *ret)
{
    const struct val *ref;
    int rc = -KL_INVALID;
    if ((ref = json_get(from, STR("configMapKeyRef"))))
        return key_value(m, ref, "/configmaps", ret);
    if ((ref = json_get(from, STR("secretKeyRef"))))
        return key_value(m, ref, "/secrets", ret);
    if ((ref = json_get(from, STR("fieldRef")))) {
        char *path = arena_dup(m->view->arena, json_str(ref, "fieldPath"));
        rc = path ? downward_field(m->agent, m->view, path, ret, &m->call->err) : kl_fail(m->call, KL_NO_MEMORY, "no memory");
    } else if ((ref = json_get(from, STR("resourceFieldRef")))) {
        rc = downward_resource(m->view, m->ctr, ref, ret, &m->call->err);
    } else {
        kl_fail(m->call, KL_INVALID, "valueFrom of container '" STR_FMT "' has a source that this node does not know",
                STR_ARG(m->ctr->name));
    }
    return rc < 0 ? rc : 1;
}

static int add_env(struct making *m, const struct val *e)
{
    const struct val *from = json_get(e, STR("valueFrom"));
    struct str value = STR("");
    int rc = 1;
    if (from)
        rc = value_from(m, from, &value);
    else
        value = env_expand(m->view->arena, json_str(e, "value"), m->vars);
    if (rc > 0)
        set(m, json_str(e, "name"), value);
    return rc < 0 ? rc : 0;
}

struct val *env_make(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct ctr *k)
{
    struct making m = { a, c, v, k, val_new(v->arena, VAL_OBJ) };
    const struct val *from = json_get(k->spec, STR("envFrom")), *env = json_get(k->spec, STR("env"));
    if (!m.vars || add_services(&m) < 0)
        return NULL;
    if (val_is(from, VAL_ARR))
        val_each(f, from)
            if (add_from(&m, f) < 0)
                return NULL;
    if (val_is(env, VAL_ARR))
        val_each(e, env)
            if (add_env(&m, e) < 0)
                return NULL;
    if (!json_get(m.vars, STR("HOSTNAME")))
    {
        struct str name = STR("");
        if (podfiles_nodename(a, v, &name, &c->err) < 0)
            return NULL;
        set(&m, STR("HOSTNAME"), name);
    }
    return m.vars;
}

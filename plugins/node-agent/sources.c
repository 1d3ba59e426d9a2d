/* sources.c - what goes into configMap, secret, downwardAPI and projected volumes. */
#include "sources.h"

#include "base/hash.h"

bool base64_decode(struct arena *a, struct str s, struct str *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_raw(a, s.len / 4 * 3 + 4);
    size_t n = 0;
    uint32_t word = 0;
    int bits = 0;
    if (!out)
        return false;
    for (size_t i = 0; i < s.len && s.at[i] != '='; i++) {
        const char *p = s.at[i] ? strchr(digits, s.at[i]) : NULL;
        if (s.at[i] == '\n' || s.at[i] == '\r')
            continue;
        if (!p)
            return false;
        word = word << 6 | (uint32_t)(p - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (char)(word >> bits & 0xff);
        }
    }
    *ret = str_n(out, n);
    return true;
}

static int add_data(struct kl_call *c, struct arena *ar, struct val *out, const struct val *data, bool encoded)
{
    if (!val_is(data, VAL_OBJ))
        return 0;
    val_each(v, data)
    {
        struct str text = val_str(v);
        if (encoded && !base64_decode(ar, text, &text))
            return kl_fail(c, KL_INVALID, "'" STR_FMT "' is not base64", STR_ARG(val_key(v)));
        json_set_str(ar, out, val_key(v), text);
    }
    return 0;
}

int source_data(struct agent *a, struct kl_call *c, const struct pod_view *v, struct str name, const char *resource, struct val **ret)
{
    char *ns = arena_dup(v->arena, v->ns), *name_z = arena_dup(v->arena, name);
    bool secret = strcmp(resource, "/secrets") == 0;
    struct val *obj = NULL, *out = val_new(v->arena, VAL_OBJ);
    if (!ns || !name_z || !out)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    struct kl_object_key k = agent_key(resource, ns, name_z, NULL);
    int rc = agent_get(a, c, v->arena, &k, &obj);
    if (rc == -KL_NOT_FOUND)
        return kl_fail(c, KL_NOT_FOUND, "%s \"%s\" not found", secret ? "secret" : "configmap", name_z);
    if (rc == 0)
        rc = add_data(c, v->arena, out, json_get(obj, STR("data")), secret);
    if (rc == 0)
        rc = add_data(c, v->arena, out, json_get(obj, STR("binaryData")), true);
    if (rc == 0)
        *ret = out;
    return rc;
}

bool payload_add(struct payload *p, struct str path, struct str data, uint32_t mode)
{
    struct writer_file *f = arena_alloc(p->arena, sizeof *f);
    if (!f || !(f->path = arena_dup(p->arena, path)))
        return false;
    f->data = data;
    f->mode = mode;
    for (struct writer_file **at = &p->first;; at = &(*at)->next)
        if (!*at || strcmp((*at)->path, f->path) == 0) {        /* the later source wins */
            f->next = *at ? (*at)->next : NULL;
            *at = f;
            return true;
        }
}

static int no_memory(struct source_in *in)
{
    return kl_fail(in->call, KL_NO_MEMORY, "no memory for a volume");
}

static int add_items(struct source_in *in, const struct val *src, const struct val *data, const char *what)
{
    const struct val *items = json_get(src, STR("items"));
    bool optional = json_bool(src, "optional", false);
    if (!val_is(items, VAL_ARR) || !items->n) {
        val_each(v, data)
            if (!payload_add(in->out, val_key(v), val_str(v), in->mode))
                return no_memory(in);
        return 0;
    }
    val_each(item, items)
    {
        const struct val *v = json_get(data, json_str(item, "key"));
        if (!v && !optional)
            return kl_fail(in->call, KL_INVALID, "%s references non-existent %s key: " STR_FMT, what, what, STR_ARG(json_str(item, "key")));
        if (v && !payload_add(in->out, json_str(item, "path"), val_str(v), (uint32_t)json_int(item, "mode", in->mode)))
            return no_memory(in);
    }
    return 0;
}

int source_config_map(struct source_in *in, const struct val *src, const char *resource)
{
    struct str name = json_str(src, "name");
    bool secret = strcmp(resource, "/secrets") == 0;
    struct val *data = NULL;
    if (!name.len)
        name = json_str(src, "secretName");
    int rc = source_data(in->agent, in->call, in->view, name, resource, &data);
    if (rc == -KL_NOT_FOUND && json_bool(src, "optional", false))
        return 0;
    return rc < 0 ? rc : add_items(in, src, data, secret ? "secret" : "configmap");
}

int source_downward(struct source_in *in, const struct val *items)
{
    if (!val_is(items, VAL_ARR))
        return 0;
    val_each(item, items)
    {
        struct str value = STR("");
        const struct val *field = json_get(item, STR("fieldRef")), *res = json_get(item, STR("resourceFieldRef"));
        char *path = arena_dup(in->view->arena, json_str(field, "fieldPath"));
        int rc = !path ? no_memory(in)
                 : res ? downward_resource(in->view, NULL, res, &value, &in->call->err)
                       : downward_field(in->agent, in->view, path, &value, &in->call->err);
        if (rc < 0)
            return rc;
        if (!payload_add(in->out, json_str(item, "path"), value, (uint32_t)json_int(item, "mode", in->mode)))
            return no_memory(in);
    }
    return 0;
}

/* One token for all volumes that ask for the same. */
static struct token *token_slot(struct pod_mem *m, struct str audience, int64_t seconds)
{
    for (struct token *t = m->tokens; t; t = t->next)
        if (str_is(audience, t->audience) && t->seconds == seconds)
            return t;
    struct token *t = mem_alloc(sizeof *t);
    if (t && !(t->audience = mem_dup(audience.at, audience.len))) {
        mem_free(t);
        return NULL;
    }
    if (t) {
        t->seconds = seconds;
        t->next = m->tokens;
        m->tokens = t;
    }
    return t;
}

static struct kl_bytes token_request(struct source_in *in, const struct token *t)
{
    struct arena *ar = in->view->arena;
    struct val *o = val_new(ar, VAL_OBJ), *spec = json_obj(ar, o, STR("spec")), *ref;
    set_z(ar, o, "apiVersion", "authentication.k8s.io/v1");
    set_z(ar, o, "kind", "TokenRequest");
    struct val *audiences = json_arr(ar, spec, STR("audiences"));
    if (t->audience[0])
        val_push(audiences, val_of_str(ar, str_of(t->audience)));
    set_i(ar, spec, "expirationSeconds", t->seconds);
    ref = json_obj(ar, spec, STR("boundObjectRef"));
    set_z(ar, ref, "apiVersion", "v1");
    set_z(ar, ref, "kind", "Pod");
    set_s(ar, ref, "name", in->view->name);
    set_s(ar, ref, "uid", in->view->uid);
    return agent_text(ar, o);
}

/* Renewed at 80 % of its life. */
static int renew(struct source_in *in, struct token *t)
{
    struct arena *ar = in->view->arena;
    struct str account = json_str(in->view->spec, "serviceAccountName");
    char *ns = arena_dup(ar, in->view->ns), *name = arena_dup(ar, account.len ? account : STR("default"));
    struct kl_bytes request = token_request(in, t), got = { NULL, 0 };
    if (!ns || !name || !request.at)
        return no_memory(in);
    struct kl_object_key k = agent_key("/serviceaccounts", ns, name, "token");
    int rc = in->agent->objects->create(in->agent->host, in->call, &k, request, &got);
    if (rc < 0)
        return rc;
    struct val *answer = agent_parse(ar, in->call, got);
    struct str text = json_str(answer, "status.token");
    int64_t now = agent_wall(in->agent), until = now + 3600 * NS_PER_S;
    if (!text.len)
        return kl_fail(in->call, KL_UNSUPPORTED, "the API gave no token for service account '%s'", name);
    clock_parse(json_str(answer, "status.expirationTimestamp"), &until);
    mem_free(t->text);
    t->text = mem_dup(text.at, text.len);
    t->renew_ns = now + (until - now) / 5 * 4;
    return t->text ? 0 : no_memory(in);
}

/* An API without tokens must not keep a pod from running: the file is left out and an Event says so. */
static bool no_endpoint(int rc)
{
    return rc == -KL_NOT_FOUND || rc == -KL_METHOD_NOT_ALLOWED || rc == -KL_UNSUPPORTED || rc == -KL_BAD_REQUEST || rc == -KL_INVALID;
}

/* The user that all containers of the pod run as; -1: they differ, or one does not say. */
static int64_t only_user(const struct pod_view *v)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
    int64_t fallback = json_int(v->spec, "securityContext.runAsUser", -1), user = -1;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct val *list = json_get(v->spec, str_of(lists[i]));
        for (const struct val *k = val_is(list, VAL_ARR) ? list->first : NULL; k; k = k->next) {
            int64_t own = json_int(k, "securityContext.runAsUser", fallback);
            if (own < 0 || (user >= 0 && own != user))
                return -1;
            user = own;
        }
    }
    return user;
}

/* A token is for the pod's own eyes where it is known whose these are. */
static int put_token(struct source_in *in, struct str path, struct str text)
{
    int64_t user = only_user(in->view);
    if (!payload_add(in->out, path, text, user >= 0 || in->out->gid ? 0600 : in->mode))
        return no_memory(in);
    for (struct writer_file *f = in->out->first; f && user >= 0; f = f->next)
        if (str_is(path, f->path))
            f->uid = (uint32_t)user;
    return 0;
}

static int add_token(struct source_in *in, const struct val *src)
{
    struct token *t = token_slot(in->view->mem, json_str(src, "audience"), json_int(src, "expirationSeconds", 3600));
    if (!t)
        return no_memory(in);
    if (!t->text || agent_wall(in->agent) >= t->renew_ns) {
        int rc = renew(in, t);
        if (rc < 0 && !t->text) {
            if (!no_endpoint(rc))
                return rc;
            if (!in->view->mem->volumes_ok)
                event_pod(in->agent, in->view, NULL, "FailedToken", "No service account token: %s", in->call->err.msg);
            return 0;
        }
    }
    if (in->again_ns)
        plan_sooner(in->again_ns, t->renew_ns - agent_wall(in->agent) > NS_PER_S ? t->renew_ns - agent_wall(in->agent) : 60 * NS_PER_S);
    struct str text = arena_str(in->view->arena, str_of(t->text));
    return put_token(in, json_str(src, "path"), text);
}

int source_projected(struct source_in *in, const struct val *volume)
{
    const struct val *sources = json_get(volume, STR("sources")), *src;
    if (!val_is(sources, VAL_ARR))
        return 0;
    val_each(s, sources)
    {
        int rc = 0;
        if ((src = json_get(s, STR("configMap"))))
            rc = source_config_map(in, src, "/configmaps");
        else if ((src = json_get(s, STR("secret"))))
            rc = source_config_map(in, src, "/secrets");
        else if ((src = json_get(s, STR("downwardAPI"))))
            rc = source_downward(in, json_get(src, STR("items")));
        else if ((src = json_get(s, STR("serviceAccountToken"))))
            rc = add_token(in, src);
        else
            rc = kl_fail(in->call, KL_UNSUPPORTED, "a projected volume has a source that this node does not know");
        if (rc < 0)
            return rc;
    }
    return 0;
}

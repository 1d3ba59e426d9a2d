/* audit.c - see audit.h. */
#include "api/audit.h"

#include <arpa/inet.h>

#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"

#define LINES_MOST (64u << 20)
#define AGENT_MOST 1024

struct audit {
    struct api *api;
    struct audit_policy *policy;
    size_t event_max;                   /* longer events lose their objects; 0: never */
    struct buf lines;                   /* of this turn */
    uint32_t n;
    struct loop_hook hook;
    uint64_t levels[4], events, lost;   /* requests by level; events made; events that did not get through */
};

struct note {
    struct note *next;                  /* by key */
    const char *key, *value;
};

struct audit_request {
    struct audit_decision decision;
    int64_t received_ns;
    struct note *notes;
    bool started, nobody;               /* nobody: the credentials are bad */
    bool asked;                         /* what the request is about was understood, so that it is told */
    const char *ns, *name, *uid, *version;      /* of the object that came with it; "": it had none */
    struct str object;                  /* that object as it was understood, JSON */
    bool patch;                         /* or what came is a patch, told as it was sent */
    struct val *answer;
    const char *answer_media;
    struct str answer_text;
};

/* --- handing over --- */

static void hand_over(void *ctx)
{
    struct audit *a = ctx;
    if (!a->n)
        return;
    if (a->lines.failed || a->api->hooks.audit(a->api->hooks.ctx, a->n, buf_str(&a->lines)) < 0)
        a->lost += a->n;
    buf_clear(&a->lines);
    a->n = 0;
}

int audit_new(struct api *api, const char *policy_file, size_t event_max, struct audit **ret, struct kl_err *err)
{
    struct audit *a = mem_alloc(sizeof *a);
    if (!a)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    a->api = api;
    a->event_max = event_max;
    a->lines.max = LINES_MOST;
    int rc = audit_policy_load(policy_file, &a->policy, err);
    if (rc < 0) {
        mem_free(a);
        return rc;
    }
    loop_hook_add(api->loop, &a->hook, hand_over, a);
    *ret = a;
    return 0;
}

void audit_free(struct audit *a)
{
    if (!a)
        return;
    hand_over(a);
    list_remove(&a->hook.link);
    audit_policy_free(a->policy);
    buf_free(&a->lines);
    mem_free(a);
}

/* --- objects --- */

static void drop_managed(struct val *v)
{
    struct val *meta = json_get(v, STR("metadata")), *items = json_get(v, STR("items")), *rows = json_get(v, STR("rows"));
    if (val_is(meta, VAL_OBJ))
        json_del(meta, STR("managedFields"));
    if (val_is(items, VAL_ARR))
        val_each(i, items)
            if (val_is(i, VAL_OBJ))
                drop_managed(i);
    if (val_is(rows, VAL_ARR))          /* of a Table */
        val_each(r, rows)
            if (val_is(json_get(r, STR("object")), VAL_OBJ))
                drop_managed(json_get(r, STR("object")));
}

/* NULL: not readable. */
static struct val *read_text(struct api_rq *rq, struct str type, struct str text)
{
    struct kl_err err;
    kl_err_init(&err);
    struct str bare = str_trim(str_cut(&type, ';'));
    if (!text.len)
        return NULL;
    if (str_ends(bare, STR("protobuf")))
        return object_decode_protobuf(rq->arena, NULL, text, NULL, &err);
    return str_ends(bare, STR("yaml")) ? object_parse_yaml(rq->arena, text, &err) : json_parse(rq->arena, text, &err);
}

static const char *kept_text(struct arena *a, const struct val *v, const char *path)
{
    struct str s = json_str(v, path);
    const char *text = s.len ? arena_dup(a, s) : NULL;
    return text ? text : "";
}

void audit_asked(struct api_rq *rq, const char *group_version, const char *kind, const struct schema_type *t, const struct val *v)
{
    struct audit_request *x = rq->audit;
    if (!x)
        return;
    struct arena *a = http_arena(rq->http);     /* what is kept outlives a run of the request */
    const struct schema_kind *k = rq->info.sub ? NULL : rq->info.kind;
    x->asked = true;
    x->ns = kept_text(a, v, "metadata.namespace");
    x->name = kept_text(a, v, "metadata.name");
    x->uid = kept_text(a, v, "metadata.uid");
    x->version = kept_text(a, v, "metadata.resourceVersion");
    if (x->decision.level < AUDIT_REQUEST)
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct val *copy = val_copy(rq->arena, v);
    if (!copy || (k && k->type == t && object_default(rq->arena, k, copy) < 0))
        return;
    json_set_str(rq->arena, copy, STR("kind"), str_of(kind));
    json_set_str(rq->arena, copy, STR("apiVersion"), str_of(group_version));
    if (x->decision.omit_managed)
        drop_managed(copy);
    object_encode_json(&b, t, copy);
    x->object = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
}

void audit_asked_patch(struct api_rq *rq)
{
    if (rq->audit)
        rq->audit->patch = true;
}

static struct val *answer_of(struct api_rq *rq)
{
    struct audit_request *x = rq->audit;
    if (!x->answer && x->answer_text.len)
        x->answer = read_text(rq, str_of(x->answer_media), x->answer_text);
    if (x->answer && x->decision.omit_managed)
        drop_managed(x->answer);
    return x->answer;
}

void audit_answer(struct api_rq *rq, const char *media, struct str text)
{
    struct audit_request *x = rq->audit;
    if (!x || x->decision.level < AUDIT_REQUEST_RESPONSE || x->answer || x->answer_text.len || rq->err.unshown)
        return;
    x->answer_media = media;
    x->answer_text = arena_str(rq->arena, text);
}

void audit_answer_tree(struct api_rq *rq, struct val *v)
{
    struct audit_request *x = rq->audit;
    if (x && v && !rq->err.unshown && (x->decision.level == AUDIT_REQUEST_RESPONSE || str_is(json_str(v, "kind"), "Status")))
        x->answer = v;
}

bool audit_wants_answer(const struct api_rq *rq)
{
    return rq->audit && rq->audit->decision.level == AUDIT_REQUEST_RESPONSE;
}

/* --- one event --- */

static void put(struct buf *b, const char *key, const char *value)
{
    if (!value || !value[0])
        return;
    buf_printf(b, ",\"%s\":", key);
    json_write_str(b, str_of(value));
}

static void put_list(struct buf *b, const char *const *at)
{
    buf_add_c(b, '[');
    for (unsigned i = 0; at && at[i]; i++) {
        if (i)
            buf_add_c(b, ',');
        json_write_str(b, str_of(at[i]));
    }
    buf_add_c(b, ']');
}

/* The first key behind the one that was last, by name; NULL: there is none. */
static const char *next_key(const char *const *at, const char *last)
{
    const char *found = NULL;
    for (unsigned i = 0; at[i] && at[i + 1]; i += 2)
        if ((!last || strcmp(at[i], last) > 0) && (!found || strcmp(at[i], found) < 0))
            found = at[i];
    return found;
}

/* Pairs of key and value, a key maybe again: an object of lists. */
static void put_extra(struct buf *b, const char *const *at)
{
    const char *open = "{";
    for (const char *key = next_key(at, NULL); key; key = next_key(at, key), open = ",") {
        buf_add_z(b, open);
        json_write_str(b, str_of(key));
        buf_lit(b, ":[");
        for (unsigned k = 0, n = 0; at[k] && at[k + 1]; k += 2)
            if (strcmp(at[k], key) == 0) {
                if (n++)
                    buf_add_c(b, ',');
                json_write_str(b, str_of(at[k + 1]));
            }
        buf_add_c(b, ']');
    }
    buf_add_z(b, open[0] == '{' ? "{}" : "}");
}

static void put_user(struct buf *b, const char *key, const struct kl_user *u)
{
    buf_printf(b, ",\"%s\":{", key);
    size_t empty = b->len;
    put(b, "username", u->name);
    put(b, "uid", u->uid);
    if (u->groups && u->groups[0]) {
        buf_lit(b, ",\"groups\":");
        put_list(b, u->groups);
    }
    if (u->extra && u->extra[0]) {
        buf_lit(b, ",\"extra\":");
        put_extra(b, u->extra);
    }
    if (!b->failed && b->len > empty) {         /* without the first comma */
        memmove(b->at + empty, b->at + empty + 1, b->len - empty - 1);
        b->len--;
    }
    buf_add_c(b, '}');
}

/* What a proxy says is believed where it is an address. */
static bool is_address(struct str s)
{
    char text[INET6_ADDRSTRLEN], at[sizeof(struct in6_addr)];
    if (!s.len || s.len >= sizeof text)
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET, text, at) == 1 || inet_pton(AF_INET6, text, at) == 1;
}

/* Proxies in front say whom they speak for. */
static void put_sources(struct api_rq *rq, struct buf *b)
{
    struct str via = http_header(rq->http, STR("x-forwarded-for")), real = http_header(rq->http, STR("x-real-ip")), all = via;
    struct str peer = http_peer(rq->http)->address, own = peer;
    for (size_t i = peer.len; i > 0; i--)
        if (peer.at[i - 1] == ':') {
            own.len = i - 1;
            break;
        }
    bool told_real = !is_address(real), told_own = !own.len;
    buf_lit(b, ",\"sourceIPs\":[");
    unsigned n = 0;
    while (all.at && all.len) {
        struct str one = str_trim(str_cut(&all, ','));
        if (!is_address(one))
            continue;
        buf_add_z(b, n++ ? "," : "");
        json_write_str(b, one);
        told_real |= str_eq(one, real);
        told_own |= str_eq(one, own);
    }
    if (!told_real) {
        buf_add_z(b, n++ ? "," : "");
        json_write_str(b, real);
        told_own |= str_eq(real, own);
    }
    if (!told_own) {
        buf_add_z(b, n++ ? "," : "");
        json_write_str(b, own);
    }
    buf_add_c(b, ']');
}

static void put_agent(struct api_rq *rq, struct buf *b)
{
    struct str agent = http_header(rq->http, STR("user-agent"));
    char cut[AGENT_MOST + 16];
    if (agent.len > AGENT_MOST)
        agent = str_n(cut, (size_t)snprintf(cut, sizeof cut, "%.*s...TRUNCATED", AGENT_MOST, agent.at));
    if (!agent.len)
        return;
    buf_lit(b, ",\"userAgent\":");
    json_write_str(b, agent);
}

static void put_ref(struct api_rq *rq, struct buf *b, bool complete)
{
    const struct kl_request *t = &rq->info.tuple;
    const struct audit_request *x = rq->audit;
    bool told = complete && x->asked;
    if (!t->is_resource)
        return;
    buf_lit(b, ",\"objectRef\":{\"resource\":");
    json_write_str(b, str_of(t->resource));
    put(b, "namespace", t->ns[0] || !told ? t->ns : x->ns);
    put(b, "name", t->name[0] || !told ? t->name : x->name);
    put(b, "uid", told ? x->uid : "");
    put(b, "apiGroup", t->group);
    put(b, "apiVersion", t->version);
    put(b, "resourceVersion", told ? x->version : "");
    put(b, "subresource", t->subresource);
    buf_add_c(b, '}');
}

static bool is_status(const struct val *v)
{
    return v && str_is(json_str(v, "kind"), "Status") && str_is(json_str(v, "apiVersion"), "v1");
}

static void put_status(struct api_rq *rq, struct buf *b, int code)
{
    struct val *v = answer_of(rq);
    buf_lit(b, ",\"responseStatus\":{\"metadata\":{}");
    if (is_status(v)) {
        static const char *const texts[] = { "status", "message", "reason" };
        const struct val *details = json_get(v, STR("details"));
        for (int i = 0; i < 3; i++)
            put(b, texts[i], arena_dup(rq->arena, json_str(v, texts[i])));
        if (details) {
            buf_lit(b, ",\"details\":");
            json_write(b, details);
        }
    }
    buf_printf(b, ",\"code\":%d}", code);
}

static void put_object(struct buf *b, const char *key, const struct val *v)
{
    if (!v)
        return;
    buf_printf(b, ",\"%s\":", key);
    json_write(b, v);
}

static void put_asked(struct api_rq *rq, struct buf *b)
{
    const struct audit_request *x = rq->audit;
    if (x->object.len)
        buf_printf(b, ",\"requestObject\":" STR_FMT, STR_ARG(x->object));
    else if (x->patch)
        put_object(b, "requestObject", read_text(rq, http_header(rq->http, STR("content-type")), http_body(rq->http)));
}

static void put_annotations(struct api_rq *rq, struct buf *b, bool cut)
{
    const char *before = ",\"annotations\":{";
    if (cut) {
        buf_printf(b, "%s\"audit.k8s.io/truncated\":\"true\"", before);
        before = ",";
    }
    for (const struct note *n = rq->audit->notes; n; n = n->next) {
        buf_add_z(b, before);
        json_write_str(b, str_of(n->key));
        buf_add_c(b, ':');
        json_write_str(b, str_of(n->value));
        before = ",";
    }
    if (cut || rq->audit->notes)
        buf_add_c(b, '}');
}

/* code 0: not answered. cut: without objects. */
static void put_event(struct api_rq *rq, struct buf *b, enum audit_stage stage, int code, bool cut)
{
    struct audit_request *x = rq->audit;
    struct str query = http_query(rq->http), path = http_path(rq->http);
    char received[CLOCK_TEXT], now[CLOCK_TEXT];
    bool later = stage != STAGE_RECEIVED;
    clock_format_micro(x->received_ns, received);
    clock_format_micro(later ? env_wall_ns() : x->received_ns, now);
    buf_printf(b, "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"%s\",\"auditID\":", audit_level_texts[x->decision.level]);
    json_write_str(b, str_of(rq->audit_id));
    buf_printf(b, ",\"stage\":\"%s\",\"requestURI\":", audit_stage_text(stage));
    json_write_str(b, str_of(arena_printf(rq->arena, STR_FMT "%s" STR_FMT, STR_ARG(path), query.at ? "?" : "", STR_ARG(query))));
    buf_lit(b, ",\"verb\":");
    json_write_str(b, str_of(rq->info.tuple.verb));
    put_user(b, "user", rq->asker ? rq->asker : &rq->user);
    if (rq->asker && later)
        put_user(b, "impersonatedUser", &rq->user);
    if (rq->asker && later && rq->constraint)
        buf_printf(b, ",\"authenticationMetadata\":{\"impersonationConstraint\":\"%s\"}", rq->constraint);
    put_sources(rq, b);
    put_agent(rq, b);
    put_ref(rq, b, later);
    if (later && code)
        put_status(rq, b, code);
    if (later && !cut && x->decision.level >= AUDIT_REQUEST)
        put_asked(rq, b);
    if (later && !cut && x->decision.level == AUDIT_REQUEST_RESPONSE)
        put_object(b, "responseObject", answer_of(rq));
    buf_printf(b, ",\"requestReceivedTimestamp\":\"%s\",\"stageTimestamp\":\"%s\"", received, now);
    put_annotations(rq, b, cut);
    buf_lit(b, "}\n");
}

static void event(struct api_rq *rq, enum audit_stage stage, int code)
{
    struct audit *a = rq->api->audit;
    if (rq->audit->decision.omit & stage)
        return;
    size_t before = a->lines.len;
    put_event(rq, &a->lines, stage, code, false);
    if (a->event_max && a->lines.len - before > a->event_max) {
        a->lines.len = before;
        put_event(rq, &a->lines, stage, code, true);
    }
    a->n++;
    a->events++;
}

/* --- the life of a request --- */

void audit_begin(struct api_rq *rq)
{
    static const struct kl_user nobody = { .size = sizeof nobody, .name = "", .uid = "" };
    struct audit *a = rq->api->audit;
    if (rq->audit) {                    /* it is run again */
        rq->audit->notes = NULL;
        rq->audit->asked = rq->audit->patch = false;
        rq->audit->object = STR_NONE;
    }
    if (!a || rq->audited)
        return;
    rq->audited = true;
    bool unknown = rq->err.http == 401;
    const struct kl_user *who = unknown ? &nobody : rq->asker ? rq->asker : &rq->user;
    struct audit_decision d = audit_policy_ask(a->policy, who, &rq->info.tuple);
    a->levels[d.level]++;
    if (d.level == AUDIT_NONE)
        return;
    rq->audit = arena_alloc(http_arena(rq->http), sizeof *rq->audit);   /* it outlives a run of the request */
    if (!rq->audit) {
        a->lost++;
        return;
    }
    *rq->audit = (struct audit_request){ .decision = d, .received_ns = env_wall_ns() - (env_mono_ns() - http_began(rq->http)), .nobody = unknown };
    if (unknown)
        rq->user = nobody;
    else
        event(rq, STAGE_RECEIVED, 0);
}

void audit_note(struct api_rq *rq, const char *key, const char *value)
{
    struct arena *a = http_arena(rq->http);
    struct note **at = rq->audit ? &rq->audit->notes : NULL, *n;
    if (!at)
        return;
    while (*at && strcmp((*at)->key, key) < 0)
        at = &(*at)->next;
    n = *at && strcmp((*at)->key, key) == 0 ? *at : arena_alloc(a, sizeof *n);
    const char *k = arena_dup(a, str_of(key)), *v = arena_dup(a, str_of(value));
    if (!n || !k || !v)
        return;
    *n = (struct note){ n == *at ? n->next : *at, k, v };
    *at = n;
}

bool audit_keeps_objects(const struct api_rq *rq)
{
    return rq->audit && rq->audit->decision.level >= AUDIT_REQUEST;
}

void audit_decided(struct api_rq *rq, bool allowed, const char *reason)
{
    audit_note(rq, "authorization.k8s.io/decision", allowed ? "allow" : "forbid");
    audit_note(rq, "authorization.k8s.io/reason", reason);
}

void audit_started(struct api_rq *rq)
{
    if (!rq->audit || rq->audit->started)
        return;
    rq->audit->started = true;
    event(rq, STAGE_STARTED, http_status(rq->http));
}

/* Of requests that may last, it is told that they have begun. */
static bool is_long(const struct kl_request *t)
{
    return strcmp(t->verb, "watch") == 0 || (t->is_resource && api_is_stream(t->subresource));
}

void audit_end(struct api_rq *rq, struct http_req *r)
{
    struct audit_request *x = rq->audit;
    int status = http_status(r);
    if (!x)
        return;
    if (x->nobody) {                    /* as upstream has it: the answer to the unknown starts, and nothing follows */
        event(rq, STAGE_STARTED, status);
    } else {
        if (is_long(&rq->info.tuple) && status)
            audit_started(rq);
        event(rq, STAGE_COMPLETE, status);
    }
    rq->audit = NULL;
}

void audit_metrics(struct audit *a, struct prom *p)
{
    static const struct prom_label log[] = { { "plugin", "log" }, { NULL, NULL } };
    if (!a)
        return;
    prom_family(p, "apiserver_audit_level_total", PROM_COUNTER, "[ALPHA] Counter of policy levels for audit events (1 per request).");
    for (int i = 0; i < 4; i++)
        prom_count(p, (struct prom_label[]){ { "level", audit_level_texts[i] }, { NULL, NULL } }, a->levels[i]);
    prom_one(p, "apiserver_audit_event_total", PROM_COUNTER, "[ALPHA] Counter of audit events generated and sent to the audit backend.", (double)a->events);
    prom_family(p, "apiserver_audit_error_total", PROM_COUNTER, "Counter of audit events that failed to be audited properly.");
    prom_count(p, log, a->lost);
}

/* streams.c - subresources that reach into a node: log, exec, attach, portforward, proxy. Finds the pod, the container and the node, with
 * upstream's words for what is wrong, and hands over to stream_*.c. */
#include "api-internal.h"
#include "api/stream.h"
#include "base/clock.h"
#include "base/env.h"
#include "usage.h"

bool api_is_stream(const char *sub)
{
    static const char *const names[] = { "log", "exec", "attach", "portforward", "proxy" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], sub) == 0)
            return true;
    return false;
}

/* --- the query: options of all five --- */

struct stream_query {
    struct str container, since_time, stream;
    bool in, out, err, tty, follow, previous, timestamps;
    int64_t since_seconds, tail_lines, limit_bytes;     /* INT64_MIN: not given */
    const char **command;
    unsigned n_command, n_ports;
    uint16_t ports[STREAM_PORTS_MOST];
};

enum option_type { O_STR, O_BOOL, O_INT };
#define O(name, type, member) { name, type, offsetof(struct stream_query, member) }
static const struct {
    const char *name;
    enum option_type type;
    size_t offset;
} options[] = {
    O("container", O_STR, container), O("stdin", O_BOOL, in), O("stdout", O_BOOL, out), O("stderr", O_BOOL, err), O("tty", O_BOOL, tty),
    O("follow", O_BOOL, follow), O("previous", O_BOOL, previous), O("timestamps", O_BOOL, timestamps),
    O("sinceSeconds", O_INT, since_seconds), O("sinceTime", O_STR, since_time), O("tailLines", O_INT, tail_lines),
    O("limitBytes", O_INT, limit_bytes), O("stream", O_STR, stream),
};

static int set_option(struct api_rq *rq, struct stream_query *q, size_t i, struct str v)
{
    char *at = (char *)q + options[i].offset;
    if (options[i].type == O_STR)
        *(struct str *)(void *)at = v;
    else if (options[i].type == O_BOOL)
        *(bool *)at = !str_eq_nocase(v, STR("false")) && !str_is(v, "0");
    else if (!str_int(v, (int64_t *)(void *)at))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "strconv.ParseInt: parsing \"" STR_FMT "\": invalid syntax", STR_ARG(v));
    return 0;
}

static int add_ports(struct api_rq *rq, struct stream_query *q, struct str list)
{
    while (list.at) {
        struct str s = str_cut(&list, ',');
        int64_t port;
        if (!str_int(s, &port) || port < 1 || port > 65535)
            return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "unable to parse \"" STR_FMT "\" as a port", STR_ARG(s));
        if (q->n_ports == STREAM_PORTS_MOST)
            return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "more than %d ports", STREAM_PORTS_MOST);
        q->ports[q->n_ports++] = (uint16_t)port;
    }
    return 0;
}

static unsigned count_commands(struct str query)
{
    unsigned n = 0;
    while (query.at) {
        struct str part = str_cut(&query, '&');
        n += str_starts(part, STR("command"));
    }
    return n;
}

static int read_query(struct api_rq *rq, struct stream_query *q)
{
    struct str query = http_query(rq->http), key, value;
    *q = (struct stream_query){ .since_seconds = INT64_MIN, .tail_lines = INT64_MIN, .limit_bytes = INT64_MIN };
    unsigned room = count_commands(query);
    q->command = arena_alloc(rq->arena, (room + 1) * sizeof *q->command);
    if (!q->command)
        return api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    while (http_query_next(rq->arena, &query, &key, &value)) {
        if (str_is(key, "command") && q->n_command < room)
            q->command[q->n_command++] = arena_dup(rq->arena, value);
        if (str_is(key, "ports") && add_ports(rq, q, value) < 0)
            return -rq->err.code;
        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
            if (str_is(key, options[i].name) && set_option(rq, q, i, value) < 0)
                return -rq->err.code;
    }
    return arena_exhausted(rq->arena) ? api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory") : 0;
}

/* What admission made of the options counts. */
static int take_admitted(struct api_rq *rq, struct stream_query *q, const struct val *admitted)
{
    const struct val *command = json_get(admitted, STR("command")), *ports = json_get(admitted, STR("ports"));
    q->container = json_str(admitted, "container");
    q->in = json_bool(admitted, "stdin", false);
    q->out = json_bool(admitted, "stdout", false);
    q->err = json_bool(admitted, "stderr", false);
    q->tty = json_bool(admitted, "tty", false);
    q->n_command = q->n_ports = 0;
    q->command = arena_alloc(rq->arena, ((val_is(command, VAL_ARR) ? command->n : 0) + 1) * sizeof *q->command);
    if (!q->command)
        return api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    for (const struct val *v = val_is(command, VAL_ARR) ? command->first : NULL; v; v = v->next)
        q->command[q->n_command++] = arena_dup(rq->arena, val_str(v));
    for (const struct val *v = val_is(ports, VAL_ARR) ? ports->first : NULL; v && q->n_ports < STREAM_PORTS_MOST; v = v->next)
        q->ports[q->n_ports++] = (uint16_t)v->i;
    return 0;
}

/* --- the container --- */

static const char *const container_lists[] = { "containers", "initContainers", "ephemeralContainers" };
static const char *const status_lists[] = { "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses" };

static const struct val *find_named(const struct val *parent, const char *const lists[3], struct str name)
{
    for (int i = 0; i < 3; i++) {
        const struct val *list = json_get(parent, str_of(lists[i]));
        if (val_is(list, VAL_ARR))
            val_each(c, list)
                if (str_eq(json_str(c, "name"), name))
                    return c;
    }
    return NULL;
}

static void add_names(struct buf *b, const struct val *list)
{
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            buf_printf(b, "%s" STR_FMT, b->at[b->len - 1] == '[' ? "" : " ", STR_ARG(json_str(c, "name")));
}

/* As upstream: the one that is named, or the only one. */
static int choose_container(struct api_rq *rq, const struct val *pod, struct stream_query *q)
{
    const struct val *spec = json_get(pod, STR("spec")), *list = json_get(spec, STR("containers"));
    const char *name = rq->info.tuple.name;
    if (q->container.len)
        return find_named(spec, container_lists, q->container) ? 0 :
               api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "container " STR_FMT " is not valid for pod %s", STR_ARG(q->container), name);
    if (val_is(list, VAL_ARR) && list->n == 1) {
        q->container = json_str(list->first, "name");
        return 0;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    buf_printf(&b, "a container name must be specified for pod %s, choose one of: [", name);
    add_names(&b, json_get(spec, STR("initContainers")));
    add_names(&b, list);
    add_names(&b, json_get(spec, STR("ephemeralContainers")));
    buf_add_c(&b, ']');
    return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, STR_FMT, STR_ARG(buf_str(&b)));
}

/* --- the node --- */

struct streaming {
    struct api_rq *rq;
    const struct val *pod;
    struct stream_query q;
    struct stream_target at;
};

static void refuse(struct api_rq *rq, const struct kl_err *err)
{
    api_fail_err(&rq->err, rq->arena, err);
    api_send_error(rq);
}

/* What a kubelet says where no Status is expected. */
static void refuse_plainly(struct api_rq *rq, const char *text)
{
    api_send_text(rq, 500, "text/plain; charset=utf-8", str_of(text));
}

static bool is_running(const struct streaming *x)
{
    const struct val *s = find_named(json_get(x->pod, STR("status")), status_lists, x->q.container);
    return json_path(s, "state.running") != NULL;
}

static void exec(struct streaming *x)
{
    struct api_rq *rq = x->rq;
    bool attach = strcmp(rq->info.tuple.subresource, "attach") == 0;
    const struct val *spec = find_named(json_get(x->pod, STR("spec")), container_lists, x->q.container);
    struct stream_exec e = { .argv = attach ? NULL : x->q.command, .in = x->q.in, .out = x->q.out, .err = x->q.err, .tty = x->q.tty };
    struct kl_err err;
    kl_err_init(&err);
    if (attach)
        e.tty = e.tty && json_bool(spec, "tty", false);        /* a process cannot be given a terminal later */
    if (!remote_wanted(rq->http))
        kl_err_set(&err, KL_BAD_REQUEST, "Upgrade request required");
    else if (!e.in && !e.out && !e.err)
        kl_err_set(&err, KL_BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr");
    else if (!attach && !x->q.n_command)
        kl_err_set(&err, KL_BAD_REQUEST, "you must specify at least 1 command for the container");
    if (err.code) {
        refuse(rq, &err);
    } else if (!is_running(x)) {
        refuse_plainly(rq, arena_printf(rq->arena, attach ? "container %s not found in pod %s_%s" : "container not found (\"%s\")",
                                        x->at.container, x->at.pod, x->at.ns));
    } else if (stream_exec(rq->api->streams, rq->http, &x->at, &e, &err) < 0) {
        refuse(rq, &err);
    }
}

static void ports(struct streaming *x)
{
    struct kl_err err;
    kl_err_init(&err);
    if (!remote_wanted(x->rq->http))
        kl_err_set(&err, KL_BAD_REQUEST, "Upgrade request required");
    else
        stream_ports(x->rq->api->streams, x->rq->http, &x->at, x->q.ports, x->q.n_ports, &err);
    if (err.code)
        refuse(x->rq, &err);
}

/* --- logs --- */

static void log_failed(void *ctx, const struct kl_err *err)
{
    refuse(ctx, err);
}

static void check_least(struct object_causes *c, const char *field, int64_t value, int64_t least, const char *must)
{
    if (value != INT64_MIN && value < least)
        object_cause_add(c, "FieldValueInvalid", field, "Invalid value: %lld: %s", (long long)value, must);
}

static int check_log_options(struct streaming *x, int64_t *ret_since_ns, uint32_t *ret_streams)
{
    const struct stream_query *q = &x->q;
    struct api_rq *rq = x->rq;
    struct object_causes c = { .arena = rq->arena };
    check_least(&c, "tailLines", q->tail_lines, 0, "must be greater than or equal to 0");
    check_least(&c, "limitBytes", q->limit_bytes, 1, "must be greater than 0");
    check_least(&c, "sinceSeconds", q->since_seconds, 1, "must be greater than 0");
    if (q->since_seconds != INT64_MIN && q->since_time.len)
        object_cause_add(&c, "FieldValueForbidden", "<nil>", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified");
    *ret_streams = !q->stream.len || str_is(q->stream, "All") ? 0 : str_is(q->stream, "Stdout") ? 1 : str_is(q->stream, "Stderr") ? 2 : 4;
    if (*ret_streams == 4)
        object_cause_add(&c, "FieldValueNotSupported", "stream", "Unsupported value: \"" STR_FMT "\": supported values: \"All\", \"Stderr\", \"Stdout\"",
                         STR_ARG(q->stream));
    else if (*ret_streams && q->tail_lines != INT64_MIN)
        object_cause_add(&c, "FieldValueForbidden", "<nil>", "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now");
    if (c.n) {
        static const struct schema_kind kind = { .group = "", .version = "v1", .kind = "PodLogOptions", .plural = "" };
        return api_fail_invalid(&rq->err, rq->arena, &kind, str_of(x->at.pod), &c);
    }
    *ret_since_ns = 0;
    if (q->since_seconds != INT64_MIN)
        *ret_since_ns = env_wall_ns() - (q->since_seconds < INT32_MAX ? q->since_seconds : INT32_MAX) * NS_PER_S;
    if (q->since_time.len && !clock_parse(q->since_time, ret_since_ns))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "parsing time \"" STR_FMT "\" as \"2006-01-02T15:04:05Z07:00\": cannot parse it",
                        STR_ARG(q->since_time));
    return 0;
}

static void logs(struct streaming *x)
{
    struct api_rq *rq = x->rq;
    struct http_header *h = arena_alloc(rq->arena, API_HEADERS * sizeof *h);
    struct stream_log o = { .headers = h, .fail = log_failed, .ctx = rq };
    int64_t since;
    uint32_t streams;
    struct kl_err err;
    kl_err_init(&err);
    if (!h || check_log_options(x, &since, &streams) < 0) {
        api_send_error(rq);
        return;
    }
    o.n_headers = api_headers(rq, h, "text/plain");
    o.options = (struct kl_log_options){ .size = sizeof o.options, .follow = x->q.follow, .previous = x->q.previous,
                                         .timestamps = x->q.timestamps, .since_wall_ns = since, .tail_lines = x->q.tail_lines,
                                         .limit_bytes = x->q.limit_bytes, .streams = streams };
    if (stream_log(rq->api->streams, rq->http, &x->at, &o, &err) < 0)
        refuse(rq, &err);
}

/* --- nodes in other processes: the same with the words of a kubelet --- */

static void add(struct buf *b, const char *key, struct str value)
{
    buf_printf(b, "%c%s=", memchr(b->at, '?', b->len) ? '&' : '?', key);
    http_encode(b, value);
}

static void add_flag(struct buf *b, const char *key, bool value)
{
    if (value)
        add(b, key, STR("true"));
}

static void add_number(struct buf *b, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    if (value != INT64_MIN)
        add(b, key, str_of(text));
}

static void add_options(struct streaming *x, struct buf *b, const char *sub)
{
    const struct stream_query *q = &x->q;
    const struct {
        const char *key;
        bool on;
    } channels[] = { { "input", q->in }, { "output", q->out }, { "error", q->err }, { "tty", q->tty } };
    if (strcmp(sub, "log") == 0) {
        add_flag(b, "follow", q->follow);
        add_flag(b, "previous", q->previous);
        add_flag(b, "timestamps", q->timestamps);
        add_number(b, "sinceSeconds", q->since_seconds);
        add_number(b, "tailLines", q->tail_lines);
        add_number(b, "limitBytes", q->limit_bytes);
        if (q->since_time.len)
            add(b, "sinceTime", q->since_time);
        if (q->stream.len)
            add(b, "stream", q->stream);
        return;
    }
    for (unsigned i = 0; i < q->n_ports; i++)
        add_number(b, "port", q->ports[i]);
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)     /* kubelets take nothing but a "1" */
        if (channels[i].on)
            add(b, channels[i].key, STR("1"));
    for (unsigned i = 0; i < q->n_command; i++)
        add(b, "command", str_of(q->command[i]));
}

/* What is wrong with the request itself is said here, in the same words as for a node of this process. */
static int check_elsewhere(struct streaming *x)
{
    struct api_rq *rq = x->rq;
    const char *sub = rq->info.tuple.subresource;
    int64_t since;
    uint32_t streams;
    if (strcmp(sub, "log") == 0)
        return check_log_options(x, &since, &streams);
    if (!remote_wanted(rq->http))
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "Upgrade request required");
    if (strcmp(sub, "portforward") == 0)
        return 0;
    if (!x->q.in && !x->q.out && !x->q.err)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr");
    if (strcmp(sub, "exec") == 0 && !x->q.n_command)
        return api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "you must specify at least 1 command for the container");
    return 0;
}

/* Upstream tells of a pod of the node's name. */
static int check_node(struct streaming *x, struct str node)
{
    const struct schema_kind *k = schema_kind_find(STR(""), STR("v1"), STR("Node"));
    if (store_head(x->rq->api->store, str_of(k->resource), STR(""), node))
        return 0;
    return api_fail_not_found(&x->rq->err, x->rq->arena, x->rq->info.kind, node);
}

static void elsewhere(struct streaming *x, struct str node)
{
    static const struct {
        const char *sub, *path;
    } rows[] = { { "log", "containerLogs" }, { "exec", "exec" }, { "attach", "attach" }, { "portforward", "portForward" } };
    struct api_rq *rq = x->rq;
    const char *sub = rq->info.tuple.subresource;
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    bool log = strcmp(sub, "log") == 0;
    if ((!log && check_node(x, node) < 0) || check_elsewhere(x) < 0 || (log && check_node(x, node) < 0)) {
        api_send_error(rq);
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].sub, sub) == 0)
            buf_printf(&b, "/%s/%s/%s", rows[i].path, x->at.ns, x->at.pod);
    if (x->at.container && x->at.container[0])
        buf_printf(&b, "/%s", x->at.container);
    add_options(x, &b, sub);
    if (b.failed) {
        api_fail(&rq->err, rq->arena, KL_TOO_LARGE, "the command is too long");
        api_send_error(rq);
        return;
    }
    api_node_send(rq, node, b.at, log);
}

/* --- the gate --- */

/* Whatever the method: who may only read must not reach into a container. */
static int may_create(struct api_rq *rq)
{
    struct api_rq again = *rq;
    if (strcmp(rq->info.tuple.verb, "create") == 0)
        return 0;
    again.info.tuple.verb = "create";
    int rc = api_authorize(&again);
    rq->err = again.err;
    return rc;
}

static int find_pod(struct streaming *x)
{
    struct api_rq *rq = x->rq;
    const struct schema_kind *k = rq->info.kind;
    struct store_object *o = store_get(rq->api->store, str_of(k->storage->resource), str_of(rq->info.tuple.ns), str_of(rq->info.tuple.name));
    if (!o)
        return api_fail_not_found(&rq->err, rq->arena, k, str_of(rq->info.tuple.name));
    x->pod = api_tree(rq->arena, o, &rq->err);
    return x->pod ? 0 : -rq->err.code;
}

void api_streams(struct api_rq *rq)
{
    const struct kl_request *t = &rq->info.tuple;
    struct streaming *x = arena_alloc(rq->arena, sizeof *x);
    bool log = strcmp(t->subresource, "log") == 0, port = strcmp(t->subresource, "portforward") == 0;
    struct val *admitted = NULL;
    int rc = x ? 0 : api_fail(&rq->err, rq->arena, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && strcmp(t->subresource, "proxy") == 0) {
        bool node = strcmp(t->resource, "nodes") == 0;
        if ((node && remote_wanted(rq->http) && may_create(rq) < 0) || api_connect(rq, &admitted) < 0)
            api_send_error(rq);
        else
            api_proxy(rq);
        return;
    }
    if (rc == 0 && !log)
        rc = may_create(rq);
    if (rc == 0) {
        x->rq = rq;
        rc = read_query(rq, &x->q);
    }
    if (rc == 0 && !log && (rc = api_connect(rq, &admitted)) == 0)
        rc = take_admitted(rq, &x->q, admitted);
    if (rc == 0)
        rc = find_pod(x);
    if (rc == 0 && !port)
        rc = choose_container(rq, x->pod, &x->q);
    struct str node = rc == 0 ? json_str(x->pod, "spec.nodeName") : STR_NONE;
    if (rc == 0 && log && !node.len) {
        struct http_header h[API_HEADERS];              /* nothing has run yet */
        http_reply(rq->http, 204, h, api_headers(rq, h, NULL), (struct http_slice){ .data = STR("") });
        return;
    }
    if (rc == 0 && !node.len)
        rc = api_fail(&rq->err, rq->arena, KL_BAD_REQUEST, "pod %s does not have a host assigned", t->name);
    if (rc < 0) {
        api_send_error(rq);
        return;
    }
    x->at = (struct stream_target){ .ns = t->ns, .pod = t->name, .container = arena_dup(rq->arena, x->q.container) };
    x->at.node = rq->api->hooks.node ? rq->api->hooks.node(rq->api->hooks.ctx, node, &x->at.self) : NULL;
    if (!x->at.node)
        elsewhere(x, node);
    else
        (log ? logs : port ? ports : exec)(x);
}

void api_retire(struct api *a, struct http_relay *x)
{
    api_watches_relay(a, x);
    a->stopping = true;
    api_waits_stop(a->waits);
    api_usage_stop(a->usage);
    api_aggregates_stop(a->aggregates);
    flow_stop(a->flow);
    api_crds_stop(a->crds);
    api_policies_stop(a->policies);
}

void api_stop(struct api *a, loop_fn done, void *ctx)
{
    api_waits_stop(a->waits);
    api_usage_stop(a->usage);
    api_aggregates_stop(a->aggregates);
    flow_stop(a->flow);
    api_crds_stop(a->crds);             /* the store ends before the API does */
    api_policies_stop(a->policies);
    streams_stop(a->streams, done, ctx);
}

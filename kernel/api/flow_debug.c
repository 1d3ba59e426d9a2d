/* flow_debug.c - what is going on in the priority levels, as numbers and as upstream's tables. */
#include "api/flow.h"

#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"

static struct flow_level *level_at(struct list *n)
{
    return list_item(n, struct flow_level, fair.link);
}

static struct flow_schema *schema_at(struct list *n)
{
    return list_item(n, struct flow_schema, link);
}

/* --- numbers --- */

enum per_schema { RUNNING, SEATS, WAITING, DISPATCHED };

static uint64_t of_schema(const struct flow_schema *s, enum per_schema what)
{
    return what == RUNNING ? s->running : what == SEATS ? s->seats : what == WAITING ? s->waiting : s->dispatched;
}

static void schemas(struct flow *f, struct prom *p)
{
    static const struct {
        const char *name;
        enum prom_type type;
        const char *help;
    } rows[] = {
        { "apiserver_flowcontrol_current_executing_requests", PROM_GAUGE,
          "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem" },
        { "apiserver_flowcontrol_current_executing_seats", PROM_GAUGE,
          "[BETA] Concurrency (number of seats) occupied by the currently executing requests in the API Priority and Fairness subsystem" },
        { "apiserver_flowcontrol_current_inqueue_requests", PROM_GAUGE,
          "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem" },
        { "apiserver_flowcontrol_dispatched_requests_total", PROM_COUNTER, "[BETA] Number of requests executed by API Priority and Fairness subsystem" },
    };
    for (int i = 0; i < 4; i++) {
        prom_family(p, rows[i].name, rows[i].type, rows[i].help);
        list_each(n, &f->schemas) {
            const struct flow_schema *s = schema_at(n);
            const struct prom_label l[] = { { "flow_schema", s->name }, { "priority_level", s->level ? s->level->name : "" }, { NULL, NULL } };
            prom_count(p, l, of_schema(s, (enum per_schema)i));
        }
    }
}

static void rejected(struct flow *f, struct prom *p)
{
    static const char *const reasons[REJECTED_REASONS] = { "queue-full", "concurrency-limit", "time-out", "cancelled" };
    prom_family(p, "apiserver_flowcontrol_rejected_requests_total", PROM_COUNTER, "[BETA] Number of requests rejected by API Priority and Fairness subsystem");
    list_each(n, &f->schemas) {
        const struct flow_schema *s = schema_at(n);
        for (int i = 0; i < REJECTED_REASONS; i++) {
            const struct prom_label l[] = { { "flow_schema", s->name }, { "priority_level", s->level ? s->level->name : "" }, { "reason", reasons[i] },
                                            { NULL, NULL } };
            if (s->rejected[i])
                prom_count(p, l, s->rejected[i]);
        }
    }
}

static void times(struct flow *f, struct prom *p)
{
    prom_family(p, "apiserver_flowcontrol_request_wait_duration_seconds", PROM_HISTOGRAM, "[BETA] Length of time a request spent waiting in its queue");
    list_each(n, &f->schemas)
        for (int i = 0; i < 2; i++) {
            const struct flow_schema *s = schema_at(n);
            const struct prom_label l[] = { { "execute", i ? "true" : "false" }, { "flow_schema", s->name },
                                            { "priority_level", s->level ? s->level->name : "" }, { NULL, NULL } };
            if (s->dispatched)
                prom_buckets(p, l, &s->waited[i]);
        }
    prom_family(p, "apiserver_flowcontrol_request_execution_seconds", PROM_HISTOGRAM,
                "[ALPHA] Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem");
    list_each(n, &f->schemas) {
        const struct flow_schema *s = schema_at(n);
        const struct prom_label l[] = { { "flow_schema", s->name }, { "priority_level", s->level ? s->level->name : "" }, { NULL, NULL } };
        if (s->dispatched)
            prom_buckets(p, l, &s->ran);
    }
}

static void levels(struct flow *f, struct prom *p)
{
    static const char *const names[] = { "apiserver_flowcontrol_nominal_limit_seats", "apiserver_flowcontrol_lower_limit_seats",
                                         "apiserver_flowcontrol_upper_limit_seats" };
    static const char *const helps[] = { "Nominal number of execution seats configured for each priority level",
                                         "Configured lower bound on number of execution seats available to each priority level",
                                         "Configured upper bound on number of execution seats available to each priority level" };
    for (int i = 0; i < 3; i++) {
        prom_family(p, names[i], PROM_GAUGE, helps[i]);
        list_each(n, &f->fair.levels) {
            const struct flow_level *l = level_at(n);
            const struct prom_label labels[] = { { "priority_level", l->name }, { NULL, NULL } };
            prom_count(p, labels, i == 0 ? l->fair.nominal : i == 1 ? l->fair.least : l->fair.most);
        }
    }
}

void flow_metrics(struct flow *f, struct prom *p)
{
    if (!f)
        return;
    schemas(f, p);
    rejected(f, p);
    times(f, p);
    levels(f, p);
}

/* --- tables: columns of equal width, a comma behind each cell but the last --- */

#define COLUMNS_MOST 18
#define COLUMN_LEAST 8

struct dump {
    struct arena *arena;
    unsigned columns, n, cap;
    const char **cells;
    bool failed;
};

static void cell(struct dump *d, const char *text)
{
    if (d->n == d->cap) {
        unsigned cap = d->cap ? d->cap * 2 : 256;
        const char **at = arena_alloc(d->arena, cap * sizeof *at);
        if (!at) {
            d->failed = true;
            return;
        }
        if (d->n)
            memcpy(at, d->cells, d->n * sizeof *at);
        d->cells = at;
        d->cap = cap;
    }
    d->cells[d->n++] = text ? text : "";
}

static void number(struct dump *d, uint64_t n)
{
    cell(d, arena_uint(d->arena, n));
}

static void heads(struct dump *d, const char *const *names, unsigned n)
{
    d->columns = n;
    for (unsigned i = 0; i < n; i++)
        cell(d, names[i]);
}

static void write_dump(const struct dump *d, struct buf *b)
{
    size_t width[COLUMNS_MOST] = { 0 };
    for (unsigned i = 0; i < d->n; i++) {
        size_t n = strlen(d->cells[i]) + 2;
        unsigned k = i % d->columns;
        width[k] = n > width[k] ? n : width[k] > COLUMN_LEAST ? width[k] : COLUMN_LEAST;
    }
    for (unsigned i = 0; i < d->n; i++) {
        bool last = i % d->columns == d->columns - 1;
        if (last)
            buf_printf(b, "%s\n", d->cells[i]);
        else
            buf_printf(b, "%s,%*s", d->cells[i], (int)(width[i % d->columns] - strlen(d->cells[i]) - 1), "");
    }
}

static void dump_levels(struct flow *f, struct dump *d)
{
    static const char *const names[] = { "PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests",
                                         "DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests" };
    heads(d, names, 10);
    list_each(n, &f->fair.levels) {
        const struct flow_level *l = level_at(n);
        unsigned active = 0;
        list_each(q, &l->fair.active)
            active += q != NULL;
        cell(d, l->name);
        number(d, active);
        cell(d, l->fair.running || l->fair.queued ? "false" : "true");
        cell(d, l->listed ? "false" : "true");
        number(d, l->fair.queued);
        number(d, l->fair.running);
        number(d, l->dispatched);
        number(d, l->rejected[REJECTED_FULL] + l->rejected[REJECTED_NO_SEAT]);
        number(d, l->rejected[REJECTED_LATE]);
        number(d, l->rejected[REJECTED_GONE]);
    }
}

static void dump_queues(struct flow *f, struct dump *d)
{
    static const char *const names[] = { "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR",
                                         "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum" };
    heads(d, names, 9);
    list_each(n, &f->fair.levels) {
        const struct flow_level *l = level_at(n);
        for (unsigned i = 0; l->fair.queues && i < FAIR_QUEUES_MOST; i++) {
            const struct fair_queue *q = l->fair.queues[i];
            if (!q)
                continue;
            uint64_t seats = 0;
            list_each(m, &q->items)
                seats += list_item(m, struct fair_item, link)->seats;
            cell(d, l->name);
            number(d, i);
            number(d, q->n);
            number(d, q->running);
            number(d, q->seats);
            cell(d, arena_printf(d->arena, "%.8fss", (double)q->used_ns / 1e9));
            number(d, seats);
            number(d, seats);
            cell(d, arena_printf(d->arena, "%.8fss", (double)q->used_ns / 1e9));
        }
    }
}

static const char *time_text(struct arena *a, int64_t mono_ns)
{
    char text[CLOCK_TEXT];
    clock_format_nano(env_wall_ns() - (env_mono_ns() - mono_ns), text);
    return arena_dup(a, str_of(text));
}

static void dump_requests(struct flow *f, struct dump *d, bool details)
{
    static const char *const names[] = { "PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime",
                                         "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime", "UserName", "Verb", "APIPath", "Namespace",
                                         "Name", "APIVersion", "Resource", "SubResource" };
    heads(d, names, details ? 18 : 10);
    list_each(n, &f->requests) {
        const struct flow_request *x = list_item(n, struct flow_request, link);
        const struct api_rq *rq = x->rq;
        const struct kl_request *t = &rq->info.tuple;
        bool waits = x->item.state == FAIR_QUEUED;
        unsigned place = 0;
        if (waits)
            list_each(m, &x->item.queue->items) {
                if (m == &x->item.link)
                    break;
                place++;
            }
        cell(d, ((struct flow_level *)x->item.level)->name);
        cell(d, x->schema->name);
        cell(d, waits ? arena_printf(d->arena, "%u", x->item.queue->index) : "-1");
        cell(d, waits ? arena_printf(d->arena, "%u", place) : "-1");
        cell(d, arena_dup(d->arena, flow_distinguisher(x->schema, rq)));
        cell(d, time_text(d->arena, x->item.since_ns));
        number(d, x->item.seats);
        cell(d, "0");
        cell(d, "0s");
        cell(d, waits ? "0001-01-01T00:00:00Z" : time_text(d->arena, x->began_ns));
        if (!details)
            continue;
        const char *const more[] = { rq->user.name, t->verb, t->path, t->ns, t->name, t->version, t->resource, t->subresource };
        for (int i = 0; i < 8; i++)
            cell(d, more[i]);
    }
}

bool flow_dump(struct api_rq *rq, struct str what)
{
    struct flow *f = rq->api->flow;
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
    struct dump d = { .arena = rq->arena };
    if (!f)
        return false;
    if (str_is(what, "dump_priority_levels"))
        dump_levels(f, &d);
    else if (str_is(what, "dump_queues"))
        dump_queues(f, &d);
    else if (str_is(what, "dump_requests"))
        dump_requests(f, &d, str_find(http_query(rq->http), '=') > 0 && memmem(http_query(rq->http).at, http_query(rq->http).len, "includeRequestDetails=1", 23));
    else
        return false;
    write_dump(&d, &b);
    api_send_text(rq, b.failed || d.failed ? 500 : 200, "text/plain; charset=utf-8", buf_str(&b));
    return true;
}

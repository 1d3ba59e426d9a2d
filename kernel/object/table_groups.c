/* table_groups.c - cells of the kinds outside core: jobs, budgets, ingresses, slices, autoscalers, bindings, revisions. */
#include "base/clock.h"
#include "base/quantity.h"
#include "object/table.h"

static bool has_condition(const struct val *v, const char *type)
{
    struct val *list = json_path(v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), type))
                return str_is(json_str(c, "status"), "True");
    return false;
}

/* --- jobs --- */

struct val *cell_job_status(const struct cell_in *in, const char *arg)
{
    static const char *const rows[][2] = { { "Complete", "Complete" }, { "Failed", "Failed" }, { NULL, "Terminating" }, { "Suspended", "Suspended" },
                                           { "FailureTarget", "FailureTarget" }, { "SuccessCriteriaMet", "SuccessCriteriaMet" } };
    (void)arg;
    for (int i = 0; i < 6; i++)
        if (rows[i][0] ? has_condition(in->v, rows[i][0]) : json_path(in->v, "metadata.deletionTimestamp") != NULL)
            return cell_text(in, rows[i][1]);
    return cell_text(in, "Running");
}

struct val *cell_job_completions(const struct cell_in *in, const char *arg)
{
    long long done = json_int(in->v, "status.succeeded", 0), parallel = json_int(in->v, "spec.parallelism", 0);
    (void)arg;
    if (json_path(in->v, "spec.completions"))
        return cell_text(in, arena_printf(in->arena, "%lld/%lld", done, (long long)json_int(in->v, "spec.completions", 0)));
    if (parallel > 1)
        return cell_text(in, arena_printf(in->arena, "%lld/1 of %lld", done, parallel));
    return cell_text(in, arena_printf(in->arena, "%lld/1", done));
}

struct val *cell_job_duration(const struct cell_in *in, const char *arg)
{
    int64_t from, to = in->now_ns;
    struct str end = json_str(in->v, "status.completionTime");
    (void)arg;
    if (!clock_parse(json_str(in->v, "status.startTime"), &from))
        return cell_text(in, "");
    if (end.len)
        clock_parse(end, &to);
    return cell_text(in, table_human(in->arena, (to - from) / 1000000000LL));
}

/* --- policy, networking, discovery --- */

struct val *cell_int_or_string(const struct cell_in *in, const char *path)
{
    struct val *v = json_path(in->v, path);
    if (!v)
        return cell_text(in, "N/A");
    return v->type == VAL_INT ? cell_text(in, arena_printf(in->arena, "%lld", (long long)v->i)) : cell_str(in, val_str(v));
}

struct val *cell_ingress_hosts(const struct cell_in *in, const char *arg)
{
    struct val *rules = json_path(in->v, "spec.rules");
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    unsigned n = 0;
    (void)arg;
    if (val_is(rules, VAL_ARR))
        val_each(r, rules) {
            struct str host = json_str(r, "host");
            if (n == 3) {
                buf_printf(&b, " + %u more...", rules->n - 3);
                break;
            }
            if (host.len)
                buf_printf(&b, "%s" STR_FMT, n++ ? "," : "", STR_ARG(host));
        }
    return cell_str(in, b.len ? buf_str(&b) : STR("*"));
}

struct val *cell_ingress_address(const struct cell_in *in, const char *arg)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    (void)arg;
    table_set_join(in->arena, &b, table_balancer(in->arena, in->v));
    return cell_str(in, buf_str(&b));
}

struct val *cell_ingress_ports(const struct cell_in *in, const char *arg)
{
    struct val *tls = json_path(in->v, "spec.tls");
    (void)arg;
    return cell_text(in, tls && tls->n ? "80, 443" : "80");
}

struct val *cell_class_name(const struct cell_in *in, const char *annotation)
{
    struct str name = json_str(in->v, "metadata.name");
    bool is = str_is(val_str(json_get(json_path(in->v, "metadata.annotations"), str_of(annotation))), "true");
    return is ? cell_text(in, arena_printf(in->arena, STR_FMT " (default)", STR_ARG(name))) : cell_str(in, name);
}

struct val *cell_class_parameters(const struct cell_in *in, const char *arg)
{
    struct val *p = json_path(in->v, "spec.parameters");
    struct str group = json_str(p, "apiGroup");
    (void)arg;
    if (!p)
        return cell_text(in, "<none>");
    return cell_text(in, arena_printf(in->arena, STR_FMT "%s" STR_FMT "/" STR_FMT, STR_ARG(json_str(p, "kind")), group.len ? "." : "", STR_ARG(group),
                                      STR_ARG(json_str(p, "name"))));
}

/* The first three of a list, then how many more; "<unset>" for none. */
static void add_first(struct buf *b, unsigned *n, struct str s)
{
    if (*n < 3)
        buf_printf(b, "%s" STR_FMT, *n ? "," : "", STR_ARG(s));
    ++*n;
}

static struct val *first_three(const struct cell_in *in, struct buf *b, unsigned n)
{
    if (n > 3)
        buf_printf(b, " + %u more...", n - 3);
    return cell_str(in, b->len ? buf_str(b) : STR("<unset>"));
}

struct val *cell_slice_ports(const struct cell_in *in, const char *arg)
{
    struct val *list = json_get(in->v, STR("ports"));
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    unsigned n = 0;
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(p, list) {
            struct val *port = json_get(p, STR("port"));
            struct str name = json_str(p, "name");
            add_first(&b, &n, port ? str_of(arena_printf(in->arena, "%lld", (long long)port->i)) : json_get(p, STR("name")) ? name : STR("*"));
        }
    return first_three(in, &b, n);
}

struct val *cell_slice_endpoints(const struct cell_in *in, const char *arg)
{
    struct val *list = json_get(in->v, STR("endpoints"));
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    unsigned n = 0;
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(e, list) {
            struct val *addresses = json_get(e, STR("addresses"));
            if (val_is(addresses, VAL_ARR))
                val_each(x, addresses)
                    add_first(&b, &n, val_str(x));
        }
    return first_three(in, &b, n);
}

/* --- autoscalers --- */

static const char *measured(struct arena *a, const struct val *current, const struct val *target, bool resource)
{
    static const char *const members[] = { "averageValue", "value", "averageUtilization" };
    for (int i = 0; i < 3; i++) {
        struct val *want = json_get(target, str_of(members[i])), *have = json_get(current, str_of(members[i]));
        if (!want)
            continue;
        if (i == 2 && have)
            return arena_printf(a, "%lld%%/%lld%%", (long long)have->i, (long long)want->i);
        if (i == 2)
            return arena_printf(a, "<unknown>/%lld%%", (long long)want->i);
        struct str h = have ? val_str(have) : STR("<unknown>");
        return arena_printf(a, STR_FMT "/" STR_FMT "%s", STR_ARG(h), STR_ARG(val_str(want)), i == 0 && !resource ? " (avg)" : "");
    }
    return "<unknown>/<auto>";
}

static const char *metric_text(struct arena *a, const struct val *spec, const struct val *status)
{
    static const struct {
        const char *type, *member;
        bool resource;
    } rows[] = { { "External", "external", false }, { "Pods", "pods", true }, { "Object", "object", false }, { "Resource", "resource", true },
                 { "ContainerResource", "containerResource", true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_is(json_str(spec, "type"), rows[i].type))
            continue;
        struct val *s = json_get(spec, str_of(rows[i].member)), *c = json_get(json_get(status, str_of(rows[i].member)), STR("current"));
        const char *text = measured(a, c, json_get(s, STR("target")), rows[i].resource);
        struct str name = json_str(s, "name");
        return name.len ? arena_printf(a, STR_FMT ": %s", STR_ARG(name), text) : text;
    }
    return "<unknown type>";
}

struct val *cell_hpa_targets(const struct cell_in *in, const char *arg)
{
    struct val *specs = json_path(in->v, "spec.metrics"), *statuses = json_path(in->v, "status.currentMetrics");
    struct val *st = val_is(statuses, VAL_ARR) ? statuses->first : NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    unsigned n = 0;
    (void)arg;
    if (!val_is(specs, VAL_ARR) || !specs->n)
        return cell_text(in, "<none>");
    val_each(s, specs) {
        if (n++ < 2)
            buf_printf(&b, "%s%s", n > 1 ? ", " : "", metric_text(in->arena, s, st));
        st = st ? st->next : NULL;
    }
    if (n > 2)
        buf_printf(&b, " + %u more...", n - 2);
    return cell_str(in, buf_str(&b));
}

/* --- bindings, revisions, requests --- */

struct val *cell_reference(const struct cell_in *in, const char *path)
{
    struct val *r = json_path(in->v, path);
    return cell_text(in, arena_printf(in->arena, STR_FMT "/" STR_FMT, STR_ARG(json_str(r, "kind")), STR_ARG(json_str(r, "name"))));
}

struct val *cell_subjects(const struct cell_in *in, const char *kind)
{
    struct val *list = json_get(in->v, STR("subjects"));
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    if (val_is(list, VAL_ARR))
        val_each(s, list) {
            struct str ns = json_str(s, "namespace");
            bool account = str_is(json_str(s, "kind"), "ServiceAccount");
            if (!str_is(json_str(s, "kind"), kind))
                continue;
            buf_printf(&b, "%s" STR_FMT "%s" STR_FMT, b.len ? ", " : "", STR_ARG(ns), account ? "/" : "", STR_ARG(json_str(s, "name")));
        }
    return cell_str(in, buf_str(&b));
}

struct val *cell_controller(const struct cell_in *in, const char *arg)
{
    struct val *refs = json_path(in->v, "metadata.ownerReferences");
    (void)arg;
    if (val_is(refs, VAL_ARR))
        val_each(r, refs) {
            struct str group = json_str(r, "apiVersion"), kind = json_str(r, "kind");
            if (!json_bool(r, "controller", false))
                continue;
            group = str_find(group, '/') < 0 ? STR("") : str_cut(&group, '/');
            char *s = arena_printf(in->arena, STR_FMT "%s" STR_FMT "/" STR_FMT, STR_ARG(kind), group.len ? "." : "", STR_ARG(group),
                                   STR_ARG(json_str(r, "name")));
            for (size_t i = 0; s && i < kind.len; i++)
                s[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
            return cell_text(in, s);
        }
    return cell_text(in, "<none>");
}

static bool condition_there(const struct val *v, const char *type)
{
    struct val *list = json_path(v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), type))
                return true;
    return false;
}

struct val *cell_condition(const struct cell_in *in, const char *type)
{
    struct val *list = json_path(in->v, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), type))
                return cell_str(in, json_str(c, "status"));
    return cell_text(in, "?");
}

struct val *cell_maybe(const struct cell_in *in, const char *path)
{
    const struct val *v = json_path(in->v, path);
    return val_is(v, VAL_INT) ? val_of_int(in->arena, v->i) : cell_text(in, "<none>");
}

struct val *cell_csr_condition(const struct cell_in *in, const char *arg)
{
    bool denied = condition_there(in->v, "Denied"), approved = condition_there(in->v, "Approved");
    (void)arg;
    return cell_text(in, arena_printf(in->arena, "%s%s%s", denied ? "Denied" : approved ? "Approved" : "Pending",
                                      condition_there(in->v, "Failed") ? ",Failed" : "", json_str(in->v, "status.certificate").len ? ",Issued" : ""));
}

struct val *cell_parent(const struct cell_in *in, const char *path)
{
    struct val *ref = json_path(in->v, path);
    struct str group = json_str(ref, "group"), ns = json_str(ref, "namespace");
    if (!ref)
        return cell_text(in, "<none>");
    return cell_text(in, arena_printf(in->arena, STR_FMT "%s" STR_FMT "/" STR_FMT "%s" STR_FMT, STR_ARG(json_str(ref, "resource")), group.len ? "." : "",
                                      STR_ARG(group), STR_ARG(ns), ns.len ? "/" : "", STR_ARG(json_str(ref, "name"))));
}

struct val *cell_api_service(const struct cell_in *in, const char *arg)
{
    struct str ns = json_str(in->v, "spec.service.namespace"), name = json_str(in->v, "spec.service.name");
    (void)arg;
    return cell_text(in, json_path(in->v, "spec.service") ? arena_printf(in->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name)) : "Local");
}

struct val *cell_api_available(const struct cell_in *in, const char *arg)
{
    struct val *list = json_path(in->v, "status.conditions");
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(c, list)
        {
            struct str status = json_str(c, "status");
            if (!str_is(json_str(c, "type"), "Available"))
                continue;
            if (str_is(status, "True"))
                return cell_text(in, "True");
            return cell_text(in, arena_printf(in->arena, STR_FMT " (" STR_FMT ")", STR_ARG(status), STR_ARG(json_str(c, "reason"))));
        }
    return cell_text(in, "Unknown");
}

/* --- metrics --- */

struct val *cell_usage(const struct cell_in *in, const char *resource)
{
    struct val *own = json_get(json_get(in->v, STR("usage")), str_of(resource)), *containers = json_get(in->v, STR("containers"));
    struct quantity sum, one;
    char text[QUANTITY_TEXT];
    if (!quantity_parse(own ? val_str(own) : STR("0"), &sum))
        return cell_text(in, "");
    if (val_is(containers, VAL_ARR))
        val_each(c, containers)
            if (quantity_parse(val_str(json_get(json_get(c, STR("usage")), str_of(resource))), &one))
                sum = quantity_add(sum, one);
    return cell_str(in, str_n(text, quantity_format(sum, text)));
}

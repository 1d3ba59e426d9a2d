/* table_core.c - cells of services, nodes, events, volumes, quotas. */
#include "base/clock.h"
#include "object/table.h"

struct val *cell_data_count(const struct cell_in *in, const char *arg)
{
    struct val *d = json_get(in->v, STR("data")), *b = json_get(in->v, STR("binaryData"));
    (void)arg;
    return val_of_int(in->arena, (d ? d->n : 0) + (b ? b->n : 0));
}

struct val *cell_service_ports(const struct cell_in *in, const char *arg)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct val *list = json_path(in->v, "spec.ports");
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(p, list) {
            buf_printf(&b, "%s%lld", b.len ? "," : "", (long long)json_int(p, "port", 0));
            if (json_int(p, "nodePort", 0))
                buf_printf(&b, ":%lld", (long long)json_int(p, "nodePort", 0));
            buf_printf(&b, "/" STR_FMT, STR_ARG(json_str(p, "protocol")));
        }
    return cell_str(in, b.len ? buf_str(&b) : STR("<none>"));
}

static void add_comma(struct buf *b, struct str s)
{
    if (s.len) {
        buf_add_z(b, b->len ? "," : "");
        buf_add_str(b, s);
    }
}

struct val *cell_external_ip(const struct cell_in *in, const char *arg)
{
    struct str type = json_str(in->v, "spec.type");
    struct val *given = json_path(in->v, "spec.externalIPs");
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    bool balancer = str_is(type, "LoadBalancer");
    (void)arg;
    if (str_is(type, "ExternalName"))
        return cell_plain(in, "spec.externalName");
    if (balancer)
        table_set_join(in->arena, &b, table_balancer(in->arena, in->v));
    if (val_is(given, VAL_ARR))
        val_each(x, given)
            add_comma(&b, val_str(x));
    return b.len ? cell_str(in, buf_str(&b)) : cell_text(in, balancer ? "<pending>" : "<none>");
}

/* At most three, then how many more. */
struct val *cell_endpoints(const struct cell_in *in, const char *arg)
{
    struct val *subsets = json_get(in->v, STR("subsets"));
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    unsigned count = 0;
    (void)arg;
    if (!val_is(subsets, VAL_ARR) || !subsets->n)
        return cell_text(in, "<none>");
    val_each(s, subsets) {
        struct val *addresses = json_get(s, STR("addresses")), *ports = json_get(s, STR("ports"));
        struct val *p = val_is(ports, VAL_ARR) ? ports->first : NULL;
        if (!val_is(addresses, VAL_ARR))
            continue;
        do {
            val_each(x, addresses) {
                struct str ip = json_str(x, "ip");
                if (count++ >= 3)
                    continue;
                if (!p)
                    add_comma(&b, ip);
                else
                    buf_printf(&b, str_find(ip, ':') < 0 ? "%s" STR_FMT ":%lld" : "%s[" STR_FMT "]:%lld", b.len ? "," : "", STR_ARG(ip),
                               (long long)json_int(p, "port", 0));
            }
            p = p ? p->next : NULL;
        } while (p);
    }
    if (count > 3)
        buf_printf(&b, " + %u more...", count - 3);
    return cell_str(in, buf_str(&b));
}

struct val *cell_node_status(const struct cell_in *in, const char *arg)
{
    struct val *list = json_path(in->v, "status.conditions");
    const char *s = "Unknown";
    (void)arg;
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Ready"))
                s = str_is(json_str(c, "status"), "True") ? "Ready" : "NotReady";
    return cell_text(in, json_bool(in->v, "spec.unschedulable", false) ? arena_printf(in->arena, "%s,SchedulingDisabled", s) : s);
}

struct val *cell_node_roles(const struct cell_in *in, const char *arg)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    struct val *labels = json_path(in->v, "metadata.labels"), *set = val_new(in->arena, VAL_OBJ);
    (void)arg;
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels) {
            if (str_starts(val_key(l), STR("node-role.kubernetes.io/")))
                table_set_add(in->arena, set, str_skip(val_key(l), 24));
            else if (str_is(val_key(l), "kubernetes.io/role"))
                table_set_add(in->arena, set, val_str(l));
        }
    table_set_join(in->arena, &b, set);
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

struct val *cell_node_kernel(const struct cell_in *in, const char *arg)
{
    struct str v = json_str(in->v, "status.nodeInfo.kernelVersion"), arch = json_str(in->v, "status.nodeInfo.architecture");
    (void)arg;
    return cell_text(in, arena_printf(in->arena, arch.len ? STR_FMT " (" STR_FMT ")" : STR_FMT STR_FMT, STR_ARG(v.len ? v : STR("<unknown>")),
                                      STR_ARG(arch)));
}

struct val *cell_node_ip(const struct cell_in *in, const char *type)
{
    struct val *list = json_path(in->v, "status.addresses");
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if (str_is(json_str(x, "type"), type))
                return val_of_str(in->arena, json_str(x, "address"));
    return cell_text(in, "<none>");
}

/* By core's name, else by that of events.k8s.io. */
static struct str either(const struct cell_in *in, const char *core, const char *other)
{
    struct str s = json_str(in->v, core);
    return s.len ? s : json_str(in->v, other);
}

struct val *cell_event_part(const struct cell_in *in, const char *arg)
{
    return cell_str(in, arg ? either(in, "involvedObject.fieldPath", "regarding.fieldPath") : either(in, "message", "note"));
}

struct val *cell_event_object(const struct cell_in *in, const char *arg)
{
    struct str kind = either(in, "involvedObject.kind", "regarding.kind"), name = either(in, "involvedObject.name", "regarding.name");
    char *s = arena_printf(in->arena, STR_FMT "%s" STR_FMT, STR_ARG(kind), name.len ? "/" : "", STR_ARG(name));
    (void)arg;
    for (size_t i = 0; s && i < kind.len; i++)
        s[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
    return cell_text(in, s);
}

/* arg "first": since when; else when it was seen last. */
struct val *cell_event_age(const struct cell_in *in, const char *arg)
{
    const char *of_first = json_get(in->v, STR("regarding")) ? "deprecatedFirstTimestamp" : "firstTimestamp";
    const char *of_last = json_get(in->v, STR("regarding")) ? "deprecatedLastTimestamp" : "lastTimestamp";
    const char *first = json_str(in->v, of_first).len ? of_first : "eventTime";
    if (strcmp(arg, "first") == 0)
        return cell_age(in, first);
    if (json_get(in->v, STR("series")))
        return cell_age(in, "series.lastObservedTime");
    return cell_age(in, json_str(in->v, of_last).len ? of_last : first);
}

struct val *cell_event_count(const struct cell_in *in, const char *arg)
{
    int64_t n = json_int(in->v, "count", json_int(in->v, "deprecatedCount", 0));
    (void)arg;
    if (json_get(in->v, STR("series")))
        n = json_int(in->v, "series.count", 0);
    return val_of_int(in->arena, n ? n : 1);
}

struct val *cell_event_source(const struct cell_in *in, const char *arg)
{
    struct str who = either(in, "source.component", "deprecatedSource.component"), where = either(in, "source.host", "deprecatedSource.host");
    (void)arg;
    if (!who.len)
        who = either(in, "reportingComponent", "reportingController");
    if (!where.len)
        where = json_str(in->v, "reportingInstance");
    return cell_text(in, arena_printf(in->arena, STR_FMT "%s" STR_FMT, STR_ARG(who), where.len ? ", " : "", STR_ARG(where)));
}

/* --- quotas and volumes --- */

struct val *cell_quota(const struct cell_in *in, const char *arg)
{
    struct val *hard = json_path(in->v, "status.hard"), *used = json_path(in->v, "status.used");
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    bool limits = strcmp(arg, "limits") == 0;
    struct str last = STR_NONE;
    for (unsigned i = 0; val_is(hard, VAL_OBJ) && i < hard->n; i++) {
        const struct val *next = NULL;
        val_each(h, hard)
            if ((!last.at || str_cmp(val_key(h), last) > 0) && (!next || str_cmp(val_key(h), val_key(next)) < 0))
                next = h;
        if (!next)
            break;
        last = val_key(next);
        struct str u = val_str(json_get(used, last));
        if (str_starts(last, STR("limits.")) == limits)
            buf_printf(&b, "%s" STR_FMT ": " STR_FMT "/" STR_FMT, b.len ? ", " : "", STR_ARG(last), STR_ARG(u.len ? u : STR("0")),
                       STR_ARG(val_str(next)));
    }
    return cell_str(in, buf_str(&b));
}

struct val *cell_access_modes(const struct cell_in *in, const char *path)
{
    static const struct {
        const char *mode, *brief;
    } rows[] = { { "ReadWriteOnce", "RWO" }, { "ReadOnlyMany", "ROX" }, { "ReadWriteMany", "RWX" }, { "ReadWriteOncePod", "RWOP" } };
    struct val *list = json_path(in->v, path);
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    for (int i = 0; i < 4 && val_is(list, VAL_ARR); i++)
        val_each(m, list)
            if (str_is(val_str(m), rows[i].mode)) {
                add_comma(&b, str_of(rows[i].brief));
                break;
            }
    return cell_str(in, buf_str(&b));
}

struct val *cell_phase(const struct cell_in *in, const char *arg)
{
    (void)arg;
    return json_path(in->v, "metadata.deletionTimestamp") ? cell_text(in, "Terminating") : cell_plain(in, "status.phase");
}

struct val *cell_claim(const struct cell_in *in, const char *arg)
{
    struct val *ref = json_path(in->v, "spec.claimRef");
    (void)arg;
    if (!ref)
        return cell_text(in, "");
    return cell_text(in, arena_printf(in->arena, STR_FMT "/" STR_FMT, STR_ARG(json_str(ref, "namespace")), STR_ARG(json_str(ref, "name"))));
}

struct val *cell_claim_capacity(const struct cell_in *in, const char *arg)
{
    (void)arg;
    if (!json_str(in->v, "spec.volumeName").len)
        return cell_text(in, "");
    struct str s = json_str(in->v, "status.capacity.storage");
    return cell_str(in, s.len ? s : STR("0"));
}

struct val *cell_claim_modes(const struct cell_in *in, const char *arg)
{
    (void)arg;
    return json_str(in->v, "spec.volumeName").len ? cell_access_modes(in, "status.accessModes") : cell_text(in, "");
}

/* service_ip.c - a Service's address and its IPAddress belong together: what somebody changed or deleted is put right, and said. Keys: "ns/name" of
 * a Service, the address of an IPAddress. The API server makes and ends both at once: there is nothing to do while nobody interferes. */
#include <arpa/inet.h>

#include "addresses.h"
#include "base/json_scan.h"

#define MANAGED   "ipaddress.kubernetes.io/managed-by"
#define MANAGER   "ipallocator.k8s.io"
#define FAMILY    "ipaddress.kubernetes.io/ip-family"
#define LEAKED_NS (60 * NS_S)

/* --- ranges --- */

static bool parse(struct str s, unsigned char raw[16], unsigned *ret_bits)
{
    char text[INET6_ADDRSTRLEN];
    if (s.len >= sizeof text)
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    *ret_bits = memchr(text, ':', s.len) ? 128 : 32;
    return inet_pton(*ret_bits == 128 ? AF_INET6 : AF_INET, text, raw) == 1;
}

static bool holds(struct str cidr, struct str ip)
{
    unsigned char base[16], at[16];
    unsigned most, its;
    int64_t bits;
    struct str rest = cidr, head = str_cut(&rest, '/');
    if (!parse(head, base, &most) || !parse(ip, at, &its) || most != its || !str_int(rest, &bits) || bits < 0 || bits > most)
        return false;
    for (unsigned i = 0; i < bits; i++)
        if ((base[i / 8] ^ at[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

bool range_holds(const struct val *cidr, struct str ip)
{
    struct val *list = json_path(cidr, "spec.cidrs");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (holds(val_str(c), ip))
                return true;
    return false;
}

static const char *family_of(struct str ip)
{
    return str_find(ip, ':') >= 0 ? "IPv6" : "IPv4";
}

/* --- a Service --- */

static int make(struct ctl_run *r, struct str ip, const struct val *service)
{
    struct arena *a = r->arena;
    struct val *v = val_new(a, VAL_OBJ), *ref = json_obj(a, json_obj(a, v, STR("spec")), STR("parentRef"));
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), ip);
    meta_set_label(a, v, FAMILY, str_of(family_of(ip)));
    meta_set_label(a, v, MANAGED, STR(MANAGER));
    json_set_str(a, ref, STR("resource"), STR("services"));
    json_set_str(a, ref, STR("namespace"), meta_ns(service));
    json_set_str(a, ref, STR("name"), meta_name(service));
    return ctl_create(r, ADDRESSES, STR(""), v, NULL);
}

static int make_again(struct ctl_run *r, const struct val *address, const struct val *service)
{
    int rc = ctl_delete(r, ADDRESSES, address, NULL);
    return rc < 0 ? rc : make(r, meta_name(address), service);
}

static bool refers_to_service(const struct val *ref)
{
    return !json_str(ref, "group").len && str_is(json_str(ref, "resource"), "services");
}

static bool has_ip(const struct val *service, struct str ip)
{
    struct val *list = json_path(service, "spec.clusterIPs");
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if (str_eq(val_str(x), ip))
                return true;
    return false;
}

static int wrong_reference(struct ctl_run *r, const struct val *address, struct val *service)
{
    struct str ip = meta_name(address);
    ctl_event(r, service, "Warning", "ClusterIPNotAllocated", "the ClusterIP [%s]: " STR_FMT " for Service " STR_FMT "/" STR_FMT
              " has a wrong reference; repairing", family_of(ip), STR_ARG(ip), STR_ARG(meta_ns(service)), STR_ARG(meta_name(service)));
    return make_again(r, address, service);
}

static int check_address(struct ctl_run *r, const struct val *address, struct val *service)
{
    struct val *ref = json_path(address, "spec.parentRef"), *other;
    struct str ns = json_str(ref, "namespace"), name = json_str(ref, "name"), ip = meta_name(address);
    if (!refers_to_service(ref))
        return wrong_reference(r, address, service);
    if (!str_eq(ns, meta_ns(service)) || !str_eq(name, meta_name(service))) {
        int rc = ctl_get(r, SERVICES, ns, name, &other);
        if (rc < 0)
            return rc;
        if (!other)
            return wrong_reference(r, address, service);
        if (has_ip(other, ip))
            ctl_event(r, service, "Warning", "ClusterIPAlreadyAllocated",
                      "Cluster IP [%s]:" STR_FMT " was assigned to multiple services; please recreate service", family_of(ip), STR_ARG(ip));
        return 0;
    }
    bool labelled = str_is(meta_label(address, FAMILY), family_of(ip)) && str_is(meta_label(address, MANAGED), MANAGER);
    return labelled ? 0 : make_again(r, address, service);
}

static int check_ip(struct ctl_run *r, struct val *service, struct str ip)
{
    struct ctl_list ranges;
    struct val *address;
    bool inside = false;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = RANGES }, &ranges);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < ranges.n && !inside; i++)
        inside = range_holds(ranges.at[i], ip);
    if (!inside) {
        ctl_event(r, service, "Warning", "ClusterIPOutOfRange", "Cluster IP [%s]: " STR_FMT
                  " is not within any configured Service CIDR; please recreate service", family_of(ip), STR_ARG(ip));
        return 0;
    }
    rc = ctl_get(r, ADDRESSES, STR(""), ip, &address);
    if (rc < 0)
        return rc;
    if (address)
        return check_address(r, address, service);
    ctl_event(r, service, "Warning", "ClusterIPNotAllocated", "Cluster IP [%s]: " STR_FMT " is not allocated; repairing", family_of(ip), STR_ARG(ip));
    return make(r, ip, service);
}

static int run_service(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *service, *list;
    int rc = ctl_get(r, SERVICES, ns, name, &service);
    if (rc < 0 || !service || meta_deleting(service))
        return rc;
    list = json_path(service, "spec.clusterIPs");
    for (struct val *ip = val_is(list, VAL_ARR) ? list->first : NULL; ip && rc == 0; ip = ip->next)
        if (val_str(ip).len && !str_is(val_str(ip), "None"))
            rc = check_ip(r, service, val_str(ip));
    return rc;
}

/* --- an IPAddress --- */

static int run_address(struct ctl_run *r, struct str ip)
{
    struct val *address, *service;
    int rc = ctl_get(r, ADDRESSES, STR(""), ip, &address);
    if (rc < 0 || !address || !str_is(meta_label(address, MANAGED), MANAGER))
        return rc;
    struct val *ref = json_path(address, "spec.parentRef");
    struct str ns = json_str(ref, "namespace"), name = json_str(ref, "name");
    if (!refers_to_service(ref)) {
        ctl_event(r, address, "Warning", "IPAddressNotAllocated",
                  "IPAddress " STR_FMT " appears to have been modified, not referencing a Service &ParentReference{Group:" STR_FMT ",Resource:" STR_FMT
                  ",Namespace:" STR_FMT ",Name:" STR_FMT ",}: cleaning up", STR_ARG(ip), STR_ARG(json_str(ref, "group")),
                  STR_ARG(json_str(ref, "resource")), STR_ARG(ns), STR_ARG(name));
        return ctl_delete(r, ADDRESSES, address, NULL);
    }
    rc = ctl_get(r, SERVICES, ns, name, &service);
    if (rc < 0 || (service && has_ip(service, ip)))
        return rc;
    if (service) {
        ctl_event(r, address, "Warning", "IPAddressWrongReference", "IPAddress: " STR_FMT " for Service " STR_FMT "/" STR_FMT
                  " has a wrong reference; cleaning up", STR_ARG(ip), STR_ARG(ns), STR_ARG(name));
        return ctl_delete(r, ADDRESSES, address, NULL);
    }
    int64_t left = meta_time(address, "metadata.creationTimestamp") + LEAKED_NS - r->now_ns;
    if (left > 0) {
        ctl_again(r, left);
        return 0;
    }
    ctl_event(r, address, "Warning", "IPAddressNotAllocated", "IPAddress: " STR_FMT " for Service " STR_FMT "/" STR_FMT
              " appears to have leaked: cleaning up", STR_ARG(ip), STR_ARG(ns), STR_ARG(name));
    return ctl_delete(r, ADDRESSES, address, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    return ns.len ? run_service(r, ns, name) : run_address(r, name);
}

CTL_RUN(service_ip, run)

/* The address itself, and the Service that it names. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct str name = json_scan_text(json_scan_path(obj, "metadata.name")), ns = json_scan_text(json_scan_path(obj, "spec.parentRef.namespace"));
    struct str parent = json_scan_text(json_scan_path(obj, "spec.parentRef.name"));
    (void)r;
    (void)resource;
    (void)old;
    ctl_key_add(keys, STR(""), name);
    if (ns.len && parent.len)
        ctl_key_add(keys, ns, parent);
    return 0;
}

CTL_MAP(service_ip, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), SERVICES, NULL, NULL },
    { sizeof(struct kl_watch), ADDRESSES, NULL, "map" },
};
CTL_TABLE(service_ip, watches, service_ip_map);

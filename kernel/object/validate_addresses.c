/* validate_addresses.c - IPAddresses, the ranges that they come from, and APIServices: where groups are served. */
#include "object/validate.h"

#include <arpa/inet.h>

/* As the address would be written by who reads it. */
static bool is_canonical(struct str s, bool v6)
{
    unsigned char raw[16];
    char in[INET6_ADDRSTRLEN], out[INET6_ADDRSTRLEN];
    if (s.len >= sizeof in)
        return false;
    memcpy(in, s.at, s.len);
    in[s.len] = '\0';
    int family = v6 ? AF_INET6 : AF_INET;
    return inet_pton(family, in, raw) == 1 && inet_ntop(family, raw, out, sizeof out) && strcmp(in, out) == 0;
}

static void check_segment(causes c, const struct path *p, struct str s, bool required)
{
    if (s.len)
        check_name(c, p, s, G_PATH_SEGMENT);
    else if (required)
        say_required(c, p, NULL);
}

KIND_RULES(kind_ip_address)
{
    struct str name = json_str(v, "metadata.name");
    struct val *ref = json_path(v, "spec.parentRef");
    const struct path *p = IN(IN(NULL, "spec"), "parentRef"), *named = IN(IN(NULL, "metadata"), "name");
    bool v6 = false;
    if (old) {
        if (!val_equal(ref, json_path(old, "spec.parentRef")))
            say_immutable(c, p, ref);
        return;
    }
    if (!is_ip(name, &v6))
        say_invalid(c, named, name, words(c, "ParseAddr(\"" STR_FMT "\"): unable to parse IP", STR_ARG(name)));
    else if (!is_canonical(name, v6))
        say_invalid(c, named, name, "must be a canonical format IP address");
    if (!ref) {
        say_required(c, p, NULL);
        return;
    }
    if (json_str(ref, "group").len)
        check_name(c, IN(p, "group"), json_str(ref, "group"), G_SUBDOMAIN);
    check_segment(c, IN(p, "resource"), json_str(ref, "resource"), true);
    check_segment(c, IN(p, "name"), json_str(ref, "name"), true);
    check_segment(c, IN(p, "namespace"), json_str(ref, "namespace"), false);
}

/* No bits behind the prefix. */
static bool is_masked(struct str cidr, bool v6)
{
    unsigned char raw[16];
    char ip[INET6_ADDRSTRLEN];
    int64_t bits;
    struct str rest = cidr, head = str_cut(&rest, '/');
    if (head.len >= sizeof ip || !str_int(rest, &bits))
        return false;
    memcpy(ip, head.at, head.len);
    ip[head.len] = '\0';
    if (inet_pton(v6 ? AF_INET6 : AF_INET, ip, raw) != 1)
        return false;
    for (int64_t i = bits; i < (v6 ? 128 : 32); i++)
        if (raw[i / 8] >> (7 - i % 8) & 1)
            return false;
    return true;
}

static void check_ranges(causes c, const struct path *p, const struct val *list)
{
    bool v6[2] = { false, false };
    if (!val_is(list, VAL_ARR) || !list->n) {
        say_required(c, p, "at least one CIDR required");
        return;
    }
    if (list->n > 2) {
        say_invalid_val(c, p, list, "may only hold up to 2 values");
        return;
    }
    LIST_EACH (x, at, list)
        if (check_cidr(c, ITEM(p, at.i), val_str(x)) && is_cidr(val_str(x), &v6[at.i]) && !is_masked(val_str(x), v6[at.i]))
            say_invalid(c, ITEM(p, at.i), val_str(x), "must not have bits set beyond the prefix length");
    if (list->n == 2 && !c->n && v6[0] == v6[1])
        say_invalid_val(c, p, list, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
}

KIND_RULES(kind_service_cidr)
{
    struct val *list = json_path(v, "spec.cidrs"), *was = json_path(old, "spec.cidrs");
    const struct path *p = IN(IN(NULL, "spec"), "cidrs");
    if (!old) {
        check_ranges(c, p, list);
        return;
    }
    uint32_t n = list ? list->n : 0, had = was ? was->n : 0;
    if (n != had && !(had == 1 && n == 2)) {
        say_immutable(c, p, list);
        return;
    }
    const struct val *before = had ? was->first : NULL;
    LIST_EACH (x, at, list) {
        if (before && !val_equal(x, before))
            say_immutable(c, ITEM(p, at.i), x);
        before = before ? before->next : NULL;
    }
    if (n != had)
        check_ranges(c, p, list);
}

static void check_server(causes c, const struct path *p, const struct val *service)
{
    int64_t port = json_int(service, "port", 443);
    if (!json_str(service, "namespace").len)
        say_required(c, IN(p, "namespace"), NULL);
    if (!json_str(service, "name").len)
        say_required(c, IN(p, "name"), NULL);
    if (port < 1 || port > 65535)
        say_invalid_int(c, IN(p, "port"), port, "port is not valid: must be between 1 and 65535, inclusive");
}

KIND_RULES(kind_api_service)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *service = json_get(spec, STR("service"));
    struct str group = json_str(spec, "group"), version = json_str(spec, "version");
    const char *wanted = words(c, STR_FMT "." STR_FMT, STR_ARG(version), STR_ARG(group));
    int64_t group_priority = json_int(spec, "groupPriorityMinimum", 0), version_priority = json_int(spec, "versionPriority", 0);
    bool insecure = json_bool(spec, "insecureSkipTLSVerify", false), trusts = json_str(spec, "caBundle").len > 0;
    (void)old;
    check_only_name(c, json_get(v, STR("metadata")), wanted, words(c, "must be `spec.version+\".\"+spec.group`: \"%s\"", wanted));
    if (!group.len && !str_is(version, "v1"))
        say_required(c, IN(p, "group"), "only v1 may have an empty group and it better be legacy kube");
    if (group.len)
        check_name(c, IN(p, "group"), group, G_SUBDOMAIN);
    check_name(c, IN(p, "version"), version, G_LABEL_1035);
    if (group_priority < 1 || group_priority > 20000)
        say_invalid_int(c, IN(p, "groupPriorityMinimum"), group_priority, "must be positive and less than 20000");
    if (version_priority < 1 || version_priority > 1000)
        say_invalid_int(c, IN(p, "versionPriority"), version_priority, "must be positive and less than 1000");
    if (!service) {
        if (trusts)
            say_invalid(c, IN(p, "caBundle"), json_str(spec, "caBundle"), "local APIServices may not have a caBundle");
        if (insecure)
            say_invalid_val(c, IN(p, "insecureSkipTLSVerify"), json_get(spec, STR("insecureSkipTLSVerify")), "local APIServices may not have insecureSkipTLSVerify");
        return;
    }
    check_server(c, IN(p, "service"), service);
    if (insecure && trusts)
        say_invalid_val(c, IN(p, "insecureSkipTLSVerify"), json_get(spec, STR("insecureSkipTLSVerify")), "may not be true if caBundle is present");
}

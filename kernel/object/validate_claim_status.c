/* validate_claim_status.c - the status of a claim on devices: what was allocated, for whom it is reserved, what drivers say of their devices. */
#include <arpa/inet.h>
#include <ctype.h>

#include "object/validate.h"

#define RESULTS_MOST    32
#define CONFIG_MOST     64              /* of the class and of the claim */
#define RESERVED_MOST   256
#define CONDITIONS_MOST 8
#define DATA_MOST       (10 << 10)
#define INTERFACE_MOST  256
#define HARDWARE_MOST   128
#define IPS_MOST        16

/* --- which device --- */

static void check_share(causes c, const struct path *p, const struct val *id)
{
    struct str s = val_str(id);
    bool good = s.len == 36, lower = true;
    if (!id)
        return;
    for (size_t i = 0; i < s.len && good; i++) {
        unsigned char x = (unsigned char)s.at[i];
        good = i == 8 || i == 13 || i == 18 || i == 23 ? x == '-' : isxdigit(x) != 0;
        lower &= !isupper(x);
    }
    if (s.len != 36)
        say_invalid(c, p, s, words(c, "error validating uid: invalid UUID length: %zu", s.len));
    else if (!good)
        say_invalid(c, p, s, "error validating uid: invalid UUID format");
    else if (!lower)
        say_invalid(c, p, s, "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters");
}

static void check_where(causes c, const struct path *p, const struct val *device)
{
    check_driver(c, IN(p, "driver"), json_str(device, "driver"));
    check_pool_name(c, IN(p, "pool"), json_str(device, "pool"));
    check_name(c, IN(p, "device"), json_str(device, "device"), G_LABEL);
    check_share(c, IN(p, "shareID"), json_get(device, STR("shareID")));
}

/* One text of driver, pool, device and share. */
static struct str name_of(causes c, const struct val *device)
{
    char *s = arena_printf(c->arena, STR_FMT "/" STR_FMT "/" STR_FMT "\n" STR_FMT, STR_ARG(json_str(device, "driver")), STR_ARG(json_str(device, "pool")),
                           STR_ARG(json_str(device, "device")), STR_ARG(json_str(device, "shareID")));
    return str_of(s ? s : "");
}

static const struct val *shown(causes c, const struct val *device)
{
    static const char *const members[][2] = { { "driver", "Driver" }, { "pool", "Pool" }, { "device", "Device" }, { "shareID", "ShareID" } };
    struct val *v = val_new(c->arena, VAL_OBJ);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        json_set_str(c->arena, v, str_of(members[i][1]), json_str(device, members[i][0]));
    return v;
}

/* --- what was allocated --- */

static void check_results(causes c, const struct path *p, const struct val *list, const struct val *requests)
{
    if (!check_too_many(c, p, list, RESULTS_MOST))
        return;
    LIST_EACH (r, at, list) {
        const struct path *here = ITEM(p, at.i);
        check_request_name(c, IN(here, "request"), json_str(r, "request"), requests);
        check_where(c, here, r);
        check_binding_conditions(c, here, r);
    }
}

static void check_allocation(causes c, const struct path *p, const struct val *allocation, const struct val *requests)
{
    static const char *const sources[] = { "FromClaim", "FromClass", NULL };
    const struct path *devices = IN(p, "devices"), *configs = IN(devices, "config");
    const struct val *config = json_path(allocation, "devices.config"), *selector = json_get(allocation, STR("nodeSelector"));
    check_results(c, IN(devices, "results"), json_path(allocation, "devices.results"), requests);
    if (check_too_many(c, configs, config, CONFIG_MOST))
        LIST_EACH (x, at, config) {
            const struct path *here = ITEM(configs, at.i);
            if (check_required_str(c, IN(here, "source"), json_str(x, "source")))
                check_choice(c, IN(here, "source"), json_str(x, "source"), sources);
            check_request_names(c, IN(here, "requests"), json_get(x, STR("requests")), requests);
            check_opaque(c, here, x);
        }
    if (selector)
        check_node_selector(c, IN(p, "nodeSelector"), selector);
}

/* --- for whom --- */

static void check_reserved(causes c, const struct path *p, const struct val *list)
{
    static const char *const members[] = { "resource", "name", "uid" };
    _cleanup_met_ struct met uids = { 0 };
    if (!check_too_many(c, p, list, RESERVED_MOST))
        return;
    LIST_EACH (r, at, list)
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            check_required_str(c, IN(ITEM(p, at.i), members[i]), json_str(r, members[i]));
    LIST_EACH (r, at, list)
        if (met_again(&uids, json_str(r, "uid")))
            say_duplicate(c, ITEM(p, at.i), json_str(r, "uid"));
}

static bool has_new(const struct val *list, const struct val *was)
{
    LIST_EACH (r, at, list) {
        bool found = false;
        LIST_EACH (o, ot, was)
            found |= val_equal(r, o);
        if (!found)
            return true;
    }
    return false;
}

/* --- what drivers say --- */

static void check_address(causes c, const struct path *p, struct str s)
{
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    struct str bits = s, ip = str_cut(&bits, '/');
    char text[INET6_ADDRSTRLEN], plain[64];
    unsigned char raw[16];
    bool six = str_find(ip, ':') >= 0, four;
    int64_t n = 0;
    if (six)
        snprintf(plain, sizeof plain, STR_FMT, STR_ARG(ip));
    else
        ip_without_zeros(ip, plain);
    if (!bits.at || !str_int(bits, &n) || n < 0 || n > (six ? 128 : 32) || inet_pton(six ? AF_INET6 : AF_INET, plain, raw) != 1) {
        say_invalid(c, p, s, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)");
        return;
    }
    four = six && memcmp(raw, mapped, sizeof mapped) == 0;
    inet_ntop(six && !four ? AF_INET6 : AF_INET, four ? raw + 12 : raw, text, sizeof text);
    const char *best = words(c, "%s/%lld", text, (long long)(four && n > 32 ? n - 96 : n));
    if (!str_is(s, best))
        say_invalid(c, p, s, words(c, "must be in canonical form (\"%s\")", best));
}

static void check_network(causes c, const struct path *p, const struct val *network)
{
    const struct val *ips = json_get(network, STR("ips"));
    _cleanup_met_ struct met seen = { 0 };
    if (json_str(network, "interfaceName").len > INTERFACE_MOST)
        say_too_long(c, IN(p, "interfaceName"), INTERFACE_MOST, "bytes");
    if (json_str(network, "hardwareAddress").len > HARDWARE_MOST)
        say_too_long(c, IN(p, "hardwareAddress"), HARDWARE_MOST, "bytes");
    if (!check_too_many(c, IN(p, "ips"), ips, IPS_MOST))
        return;
    LIST_EACH (ip, at, ips)
        check_address(c, ITEM(IN(p, "ips"), at.i), val_str(ip));
    LIST_EACH (ip, at, ips)
        if (met_again(&seen, val_str(ip)))
            say_duplicate(c, ITEM(IN(p, "ips"), at.i), val_str(ip));
}

static void check_devices(causes c, const struct path *p, const struct val *list, const struct val *results)
{
    _cleanup_met_ struct met allocated = { 0 }, seen = { 0 };
    LIST_EACH (r, at, results)
        met_again(&allocated, name_of(c, r));
    LIST_EACH (d, at, list) {
        const struct path *here = ITEM(p, at.i);
        const struct val *conditions = json_get(d, STR("conditions")), *data = json_get(d, STR("data"));
        check_where(c, here, d);
        if (!met(&allocated, name_of(c, d)))
            say_invalid_val(c, here, shown(c, d), "must be an allocated device in the claim");
        check_too_many(c, IN(here, "conditions"), conditions, CONDITIONS_MOST);
        check_meta_conditions(c, IN(here, "conditions"), conditions);
        if (data && data->type != VAL_NULL)
            check_raw(c, IN(here, "data"), data, DATA_MOST);
        check_network(c, IN(here, "networkData"), json_get(d, STR("networkData")));
    }
    LIST_EACH (d, at, list)
        if (met_again(&seen, name_of(c, d)))
            say_duplicate_val(c, ITEM(p, at.i), shown(c, d), NULL);
}

KIND_RULES(status_device_claim)
{
    const struct path *p = IN(NULL, "status");
    const struct val *status = json_get(v, STR("status")), *was = json_get(old, STR("status"));
    const struct val *allocation = json_get(status, STR("allocation")), *before = json_get(was, STR("allocation"));
    const struct val *reserved = json_get(status, STR("reservedFor")), *requests = json_path(v, "spec.devices.requests");
    check_reserved(c, IN(p, "reservedFor"), reserved);
    check_devices(c, IN(p, "devices"), json_get(status, STR("devices")), json_path(allocation, "devices.results"));
    if (reserved && reserved->n && !allocation)
        say_forbidden(c, IN(p, "reservedFor"), "may not be specified when `allocated` is not set");
    else if (reserved && json_path(v, "metadata.deletionTimestamp") && has_new(reserved, json_get(was, STR("reservedFor"))))
        say_forbidden(c, IN(p, "reservedFor"), "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set");
    if (allocation && before)
        check_immutable(c, p, status, was, "allocation");
    else if (allocation)
        check_allocation(c, IN(p, "allocation"), allocation, requests);
}

/* validate_devices.c - slices of devices: what a driver publishes of a node's. */
#include "base/quantity.h"
#include "object/validate.h"

#define DEVICES_MOST          128
#define DEVICES_MOST_ADVANCED 64        /* of those with taints, counters or lists */
#define ATTRIBUTES_MOST       32        /* and capacities, together */
#define VALUES_MOST           48
#define VALUE_MOST            64
#define ID_MOST               32
#define TAINTS_MOST           16
#define CONDITIONS_MOST       4
#define COUNTER_SETS_MOST     8
#define CONSUMPTIONS_MOST     2
#define COUNTERS_MOST         32
#define POOL_MOST             253

/* --- names --- */

static void check_identifier(causes c, const struct path *p, struct str s)
{
    bool ok = s.len > 0;
    for (size_t i = 0; i < s.len && ok; i++) {
        char x = s.at[i];
        ok = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || x == '_' || (i && x >= '0' && x <= '9');
    }
    if (s.len > ID_MOST)
        say_too_long(c, p, ID_MOST, "bytes");
    if (!ok)
        say_invalid(c, p, s, "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. "
                    "'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')");
}

void check_attribute_name(causes c, const struct path *p, struct str name, bool full)
{
    struct str id = name, domain = str_cut(&id, '/');
    if (!id.at) {
        check_identifier(c, p, name);
        if (full)
            say_invalid(c, p, name, "a fully qualified name must be a domain and a name separated by a slash");
        return;
    }
    if (str_find(id, '/') >= 0)         /* upstream looks no further */
        return;
    if (!domain.len)
        say_invalid(c, p, STR(""), "the domain must not be empty");
    else
        check_driver(c, p, domain);
    if (!id.len)
        say_invalid(c, p, STR(""), "the name must not be empty");
    else
        check_identifier(c, p, id);
}

void check_pool_name(causes c, const struct path *p, struct str name)
{
    struct str rest = name;
    if (!check_required_str(c, p, name))
        return;
    if (name.len > POOL_MOST)
        say_too_long(c, p, POOL_MOST, "bytes");
    while (rest.at)
        check_name(c, p, str_cut(&rest, '/'), G_SUBDOMAIN);
}

static void check_pool(causes c, const struct path *p, const struct val *pool)
{
    int64_t slices = json_int(pool, "resourceSliceCount", 0), generation = json_int(pool, "generation", 0);
    check_pool_name(c, IN(p, "name"), json_str(pool, "name"));
    if (slices <= 0)
        say_invalid_int(c, IN(p, "resourceSliceCount"), slices, "must be greater than zero");
    if (generation < 0)
        say_invalid_int(c, IN(p, "generation"), generation, "must be greater than or equal to zero");
}

/* --- attributes --- */

static size_t digits(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
        n++;
    return n;
}

/* Words of letters, digits and dashes with dots between. Of a pre-release no number begins with a zero. */
static bool are_identifiers(struct str s, bool numbers_too)
{
    if (!s.at)
        return false;
    for (struct str rest = s; rest.at;) {
        struct str one = str_cut(&rest, '.');
        if (!one.len || (numbers_too && digits(one) == one.len && one.len > 1 && one.at[0] == '0'))
            return false;
        for (size_t i = 0; i < one.len; i++) {
            char x = one.at[i];
            if (!((x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '-'))
                return false;
        }
    }
    return true;
}

static bool is_version(struct str s)
{
    struct str build = s, core = str_cut(&build, '+'), before = core, numbers = str_cut(&before, '-');
    if ((build.at && !are_identifiers(build, false)) || (before.at && !are_identifiers(before, true)))
        return false;
    for (int i = 0; i < 3; i++) {
        struct str one = str_cut(&numbers, '.');
        if (!one.len || digits(one) != one.len || (one.len > 1 && one.at[0] == '0'))
            return false;
    }
    return !numbers.at;
}

static void check_text(causes c, const struct path *p, struct str s, bool version)
{
    if (version && !is_version(s))
        say_invalid(c, p, s, "must be a string compatible with semver.org spec 2.0.0");
    if (s.len > VALUE_MOST)
        say_too_long(c, p, VALUE_MOST, "bytes");
}

static void check_attribute(causes c, const struct path *p, const struct val *v)
{
    static const char *const plain[] = { "bool", "int", "string", "version" }, *const lists[] = { "bools", "ints", "strings", "versions" };
    unsigned n = 0;
    for (int i = 0; i < 4; i++) {
        const struct val *x = json_get(v, str_of(plain[i])), *list = json_get(v, str_of(lists[i]));
        n += (x != NULL) + (list != NULL);
        if (x && i >= 2)
            check_text(c, IN(p, plain[i]), val_str(x), i == 3);
        if (list && !list->n)
            say_invalid_val(c, IN(p, lists[i]), list, "must not be empty if specified");
        if (i >= 2)
            LIST_EACH (s, at, list)
                check_text(c, ITEM(IN(p, lists[i]), at.i), val_str(s), i == 3);
    }
    if (n == 0)
        say_invalid(c, p, STR(""), "exactly one value must be specified");
    else if (n > 1)
        say_invalid_val(c, p, v, "exactly one value must be specified");
}

static unsigned count_values(const struct val *attributes)
{
    static const char *const lists[] = { "bools", "ints", "strings", "versions" };
    unsigned n = 0;
    if (!val_is(attributes, VAL_OBJ))
        return 0;
    val_each(a, attributes) {
        unsigned here = 0;
        for (int i = 0; i < 4; i++) {
            const struct val *list = json_get(a, str_of(lists[i]));
            here += list ? list->n : 0;
        }
        n += here ? here : 1;
    }
    return n;
}

/* --- how capacity is shared --- */

static struct quantity amount(const struct val *v)
{
    struct quantity q = { 0 };
    quantity_parse(val_str(v), &q);
    return q;
}

static void check_valid_values(causes c, const struct path *p, const struct val *values, const struct val *usual, const struct val *most)
{
    bool found = false;
    const struct val *before = NULL;
    LIST_EACH (x, at, values) {
        if (before && quantity_cmp(amount(before), amount(x)) > 0)
            say_invalid(c, ITEM(p, at.i), val_str(x), "values must be sorted in ascending order");
        if (before && quantity_cmp(amount(before), amount(x)) == 0)
            say_duplicate(c, ITEM(p, at.i), val_str(x));
        if (quantity_cmp(amount(x), amount(most)) > 0)
            say_invalid(c, ITEM(p, at.i), val_str(x), words(c, "option is larger than capacity value: " STR_FMT, STR_ARG(val_str(most))));
        found |= quantity_cmp(amount(x), amount(usual)) == 0;
        before = x;
    }
    if (!found)
        say_invalid(c, p, val_str(usual), "default value is not valid according to the requestPolicy");
}

static void check_valid_range(causes c, const struct path *p, const struct val *range, const struct val *usual, const struct val *most)
{
    const struct val *min = json_get(range, STR("min")), *max = json_get(range, STR("max"));
    if (!min) {
        say_required(c, IN(p, "min"), "required when validRange is defined");
        return;
    }
    if (quantity_cmp(amount(min), amount(most)) > 0)
        say_invalid(c, IN(p, "min"), val_str(min), words(c, "min is larger than capacity value: " STR_FMT, STR_ARG(val_str(most))));
    if (quantity_cmp(amount(usual), amount(min)) < 0)
        say_invalid(c, IN(p, "min"), val_str(usual), words(c, "default is less than min: " STR_FMT, STR_ARG(val_str(min))));
    if (max && quantity_cmp(amount(min), amount(max)) > 0)
        say_invalid(c, IN(p, "max"), val_str(min), words(c, "min is larger than max: " STR_FMT, STR_ARG(val_str(max))));
    if (max && quantity_cmp(amount(max), amount(most)) > 0)
        say_invalid(c, IN(p, "max"), val_str(max), words(c, "max is larger than capacity value: " STR_FMT, STR_ARG(val_str(most))));
    if (max && quantity_cmp(amount(usual), amount(max)) > 0)
        say_invalid(c, IN(p, "max"), val_str(usual), words(c, "default is more than max: " STR_FMT, STR_ARG(val_str(max))));
}

static void check_capacity(causes c, const struct path *p, const struct val *v, bool shared)
{
    const struct val *policy = json_get(v, STR("requestPolicy")), *most = json_get(v, STR("value"));
    const struct val *values = json_get(policy, STR("validValues")), *range = json_get(policy, STR("validRange")), *usual = json_get(policy, STR("default"));
    const struct path *here = IN(p, "requestPolicy");
    bool some = values && values->n;
    if (!policy)
        return;
    if (!shared)
        say_forbidden(c, here, "allowMultipleAllocations must be true");
    else if (some && range)
        say_forbidden(c, here, "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time");
    else if ((some || range) && !usual)
        say_required(c, IN(here, "default"), some ? "required when validValues is defined" : "required when validRange is defined");
    else if (some)
        check_valid_values(c, IN(here, "validValues"), values, usual, most);
    else if (range)
        check_valid_range(c, IN(here, "validRange"), range, usual, most);
}

/* --- devices --- */

static void check_taints(causes c, const struct path *p, const struct val *list)
{
    static const char *const effects[] = { "NoExecute", "NoSchedule", "None", NULL };
    if (!check_too_many(c, p, list, TAINTS_MOST))
        return;
    LIST_EACH (t, at, list) {
        const struct path *here = ITEM(p, at.i);
        check_name(c, IN(here, "key"), json_str(t, "key"), G_QUALIFIED);
        if (json_str(t, "value").len)
            check_name(c, IN(here, "value"), json_str(t, "value"), G_LABEL_VALUE);
        if (check_required_str(c, IN(here, "effect"), json_str(t, "effect")))
            check_choice(c, IN(here, "effect"), json_str(t, "effect"), effects);
    }
}

static void check_counters(causes c, const struct path *p, const struct val *counters)
{
    if (!counters || !counters->n) {
        say_required(c, p, NULL);
        return;
    }
    if (check_too_many(c, p, counters, COUNTERS_MOST))
        val_each(x, counters)
            check_name(c, p, val_key(x), G_LABEL);
}

/* Sets of counters, or what a device takes of them: each set once. */
static void check_counter_sets(causes c, const struct path *p, const struct val *list, const char *key, unsigned most)
{
    _cleanup_met_ struct met names = { 0 };
    if (!check_too_many(c, p, list, most))
        return;
    LIST_EACH (x, at, list) {
        const struct path *here = ITEM(p, at.i);
        if (check_required_str(c, IN(here, key), json_str(x, key)))
            check_name(c, IN(here, key), json_str(x, key), G_LABEL);
        check_counters(c, IN(here, "counters"), json_get(x, STR("counters")));
    }
    LIST_EACH (x, at, list)
        if (met_again(&names, json_str(x, key)))
            say_duplicate(c, ITEM(p, at.i), json_str(x, key));
}

void check_binding_conditions(causes c, const struct path *p, const struct val *device)
{
    static const char *const members[] = { "bindingConditions", "bindingFailureConditions" };
    _cleanup_met_ struct met seen = { 0 }, failures = { 0 };
    const struct val *lists[2];
    for (int k = 0; k < 2; k++) {
        const struct path *here = IN(p, members[k]);
        lists[k] = json_get(device, str_of(members[k]));
        if (check_too_many(c, here, lists[k], CONDITIONS_MOST))
            LIST_EACH (x, at, lists[k])
                check_name(c, ITEM(here, at.i), val_str(x), G_QUALIFIED);
    }
    LIST_EACH (x, at, lists[0])
        if (met_again(&seen, val_str(x)))
            say_duplicate(c, ITEM(IN(p, members[0]), at.i), val_str(x));
    LIST_EACH (x, at, lists[1]) {
        const struct path *here = ITEM(IN(p, members[1]), at.i);
        if (met_again(&failures, val_str(x)))
            say_duplicate(c, here, val_str(x));
        if (met(&seen, val_str(x)))
            say_invalid(c, here, val_str(x), "bindingFailureConditions must not overlap with bindingConditions");
    }
    bool some = lists[0] && lists[0]->n, failure = lists[1] && lists[1]->n;
    if (!some && failure)
        say_invalid_val(c, IN(p, members[0]), lists[0], "bindingConditions are required to use bindingFailureConditions");
    if (some && !failure)
        say_invalid_val(c, IN(p, members[1]), lists[1], "bindingFailureConditions are required to use bindingConditions");
}

/* Where the devices are: exactly one of these is said, of the slice or of each device. */
struct place {
    const char *member;
    bool flag;
};

static void check_one_term(causes c, const struct path *p, const struct val *selector)
{
    const struct val *terms = json_get(selector, STR("nodeSelectorTerms"));
    check_node_selector(c, p, selector);
    if (!terms || terms->n != 1)
        say_invalid_val(c, IN(p, "nodeSelectorTerms"), terms, "must have exactly one node selector term");
}

static void check_places(causes c, const struct path *p, const struct val *v, const struct place *places, unsigned n, const char *why)
{
    unsigned set = 0;
    _cleanup_buf_ struct buf names = BUF_INIT(1024);
    for (unsigned i = 0; i < n; i++) {
        const struct val *x = json_get(v, str_of(places[i].member));
        bool empty = places[i].flag ? !json_bool(v, places[i].member, false) : x && x->type == VAL_STR && !x->n;
        if (!x)
            continue;
        if (empty) {
            say_invalid_val(c, IN(p, places[i].member), x, places[i].flag ? "must be either unset or set to true" : "must be either unset or set to a non-empty string");
            continue;
        }
        buf_printf(&names, "%s`%s`", set++ ? ", " : "", places[i].member);
        if (x->type == VAL_STR)
            check_name(c, IN(p, places[i].member), val_str(x), G_SUBDOMAIN);
        else if (x->type == VAL_OBJ)
            check_one_term(c, IN(p, places[i].member), x);
    }
    if (!set)
        say_required(c, p, why);
    else if (set > 1)
        say_invalid(c, p, str_of(words(c, "{%s}", names.at ? names.at : "")), words(c, "%s, but multiple fields are set", why));

}

static void check_device(causes c, const struct path *p, const struct val *d, bool per_device)
{
    static const struct place places[] = { { "nodeName", false }, { "nodeSelector", false }, { "allNodes", true } };
    const struct val *attributes = json_get(d, STR("attributes")), *capacity = json_get(d, STR("capacity"));
    unsigned n = (attributes ? attributes->n : 0) + (capacity ? capacity->n : 0);
    check_name(c, IN(p, "name"), json_str(d, "name"), G_LABEL);
    if (n > ATTRIBUTES_MOST)
        say_invalid_int(c, p, n, words(c, "the total number of attributes and capacities must not exceed %d", ATTRIBUTES_MOST));
    if (count_values(attributes) > VALUES_MOST)
        say_invalid_int(c, p, count_values(attributes), words(c, "the total number of attribute values must not exceed %d", VALUES_MOST));
    if (val_is(attributes, VAL_OBJ))
        val_each(a, attributes) {
            check_attribute_name(c, IN(p, "attributes"), val_key(a), false);
            check_attribute(c, KEY(IN(p, "attributes"), val_key(a)), a);
        }
    if (val_is(capacity, VAL_OBJ))
        val_each(a, capacity) {
            check_attribute_name(c, IN(p, "capacity"), val_key(a), false);
            check_capacity(c, KEY(IN(p, "capacity"), val_key(a)), a, json_bool(d, "allowMultipleAllocations", false));
        }
    check_taints(c, IN(p, "taints"), json_get(d, STR("taints")));
    check_counter_sets(c, IN(p, "consumesCounters"), json_get(d, STR("consumesCounters")), "counterSet", CONSUMPTIONS_MOST);
    if (per_device)
        check_places(c, p, d, places, 3, "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the "
                     "ResourceSlice spec");
    else if (json_get(d, STR("nodeName")) || json_get(d, STR("nodeSelector")) || json_get(d, STR("allNodes")))
        say_invalid_val(c, p, NULL, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec");
    check_binding_conditions(c, p, d);
}

static bool is_advanced(const struct val *devices)
{
    LIST_EACH (d, at, devices) {
        const struct val *attributes = json_get(d, STR("attributes"));
        if (json_get(d, STR("taints")) || json_get(d, STR("consumesCounters")))
            return true;
        if (val_is(attributes, VAL_OBJ))
            val_each(a, attributes)
                if (json_get(a, STR("bools")) || json_get(a, STR("ints")) || json_get(a, STR("strings")) || json_get(a, STR("versions")))
                    return true;
    }
    return false;
}

KIND_RULES(kind_device_slice)
{
    static const struct place places[] = { { "nodeName", false }, { "nodeSelector", false }, { "allNodes", true }, { "perDeviceNodeSelection", true } };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec")), *devices = json_get(spec, STR("devices"));
    _cleanup_met_ struct met names = { 0 };
    check_driver(c, IN(p, "driver"), json_str(spec, "driver"));
    check_pool(c, IN(p, "pool"), json_get(spec, STR("pool")));
    if (old) {
        check_immutable_str(c, IN(p, "pool"), json_get(spec, STR("pool")), json_get(was, STR("pool")), "name");
        check_immutable_str(c, p, spec, was, "driver");
        check_immutable(c, p, spec, was, "nodeName");
    }
    check_places(c, p, spec, places, 4, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required");
    if (json_get(spec, STR("sharedCounters")) && devices)
        say_invalid(c, p, STR(""), "only one of `sharedCounters` or `devices` is allowed");
    if (check_too_many(c, IN(p, "devices"), devices, is_advanced(devices) ? DEVICES_MOST_ADVANCED : DEVICES_MOST)) {
        LIST_EACH (d, at, devices)
            check_device(c, ITEM(IN(p, "devices"), at.i), d, json_bool(spec, "perDeviceNodeSelection", false));
        LIST_EACH (d, at, devices)
            if (met_again(&names, json_str(d, "name")))
                say_duplicate(c, ITEM(IN(p, "devices"), at.i), json_str(d, "name"));
    }
    check_counter_sets(c, IN(p, "sharedCounters"), json_get(spec, STR("sharedCounters")), "name", COUNTER_SETS_MOST);
}

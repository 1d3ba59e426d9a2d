/* validate_core.c - core's smaller kinds: configuration, namespaces, nodes, events. */
#include "object/validate.h"

#define DATA_MOST (1 << 20)

/* --- ConfigMap and Secret --- */

static void check_keys(causes c, const struct path *p, const struct val *data)
{
    if (val_is(data, VAL_OBJ))
        val_each(d, data)
            check_name(c, KEY(p, val_key(d)), val_key(d), G_CONFIG_KEY);
}

/* Bytes in all values; encoded: they stand there in base64. */
static size_t data_size(const struct val *data, bool encoded)
{
    size_t n = 0;
    if (val_is(data, VAL_OBJ))
        val_each(d, data)
            n += encoded ? base64_decoded(val_str(d)) : d->n;
    return n;
}

static void check_frozen(causes c, const struct val *v, const struct val *old)
{
    static const char *const members[] = { "data", "binaryData" };
    if (!json_bool(old, "immutable", false))
        return;
    if (!json_bool(v, "immutable", false))
        say_forbidden(c, IN(NULL, "immutable"), "field is immutable when `immutable` is set");
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(v, str_of(members[i])), *y = json_get(old, str_of(members[i]));
        if (!val_equal(x, y) && ((x && x->n) || (y && y->n)))
            say_forbidden(c, IN(NULL, members[i]), "field is immutable when `immutable` is set");
    }
}

KIND_RULES(kind_config_map)
{
    struct val *data = json_get(v, STR("data")), *binary = json_get(v, STR("binaryData"));
    check_frozen(c, v, old);
    check_keys(c, IN(NULL, "data"), data);
    if (val_is(data, VAL_OBJ))
        val_each(d, data)
            if (json_get(binary, val_key(d)))
                say_invalid(c, KEY(IN(NULL, "data"), val_key(d)), val_key(d), "duplicate of key present in binaryData");
    check_keys(c, IN(NULL, "binaryData"), binary);
    if (data_size(data, false) + data_size(binary, true) > DATA_MOST)
        say_too_long(c, IN(NULL, "[]"), DATA_MOST, "bytes");
}

static const struct {
    const char *type, *key;
    int json;                           /* its value is an object in JSON */
} secret_rows[] = {
    { "kubernetes.io/dockercfg", ".dockercfg", 1 },        { "kubernetes.io/dockerconfigjson", ".dockerconfigjson", 1 },
    { "kubernetes.io/ssh-auth", "ssh-privatekey", 0 },     { "kubernetes.io/tls", "tls.crt", 0 },
    { "kubernetes.io/tls", "tls.key", 0 },
};

static void check_json(causes c, const struct path *p, struct str encoded)
{
    struct kl_err err;
    kl_err_init(&err);
    char *room = arena_alloc(c->arena, base64_decoded(encoded) + 1);
    if (!room)
        return;
    size_t n = base64_decode(encoded, room);
    struct val *v = json_parse(c->arena, str_n(room, n), &err);
    if (!v)
        say_invalid(c, p, STR("<secret contents redacted>"), n ? err.msg : "unexpected end of JSON input");
    else if (v->type != VAL_OBJ && v->type != VAL_NULL)
        say_invalid(c, p, STR("<secret contents redacted>"), "json: cannot unmarshal value into Go value of type map[string]interface {}");
}

static void check_secret_type(causes c, const struct val *v)
{
    struct str type = json_str(v, "type");
    struct val *data = json_get(v, STR("data"));
    for (size_t i = 0; i < sizeof secret_rows / sizeof *secret_rows; i++) {
        struct val *x = json_get(data, str_of(secret_rows[i].key));
        const struct path *here = KEY(IN(NULL, "data"), str_of(secret_rows[i].key));
        if (!str_is(type, secret_rows[i].type))
            continue;
        if (!x || (i == 2 && !x->n))
            say_required(c, here, NULL);
        else if (secret_rows[i].json)
            check_json(c, here, val_str(x));
    }
    if (str_is(type, "kubernetes.io/basic-auth") && !json_get(data, STR("username")) && !json_get(data, STR("password"))) {
        say_required(c, KEY(IN(NULL, "data"), STR("username")), NULL);
        say_required(c, KEY(IN(NULL, "data"), STR("password")), NULL);
    }
    if (str_is(type, "kubernetes.io/service-account-token") &&
        !val_str(json_get(json_path(v, "metadata.annotations"), STR("kubernetes.io/service-account.name"))).len)
        say_required(c, KEY(IN(IN(NULL, "metadata"), "annotations"), STR("kubernetes.io/service-account.name")), NULL);
}

KIND_RULES(kind_secret)
{
    struct val *data = json_get(v, STR("data"));
    if (old)
        check_immutable_str(c, NULL, v, old, "type");
    check_frozen(c, v, old);
    check_keys(c, IN(NULL, "data"), data);
    if (data_size(data, true) > DATA_MOST)
        say_too_long(c, IN(NULL, "data"), DATA_MOST, "bytes");
    check_secret_type(c, v);
}

/* --- namespaces, accounts --- */

/* Only finalize changes them, and tells which one is wrong. */
KIND_RULES(kind_namespace)
{
    const struct path *p = IN(IN(NULL, "spec"), "finalizers");
    LIST_EACH (f, at, json_path(v, "spec.finalizers")) {
        const struct path *here = old ? ITEM(p, at.i) : p;
        check_name(c, here, val_str(f), G_QUALIFIED);
        if (str_find(val_str(f), '/') < 0 && !str_is(val_str(f), "kubernetes"))
            say_invalid(c, here, val_str(f), "name is neither a standard finalizer name nor is it fully qualified");
    }
}

KIND_RULES(kind_service_account)
{
    (void)c;
    (void)v;
    (void)old;
}

/* --- nodes --- */

static void check_taints(causes c, const struct path *p, const struct val *taints)
{
    static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute", NULL };
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (t, at, taints) {
        const struct path *here = ITEM(p, at.i);
        struct str effect = json_str(t, "effect"), key = json_str(t, "key"), value = json_str(t, "value");
        const char *texts[4];
        check_name(c, IN(here, "key"), key, G_QUALIFIED);
        unsigned n = name_errors(c->arena, value, G_LABEL_VALUE, texts, 4);
        if (n)
            say_invalid(c, IN(here, "value"), value, n == 1 ? texts[0] : words(c, "%s;%s", texts[0], texts[1]));
        if (check_required_str(c, IN(here, "effect"), effect))
            check_choice(c, IN(here, "effect"), effect, effects);
        if (met_again(&seen, str_of(words(c, STR_FMT "\1" STR_FMT, STR_ARG(key), STR_ARG(effect))))) {
            struct val *shown = val_new(c->arena, VAL_OBJ);
            json_set_str(c->arena, shown, STR("Key"), key);
            json_set_str(c->arena, shown, STR("Value"), value);
            json_set_str(c->arena, shown, STR("Effect"), effect);
            json_set(c->arena, shown, STR("TimeAdded"), val_new(c->arena, VAL_NULL));
            say_duplicate_val(c, here, shown, "taints must be unique by key and effect pair");
        }
    }
}

static void check_node_kept(causes c, const struct val *spec, const struct val *was)
{
    const struct path *p = IN(NULL, "spec");
    struct val *now_cidrs = json_get(spec, STR("podCIDRs")), *cidrs = json_get(was, STR("podCIDRs"));
    struct str id = json_str(was, "providerID");
    if (cidrs && cidrs->n && !val_equal(now_cidrs, cidrs))
        say_forbidden(c, IN(p, "podCIDRs"), "node updates may not change podCIDR except from \"\" to valid");
    if (id.len && !str_eq(id, json_str(spec, "providerID")))
        say_forbidden(c, IN(p, "providerID"), "node updates may not change providerID except from \"\" to valid");
    check_taints(c, IN(IN(NULL, "metadata"), "taints"), json_get(spec, STR("taints")));     /* once more, as upstream does */
    if (!str_eq(json_str(spec, "externalID"), json_str(was, "externalID")))
        say_forbidden(c, IN(p, "externalID"), "may not be updated");
}

KIND_RULES(kind_node)
{
    struct val *spec = json_get(v, STR("spec")), *cidrs = json_get(spec, STR("podCIDRs"));
    const struct path *p = IN(NULL, "spec");
    check_taints(c, IN(IN(NULL, "metadata"), "taints"), json_get(spec, STR("taints")));
    LIST_EACH (x, at, cidrs)
        check_cidr(c, ITEM(IN(p, "podCIDRs"), at.i), val_str(x));
    if (cidrs && cidrs->n > 1) {
        bool a = false, b = false;
        if (is_cidr(val_str(cidrs->first), &a) && is_cidr(val_str(cidrs->last), &b) && (a == b || cidrs->n > 2))
            say_invalid_val(c, IN(p, "podCIDRs"), cidrs, "may specify no more than one CIDR for each IP family");
    }
    if (old)
        check_node_kept(c, spec, json_get(old, STR("spec")));
}

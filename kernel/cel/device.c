/* device.c - see device.h. */
#include "cel/device.h"

#include "cel/cel-internal.h"

/* device: driver, attributes and capacity by domain and name, allowMultipleAllocations. */
#define MANY 32                         /* attributes and capacities of a device; sizes are the API's limits */
static const struct cel_type domain_text = { .kind = CEL_STRING, .max_elements = 63 }, id_text = { .kind = CEL_STRING, .max_elements = 32 },
                             truth = { .kind = CEL_BOOL, .max_elements = 1 }, any = { .kind = CEL_DYN, .max_elements = 64 }, quantity = { .kind = CEL_QUANTITY },
                             any_map = { .kind = CEL_MAP, .a = &id_text, .b = &any, .max_elements = MANY },
                             quantity_map = { .kind = CEL_MAP, .a = &id_text, .b = &quantity, .max_elements = MANY },
                             attributes = { .kind = CEL_MAP, .a = &domain_text, .b = &any_map, .max_elements = MANY },
                             capacity = { .kind = CEL_MAP, .a = &domain_text, .b = &quantity_map, .max_elements = MANY };
static const struct cel_field device_fields[] = {
    { "driver", "driver", &domain_text }, { "attributes", "attributes", &attributes }, { "capacity", "capacity", &capacity },
    { "allowMultipleAllocations", "allowMultipleAllocations", &truth },
};
static const struct cel_type device_type = { .kind = CEL_STRUCT, .name = "kubernetes.DRADevice", .fields = device_fields, .n_fields = 4 };

struct cel_program *cel_device_compile(struct arena *a, struct str s, const char **ret_why)
{
    static const struct cel_var vars[] = { { "device", &device_type } };
    const char *why = NULL;
    struct cel_program *program = cel_compile(a, s, vars, 1, CEL_BIND, &why);
    if (!program)
        *ret_why = arena_printf(a, "compilation failed: %s", why ? why : "out of memory");
    else if (!cel_result_is(program, CEL_BOOL))
        *ret_why = arena_printf(a, "must evaluate to bool or the unknown type, not %s", cel_type_text(a, cel_result(program)));
    else
        return program;
    return NULL;
}

/* --- a device --- */

/* By domain, and of a domain that the device knows nothing of an empty map. */
struct domains {
    struct cel_lazy lazy;
    struct cel_val known, none;
};

struct cel_device {
    struct cel_lazy lazy;
    struct cel_val driver, shared;
    struct domains attributes, capacity;
};

static bool get_domain(void *ctx, struct str name, struct cel_val *ret)
{
    const struct domains *d = ctx;
    if (!map_lookup(NULL, &d->known, val_text(name), ret))
        *ret = d->none;
    return true;
}

static bool get_field(void *ctx, struct str name, struct cel_val *ret)
{
    const struct cel_device *d = ctx;
    if (str_is(name, "driver"))
        *ret = d->driver;
    else if (str_is(name, "allowMultipleAllocations"))
        *ret = d->shared;
    else if (str_is(name, "attributes"))
        *ret = cel_of_lazy(&d->attributes.lazy);
    else if (str_is(name, "capacity"))
        *ret = cel_of_lazy(&d->capacity.lazy);
    else
        return false;
    return true;
}

static struct cel_val attribute_of(struct arena *a, const struct val *v)
{
    const struct val *x;
    if ((x = json_get(v, STR("int"))))
        return val_int(x->i);
    if ((x = json_get(v, STR("bool"))))
        return val_bool(x->i != 0);
    if ((x = json_get(v, STR("string"))))
        return val_text(val_str(x));
    if ((x = json_get(v, STR("version"))))
        return val_semver_text(a, val_str(x));
    return cel_error(a, "unsupported attribute value");
}

static struct cel_val capacity_of(struct arena *a, const struct val *v)
{
    return val_quantity_text(a, json_str(v, "value"));
}

/* NULL, or why one of its values is none. */
static const char *fill(struct cel_ctx *c, struct domains *d, struct str driver, const struct val *list, struct cel_val (*value)(struct arena *, const struct val *))
{
    d->known = map_new(c);
    d->none = map_new(c);
    d->lazy = (struct cel_lazy){ get_domain, d, &d->known };
    if (!val_is(list, VAL_OBJ))
        return NULL;
    val_each(x, list) {
        struct str id = val_key(x), domain = str_cut(&id, '/');
        if (!id.at) {
            id = domain;
            domain = driver;
        }
        struct cel_val v = value(c->arena, x), in;
        if (is_error(v))
            return arena_printf(c->arena, "attribute " STR_FMT ": " STR_FMT, STR_ARG(val_key(x)), STR_ARG(v.s));
        if (!map_lookup(c, &d->known, val_text(domain), &in))
            in = map_new(c);
        if (is_error(in) || !map_put_last(c, &in, val_text(id), v) || !map_put_last(c, &d->known, val_text(domain), in))
            return "out of memory";
    }
    return NULL;
}

const struct cel_device *cel_device_new(struct arena *a, struct str driver, const struct val *v, const char **ret_why)
{
    struct cel_device *d = arena_alloc(a, sizeof *d);
    struct cel_ctx c = { .arena = a };
    *ret_why = "out of memory";
    if (!d)
        return NULL;
    d->lazy = (struct cel_lazy){ get_field, d, NULL };
    d->driver = val_text(driver);
    d->shared = val_bool(json_bool(v, "allowMultipleAllocations", false));
    const char *why = fill(&c, &d->attributes, driver, json_get(v, STR("attributes")), attribute_of);
    if (!why)
        why = fill(&c, &d->capacity, driver, json_get(v, STR("capacity")), capacity_of);
    *ret_why = why;
    return why ? NULL : d;
}

int cel_device_matches(const struct cel_program *p, const struct cel_device *d, struct arena *scratch, const char **ret_why)
{
    struct cel_val vars[] = { cel_of_lazy(&d->lazy) };
    struct cel_run run = { .arena = scratch, .vars = vars, .limit = CEL_DEVICE_COST };
    struct cel_val v = cel_eval(p, &run);
    if (v.kind == CEL_BOOL)
        return v.b;
    *ret_why = v.kind == CEL_ERROR ? arena_dup(scratch, v.s) : "CEL result could not be converted to bool";
    return -1;
}

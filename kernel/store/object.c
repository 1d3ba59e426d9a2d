/* object.c - the counted, immutable object. */
#include "base/json_scan.h"
#include "base/slab.h"
#include "store-internal.h"

#define MOST_OWNERS 1000                 /* fits its bits: store-internal.h */

static struct str text_of(const struct store_object *o, uint32_t at, uint32_t len)
{
    return str_n((const char *)o + at, len);
}

enum { UID, OWNERS, LABELS, SPEC, STATUS, NODE, MANAGED, N_PARTS };
static const char *const parts[N_PARTS] = { "metadata.uid", "metadata.ownerReferences", "metadata.labels", "spec", "status", "spec.nodeName",
                                            "metadata.managedFields" };

static unsigned scan_owners(struct str json, struct str refs, struct owner_ref *ret)
{
    struct str ref;
    unsigned n = 0;
    while (refs.at && n < MOST_OWNERS && json_scan_item(&refs, &ref)) {
        struct str uid = json_scan_text(json_scan_member(ref, STR("uid")));
        if (uid.len && ret)
            ret[n] = (struct owner_ref){ (uint32_t)(uid.at - json.at), (uint32_t)uid.len };
        n += uid.len != 0;
    }
    return n;
}

static uint32_t place_of(struct str json, struct str part)
{
    return part.at ? (uint32_t)(part.at - json.at) : 0;
}

/* Where managedFields stand behind all else of the metadata, as in the declared order; custom resources have their members by name. */
static uint32_t managed_behind(struct str json, struct str managed, struct str uid)
{
    return managed.at > uid.at ? place_of(json, managed) : 0;
}

struct store_object *object_new(const struct store_op *op, uint64_t revision)
{
    struct str json = op->json, found[N_PARTS];
    json_scan_paths(json, parts, N_PARTS, found);
    struct str uid = found[UID].at ? json_scan_text(found[UID]) : STR_NONE;
    unsigned n_owners = scan_owners(json, found[OWNERS], NULL);
    if (op->ns.len > UINT16_MAX || op->name.len > UINT16_MAX || json.len > UINT32_MAX / 2 || uid.len > UINT16_MAX)
        return NULL;
    size_t head = sizeof(struct store_object) + n_owners * sizeof(struct owner_ref);
    struct store_object *o = slab_alloc(head + op->ns.len + op->name.len + json.len + 1);
    if (!o)
        return NULL;
    char *text = (char *)o + head;
    *o = (struct store_object){ .refs = 1, .json_len = (uint32_t)json.len, .ns_len = (uint16_t)op->ns.len,
                                .name_len = (uint16_t)op->name.len, .n_owners = n_owners & 1023u, .revision = revision,
                                .json_at = (uint32_t)(head + op->ns.len + op->name.len), .uid_len = (uint16_t)uid.len,
                                .uid_at = uid.len ? place_of(json, uid) : 0,
                                .places = { sizeof o->places, place_of(json, found[LABELS]), place_of(json, found[OWNERS]),
                                            place_of(json, found[SPEC]), place_of(json, found[STATUS]), place_of(json, found[NODE]),
                                            managed_behind(json, found[MANAGED], found[UID]) } };
    if (n_owners)
        scan_owners(json, found[OWNERS], o->owners);
    memcpy(text, op->ns.at ? op->ns.at : "", op->ns.len);
    memcpy(text + op->ns.len, op->name.at, op->name.len);
    memcpy(text + op->ns.len + op->name.len, json.at, json.len);
    text[op->ns.len + op->name.len + json.len] = '\n';
    return o;
}

const struct kl_places *store_object_places(const struct store_object *o)
{
    return &o->places;
}

struct str store_object_from(const struct store_object *o, uint32_t place)
{
    return place ? text_of(o, o->json_at + place, o->json_len - place) : STR_NONE;
}

struct store_object *store_object_ref(struct store_object *o)
{
    __atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
    return o;
}

void store_object_unref(struct store_object *o)
{
    if (!o || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (o->form) {
        mem_free(o->form->at);
        mem_free(o->form);
    }
    slab_free(o, (size_t)o->json_at + o->json_len + 1);
}

void store_object_release(void *o)
{
    store_object_unref(o);
}

struct str store_object_json(const struct store_object *o)
{
    return text_of(o, o->json_at, o->json_len);
}

struct str store_object_line(const struct store_object *o)
{
    return text_of(o, o->json_at, o->json_len + 1);
}

uint64_t store_object_revision(const struct store_object *o)
{
    return o->revision;
}

struct str store_object_ns(const struct store_object *o)
{
    return text_of(o, o->json_at - o->name_len - o->ns_len, o->ns_len);
}

struct str store_object_name(const struct store_object *o)
{
    return text_of(o, o->json_at - o->name_len, o->name_len);
}

struct str store_object_uid(const struct store_object *o)
{
    return text_of(o, o->json_at + o->uid_at, o->uid_len);
}

struct str store_object_form(const struct store_object *o, unsigned form)
{
    return form == STORE_FORM_PROTOBUF && o->form ? str_n(o->form->at, o->form->len) : STR_NONE;
}

void store_object_set_form(struct store_object *o, unsigned form, char *at, size_t len)
{
    struct form *f = form == STORE_FORM_PROTOBUF && !o->form && len <= UINT32_MAX ? mem_alloc(sizeof *f) : NULL;
    if (!f) {
        mem_free(at);
        return;
    }
    *f = (struct form){ (uint32_t)len, at };
    o->form = f;
}

/* validate_shown.c - a bad value as upstream shows it: as its own types have it, which name and order fields as Go does and leave nothing out. */
#include "object/validate.h"

/* Names that are more than their first letter in upper case. */
static const char *const names[][2] = {
    { "cel", "CEL" }, { "csi", "CSI" }, { "nfs", "NFS" }, { "rbd", "RBD" }, { "fc", "FC" }, { "iscsi", "ISCSI" }, { "cephfs", "CephFS" }, { "storageos", "StorageOS" },
    { "gcePersistentDisk", "GCEPersistentDisk" }, { "awsElasticBlockStore", "AWSElasticBlockStore" }, { "pdName", "PDName" },
    { "ip", "IP" }, { "ips", "IPs" }, { "uid", "UID" }, { "apiVersion", "APIVersion" }, { "apiGroup", "APIGroup" }, { "targetWWNs", "TargetWWNs" }, { "wwids", "WWIDs" },
    { "ioDriver", "IODriver" }, { "url", "URL" }, { "diskURI", "DataDiskURI" }, { "fsType", "FSType" }, { "jsonPath", "JSONPath" }, { "openAPIV3Schema", "OpenAPIV3Schema" },
};

/* Members that stand elsewhere there: behind the second one. */
static const char *const moved[][3] = { { "io.k8s.api.core.v1.PersistentVolumeSpec", "quobyte", "rbd" }, { "io.k8s.api.core.v1.PersistentVolumeSpec", "flexVolume", "iscsi" },
                                         { "io.k8s.api.core.v1.PersistentVolumeSource", "quobyte", "rbd" }, { "io.k8s.api.core.v1.PersistentVolumeSource", "flexVolume", "iscsi" } };

static bool tagged(const struct schema_type *t)
{
    return strstr(t->name, "apimachinery") != NULL;    /* these are the same everywhere */
}

static void show_one(struct buf *b, const struct schema_type *t, const struct val *v);

static void show_zero(struct buf *b, const struct schema_field *f)
{
    if (f->shape != SHAPE_ONE || f->flags & F_POINTER || f->type->kind == T_BYTES) {
        buf_add_z(b, "null");
        return;
    }
    switch (f->type->kind) {
    case T_STRUCT: show_one(b, f->type, NULL); break;
    case T_STRING: buf_add_z(b, "\"\""); break;
    case T_BOOL: buf_add_z(b, "false"); break;
    case T_INT32: case T_INT64: case T_DOUBLE: case T_INT_OR_STRING: buf_add_z(b, "0"); break;
    case T_QUANTITY: buf_add_z(b, "\"0\""); break;
    default: buf_add_z(b, "null");
    }
}

static void show_field(struct buf *b, const struct schema_field *f, const struct val *v)
{
    if (!v || v->type == VAL_NULL) {
        show_zero(b, f);
    } else if (f->shape == SHAPE_ONE) {
        show_one(b, f->type, v);
    } else {
        bool map = f->shape == SHAPE_MAP;
        buf_add_c(b, map ? '{' : '[');
        val_each(kid, v) {
            if (kid != v->first)
                buf_add_c(b, ',');
            if (map) {
                json_write_str(b, val_key(kid));
                buf_add_c(b, ':');
            }
            show_one(b, f->type, kid);
        }
        buf_add_c(b, map ? '}' : ']');
    }
}

static void show_name(struct buf *b, const char *json)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], json) == 0) {
            buf_printf(b, "\"%s\":", names[i][1]);
            return;
        }
    buf_printf(b, "\"%c%s\":", json[0] >= 'a' && json[0] <= 'z' ? json[0] - 32 : json[0], json + 1);
}

static bool is_metadata(const struct schema_field *f)
{
    return strcmp(f->json, "metadata") == 0 && f->shape == SHAPE_ONE && tagged(f->type);
}

static void comma(struct buf *b, bool *first)
{
    if (!*first)
        buf_add_c(b, ',');
    *first = false;
}

/* Embedded there: its members stand among the others. */
static void show_metadata(struct buf *b, bool *first, const struct schema_type *t, const struct val *v)
{
    _cleanup_buf_ struct buf own = BUF_INIT(1 << 20);
    if (v)
        object_encode_json(&own, t, v);
    if (own.len <= 2)
        return;
    comma(b, first);
    buf_add(b, own.at + 1, own.len - 2);
}

static const char *behind(const struct schema_type *t, const char *member)
{
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++)
        if (strcmp(moved[i][0], t->name) == 0 && strcmp(moved[i][1], member) == 0)
            return moved[i][2];
    return NULL;
}

static void put_in_order(const struct schema_type *t, unsigned *order)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->n_flat; i++) {
        if (behind(t, t->flat[i]->json))
            continue;
        order[n++] = i;
        for (unsigned k = 0; k < t->n_flat; k++) {
            const char *other = behind(t, t->flat[k]->json);
            if (other && strcmp(other, t->flat[i]->json) == 0)
                order[n++] = k;
        }
    }
}

static void show_one(struct buf *b, const struct schema_type *t, const struct val *v)
{
    struct val *members[OBJECT_FIELDS];
    if (t->kind != T_STRUCT) {
        json_write(b, v);
        return;
    }
    if (tagged(t)) {
        object_encode_json(b, t, v ? v : &(struct val){ .type = VAL_OBJ });
        return;
    }
    unsigned order[OBJECT_FIELDS];
    object_members(t, v, members);
    put_in_order(t, order);
    buf_add_c(b, '{');
    bool first = true;
    for (unsigned k = 0; k < t->n_flat; k++) {
        unsigned i = order[k];
        if (is_metadata(t->flat[i])) {
            show_metadata(b, &first, t->flat[i]->type, members[i]);
            continue;
        }
        comma(b, &first);
        show_name(b, t->flat[i]->json);
        show_field(b, t->flat[i], members[i]);
    }
    buf_add_c(b, '}');
}

const char *shown_as(causes c, const char *type, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    const struct schema_type *t = schema_type_by_name(str_of(type));
    if (t)
        show_field(&b, &(struct schema_field){ .type = t, .shape = v->type == VAL_ARR ? SHAPE_LIST : SHAPE_ONE }, v);
    return t && !b.failed ? words(c, "%s", b.at) : "";
}

void say_invalid_as(causes c, const struct path *p, const char *type, const struct val *v, const char *detail)
{
    say_with(c, "FieldValueInvalid", p, words(c, "Invalid value: %s", v ? shown_as(c, type, v) : "null"), detail);
}

bool check_immutable_as(causes c, const struct path *p, const char *type, const struct val *now, const struct val *old)
{
    const struct schema_type *t = schema_type_by_name(str_of(type));
    const struct schema_field f = { .type = t, .shape = SHAPE_ONE, .flags = F_POINTER };
    if (!t || object_same(&f, now, old, false))
        return true;
    say_invalid_as(c, p, type, now, "field is immutable");
    return false;
}

/* object.h - interpreters over the rows of kernel/schema. Pure functions of their arguments, [any].
 *
 * An object in work is a struct val tree in an arena whose members are exactly those that its rows know, of the right types: what
 * object_decode_* returns, and that in declaration order. Members that are added later stand at the end, where finding them takes a little
 * longer; nothing else depends on the order. At rest it is compact JSON text (object_encode_json), always in declaration order.
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include <keelson/error.h>

#include "base/json.h"
#include "base/yaml.h"
#include "schema/schema.h"

/* --- codec.c, protobuf.c --- */

/* Fields that strict decoding refuses: texts such as `unknown field "spec.foo"`, `duplicate field "spec.x"`, in order. */
struct object_strict {
    struct arena *arena;
    const char **at;
    unsigned n, cap;
};

void strict_say(struct object_strict *s, const char *text);            /* s NULL: not wanted */

/* What stands twice in a patch (the last counts, and stays), and in a JSON patch what no operation has. */
void object_patch_strict(struct val *patch, bool json, struct object_strict *strict);

/* text -> tree. type NULL: found by apiVersion and kind within. strict NULL: not wanted. Drops unknown members, turns base64, quantities,
 * times into their canonical form, null of non-pointers away. KL_BAD_REQUEST with upstream's words ("json: cannot unmarshal string into Go struct field
 * PodSpec.spec.terminationGracePeriodSeconds of type int64"). */
struct val *object_decode_json(struct arena *a, const struct schema_type *type, struct str text, struct object_strict *strict,
                               struct kl_err *err);
/* The same for a tree that was parsed or patched already; changes it in place. */
int object_conform(struct arena *a, const struct schema_type *type, struct val *v, struct object_strict *strict,
                   struct kl_err *err);
/* YAML to tree, untyped, and back: base/yaml.h. */
static inline struct val *object_parse_yaml(struct arena *a, struct str text, struct kl_err *err)
{
    return yaml_read(a, text, err);
}
static inline void object_write_yaml(struct buf *b, const struct val *v)
{
    yaml_write(b, v);
}

/* Compact JSON with upstream's omissions: what is stored and sent. Includes apiVersion and kind when they are members of v. */
void object_encode_json(struct buf *b, const struct schema_type *type, const struct val *v);
/* What reads back from that, with the members that it shows though they are empty; v NULL: of an empty object. NULL: out of memory. */
struct val *object_encoded(struct arena *a, const struct schema_type *t, const struct val *v);
/* Takes out of a tree what the encoding leaves out, so that it compares with one that was read from such text. */
void object_trim(const struct schema_type *type, struct val *v);

/* With the k8s\0 envelope; type NULL: found by the envelope. *ret_type may be NULL. */
struct val *object_decode_protobuf(struct arena *a, const struct schema_type *type, struct str bytes,
                                   const struct schema_type **ret_type, struct kl_err *err);
/* With the envelope (apiVersion and kind from v). */
int object_encode_protobuf(struct buf *b, const struct schema_type *type, const struct val *v, struct kl_err *err);
/* Without: a bare message (lists are built from these). */
int object_encode_message(struct buf *b, const struct schema_type *type, const struct val *v, struct kl_err *err);

/* --- convert.c: text of one form ("json", "yaml", "protobuf") to another, appended to ret. Kinds that are not built in pass between json and yaml. */
int object_convert(const char *from, const char *to, struct str text, struct buf *ret, struct kl_err *err);

/* --- qos.c: "Guaranteed", "Burstable" or "BestEffort", of a pod's spec */
const char *object_qos(const struct val *spec);

/* --- same.c: is the field what it was? What is absent equals what is empty; exact: but for a list or map that is empty now and was not there. */
/* What the type of a Service gives it (validate_service.c): is it reached from outside, has it a port that tells its health? */
bool object_service_external(const struct val *spec);
bool object_service_health_port(const struct val *spec);
bool object_is_nothing(const struct val *v);        /* absent, null, or a list or object without anything in it */
bool object_same(const struct schema_field *f, const struct val *now, const struct val *old, bool exact);

/* --- default.c: fills declared and computed defaults, as upstream's defaults.go. In place. */
int object_default(struct arena *a, const struct schema_kind *k, struct val *v);

/* --- validate.c --- */
struct object_cause {
    const char *reason;                 /* "FieldValueRequired", ... */
    const char *field;                  /* "spec.containers[0].name" */
    const char *message;                /* `Required value`, `Invalid value: "x": must be ...` */
};
struct object_causes {
    struct arena *arena;
    struct object_cause *at;
    unsigned n, cap;
};
/* old NULL: create. subresource NULL or "status", ... Empty causes: valid. */
void object_validate(const struct schema_kind *k, const char *subresource, const struct val *v, const struct val *old,
                     struct object_causes *ret);
/* Of an access review (validate_reviews.c). */
void object_validate_review(const struct schema_kind *k, const struct val *v, struct object_causes *ret);
__attribute__((format(printf, 4, 5))) void object_cause_add(struct object_causes *c, const char *reason, const char *field,
                                                            const char *fmt, ...);

/* --- warn.c: what upstream says of a valid object to whoever writes it (old NULL: makes it). The texts are in the arena. */
void object_warnings(struct arena *a, const struct schema_kind *k, const struct val *v, const struct val *old,
                     void (*say)(void *ctx, const char *text), void *ctx);

/* --- patch.c, strategic.c: each returns a new tree (old is not changed) or NULL. Codes: KL_BAD_REQUEST malformed, KL_INVALID does not apply. */
struct val *object_patch_json(struct arena *a, const struct val *old, const struct val *ops, struct kl_err *err);
/* The same in place: what the operations bring becomes part of the tree. After an error both are of no use any more. */
struct val *object_patch_json_here(struct arena *a, struct val *root, struct val *ops, struct kl_err *err);
struct val *object_patch_merge(struct arena *a, const struct val *old, const struct val *patch, struct kl_err *err);
struct val *object_patch_strategic(struct arena *a, const struct schema_type *type, const struct val *old,
                                   const struct val *patch, struct kl_err *err);
/* restore.c: what is wrong with what a strategic patch made, as upstream's converter says it; NULL: nothing, its numbers are whole now and object_conform may be asked again.
 * And a value as Go prints it ("map[a:1 b:[x y]]"). */
const char *object_restore(struct arena *a, const struct schema_type *type, struct val *v);
void object_write_go(struct buf *b, const struct val *v);
void object_write_quoted(struct buf *b, struct str s);          /* in quotes, as its %q has it */
/* Begins s with a character that is there but not seen (a control, U+00AD, marks of direction, the ends of lines)? Its bytes, and which it is; else 0. */
size_t object_unseen(struct str s, unsigned *ret);

/* --- selector.c --- */
struct selector;
/* Label selector text ("a=b,c in (d,e),!f"), KL_BAD_REQUEST with upstream's words; ret_why (may be NULL) gets all of them, which err may have no room for. */
struct selector *selector_parse_labels(struct arena *a, struct str text, struct kl_err *err, const char **ret_why);
/* Field selector text; kind says which fields it may name ("field label not supported: x"). */
struct selector *selector_parse_fields(struct arena *a, const struct schema_kind *k, struct str text, struct kl_err *err);
/* metav1.LabelSelector tree; NULL selects nothing, empty selects all. */
struct selector *selector_of_tree(struct arena *a, const struct val *label_selector, struct kl_err *err);
/* Adds to a LabelSelector (in its tree) what its matchLabelKeys say of a pod with those labels: KEY OPERATOR [value], for each that the pod has. */
void selector_add_keys(struct arena *a, struct val *label_selector, const struct val *keys, const char *operator, const struct val *labels);
bool selector_empty(const struct selector *s);                          /* selects all */
bool selector_matches_labels(const struct selector *s, const struct val *labels);       /* labels may be NULL */
/* For field selectors over a whole object. */
bool selector_matches_fields(const struct selector *s, const struct val *object);
/* Straight over stored bytes, without a tree: labels or fields. The fast way for LIST and WATCH. */
bool selector_matches_text(const struct selector *s, struct str json);
void selector_write(struct buf *b, const struct selector *s);           /* canonical text, for scale.status.selector */
/* The value of a "metadata.name=x" requirement, else STR_NONE. */
struct str selector_exact(const struct selector *s, const char *field);

/* --- quantity.c: kernel/base/quantity.h --- */

/* --- table.c: rows for kubectl get --- */
struct val *object_table_columns(struct arena *a, const struct schema_kind *k);         /* columnDefinitions */
/* What a row says of its object beside the cells: pods that have ended. NULL: nothing. */
struct val *object_table_conditions(struct arena *a, const struct schema_kind *k, const struct val *v);
struct val *object_table_cells(struct arena *a, const struct schema_kind *k, const struct val *v, int64_t now_wall_ns);

#endif

/* fields.h - sets of paths into an object (fieldsV1), as managedFields and server-side apply use them. Pure functions, [any].
 *
 * A set is a tree: a list of path elements in upstream's order (names, keys of list items, values of set items, indexes), each of which may be a
 * member itself and have others below. NULL is the empty set. Sets are never changed once made, so they share what they have in common; all
 * memory is the arena's, and an arena that is exhausted makes sets that lack something: the caller checks it once, at the end.
 */
#ifndef OBJECT_FIELDS_H
#define OBJECT_FIELDS_H

#include "object/object.h"

enum fields_element { FIELDS_NAME = 1, FIELDS_KEY, FIELDS_VALUE, FIELDS_INDEX };

struct fields {
    const struct fields *next, *kids;   /* kids: what the set has below this element */
    const struct val *v;                /* KEY: an object, its members sorted by name; VALUE: a scalar */
    struct str name;                    /* NAME */
    int64_t index;                      /* INDEX */
    uint8_t element;                    /* enum fields_element */
    bool member;                        /* the path to here is in the set, not only some below it */
};

/* --- fields_set.c --- */
/* fieldsV1 as a tree to a set. KL_INVALID: it is none. NULL in *ret is the empty set. */
int fields_decode(struct arena *a, const struct val *v, const struct fields **ret, struct kl_err *err);
void fields_encode(struct buf *b, const struct fields *set);            /* "{"f:spec":{...}}", canonical */
int fields_cmp(const struct fields *x, const struct fields *y);         /* of two elements */
int fields_value_cmp(const struct val *x, const struct val *y);         /* upstream's order of values */
bool fields_equal(const struct fields *x, const struct fields *y);
const struct fields *fields_find(const struct fields *set, const struct fields *element);       /* in its first level */
const struct fields *fields_name(const struct fields *set, struct str name);
const struct fields *fields_union(struct arena *a, const struct fields *x, const struct fields *y);
const struct fields *fields_both(struct arena *a, const struct fields *x, const struct fields *y);
/* x without the paths of y; what lies below a path of y stays. */
const struct fields *fields_minus(struct arena *a, const struct fields *x, const struct fields *y);
/* The same, and without what lies below. */
const struct fields *fields_minus_deep(struct arena *a, const struct fields *x, const struct fields *y);
/* What of x lies at or below the members of `patterns`, in which a name "*" stands for any element. */
const struct fields *fields_within(struct arena *a, const struct fields *x, const struct fields *patterns);
/* One path of member names with dots. */
const struct fields *fields_path(struct arena *a, const char *path);
/* "[name="x",protocol="TCP"]", ".spec". */
void fields_element_text(struct buf *b, const struct fields *element);
/* Each member's path (".spec.containers[name="x"].image"), the members of a level before what is below. */
void fields_each(struct arena *a, const struct fields *set, void (*say)(void *ctx, const char *path), void *ctx);

/* --- fields_type.c: what a value is to a merge: of rows, or of a custom resource's schema --- */
enum merge_kind { MERGE_SCALAR = 1, MERGE_STRUCT, MERGE_MAP, MERGE_LIST, MERGE_ANY, MERGE_BLOB };
enum merge_scalar { SCALAR_ANY = 0, SCALAR_STRING, SCALAR_NUMBER, SCALAR_BOOL };

struct merge_type {
    uint8_t kind;                       /* ANY: maps grow together, lists and scalars are whole; BLOB: whole whatever it is */
    uint8_t scalar;
    bool atomic;                        /* LIST, MAP, STRUCT: one owner for all of it */
    bool set;                           /* LIST: items are their own keys */
    bool open;                          /* STRUCT of a custom schema: members it does not name are allowed */
    bool bare;                          /* STRUCT: absent means absent (of custom resources), not Go's zero */
    const struct schema_type *type;     /* STRUCT; else of items and values */
    const struct schema_field *field;   /* LIST: with its keys */
    const struct val *schema;           /* custom: the JSON schema */
};

struct merge_type merge_type_of(const struct schema_type *t);
struct merge_type merge_type_field(const struct schema_field *f);
/* Of a member; false: no such member. *ret_named: the schema names it (not a key of a map). */
bool merge_type_member(const struct merge_type *t, struct str name, struct merge_type *ret, bool *ret_named);
struct merge_type merge_type_item(const struct merge_type *t);
/* What holds for this value of a type that allows several. */
struct merge_type merge_type_deduce(const struct merge_type *t, const struct val *v);
/* The path element of an item of a list that is a map or a set. KL_INVALID with upstream's words. */
int merge_item_element(struct arena *a, const struct merge_type *list, const struct val *item, struct fields *ret, struct kl_err *err);

/* --- fields_of.c --- */
/* Every field that a configuration names: its leaves, and the items of its lists. */
const struct fields *fields_of(struct arena *a, const struct merge_type *t, const struct val *v);
/* What differs between two objects of the type; either may be NULL. *ret_changed: added or not equal. With bare types
 * both are as they are encoded, else as they are decoded. */
void fields_compare(struct arena *a, const struct merge_type *t, const struct val *old, const struct val *now,
                    const struct fields **ret_changed, const struct fields **ret_removed);
/* The set with the members that only stand above others. */
const struct fields *fields_named(struct arena *a, const struct merge_type *t, const struct fields *set);

/* --- fields_new.c: straight to text, for the fastest way --- */
/* fields_compare of an empty object and v, without what `without` names, encoded. An item without a key where items have keys: b fails, upstream tracks no such object. */
void fields_write_new(struct arena *a, struct buf *b, const struct schema_type *t, const struct val *v, const struct fields *without);

/* --- fields_check.c --- */
/* Is v of the type, all members declared, no list item twice? NULL, or upstream's words (".spec.foo: field not declared in schema"). */
const char *merge_check(struct arena *a, const struct merge_type *t, const struct val *v, bool twice_ok);

/* --- fields_merge.c --- */
/* A new tree: live with what config says. */
struct val *merge_apply(struct arena *a, const struct merge_type *t, const struct val *live, const struct val *config);
/* A new tree without the items of the set. */
struct val *merge_remove(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set);

#endif

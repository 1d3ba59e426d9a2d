/* fields-internal.h - what the files on sets of paths share. */
#ifndef OBJECT_FIELDS_INTERNAL_H
#define OBJECT_FIELDS_INTERNAL_H

#include "object/fields.h"
#include "object/managed.h"
#include "object-internal.h"

/* A level that is built in order. */
struct fields_list {
    struct arena *arena;
    const struct fields *first;
    struct fields *last;
};
/* Adds like's element at the end; nothing when it would stand for nothing. */
void fields_add(struct fields_list *l, const struct fields *like, bool member, const struct fields *kids);

/* scratch: memory to reuse from one element to the next. */
void fields_encode_element(struct buf *b, struct buf *scratch, const struct fields *f);
/* What is below an element that is a member itself or not: "{".":{},...}". */
void fields_encode_below(struct buf *b, struct buf *scratch, const struct fields *set, bool self);

/* A list's items by their elements, in order; those that have none are left out. ret_n[i] of them have ret[i]'s. */
struct fields_item {
    struct fields key;
    const struct val *item;
    unsigned at;                        /* its place in the list */
};
struct fields_item *fields_items(struct arena *a, const struct merge_type *list, const struct val *v, unsigned *ret_n);
/* The members of an object, by name, each once (the last counts). */
const struct val **fields_members(struct arena *a, const struct val *v, unsigned *ret_n);

/* --- a typed object as Go sees it --- */
/* The member of v that Go's encoder would show: the zero it shows for one that is absent, NULL for one it leaves out. */
const struct val *fields_present(const struct schema_field *f, const struct val *m);
bool fields_is_zero(const struct schema_field *f, const struct val *m);         /* of one that is present */
/* Does it show no member at all? v is an object. */
bool fields_struct_empty(const struct schema_type *t, const struct val *v);
bool fields_struct_zero(const struct schema_type *t, const struct val *v);      /* nothing but zeros */

/* --- managed.c --- */
/* Where two objects differ, in the version that was asked for last. */
struct managed_seen {
    struct str version;
    const struct val *old, *now;
    bool bare;                          /* they are as encoded */
    const struct fields *changed, *removed;
};
bool managed_seen(const struct managed_write *w, struct managed_seen *s, struct str version);
/* All entries but one lose what changed or went. */
void managed_take(const struct managed_write *w, struct managed *m, struct managed_seen *s, const struct managed_entry *but);
const struct fields *managed_filter(const struct managed_write *w, const struct fields *set);
void managed_drop(struct managed *m, const struct managed_entry *gone);

#endif

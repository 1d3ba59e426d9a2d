/* meta.h - parts of objects that every controller looks at: metadata, owners, finalizers, conditions, selectors. */
#ifndef CONTROLLER_META_H
#define CONTROLLER_META_H

#include "base/json.h"

struct str meta_ns(const struct val *v);
struct str meta_name(const struct val *v);
struct str meta_uid(const struct val *v);
struct str meta_label(const struct val *v, const char *key);
struct str meta_annotation(const struct val *v, const char *key);
void meta_set_label(struct arena *a, struct val *v, const char *key, struct str value);
void meta_set_annotation(struct arena *a, struct val *v, const char *key, struct str value);
bool meta_deleting(const struct val *v);
int64_t meta_time(const struct val *v, const char *path);       /* wall ns; 0: not there */
/* Older first; of one second, the smaller name. */
int meta_cmp_created(const struct val *x, const struct val *y);
bool meta_has_finalizer(const struct val *v, const char *name);
void meta_set_finalizer(struct arena *a, struct val *v, const char *name, bool on);

struct val *meta_controller(const struct val *v);               /* its controlling owner reference, or NULL */
struct str meta_controller_text(struct str json);               /* the same in an object's text; STR_NONE: it has none */
bool meta_controlled_by(const struct val *v, struct str uid);
struct val *meta_owner_ref(struct arena *a, const struct val *owner);
void meta_drop_owner(struct val *v, struct str uid);

struct val *cond_find(const struct val *list, const char *type);
bool cond_is(const struct val *v, const char *type, const char *status);        /* of status.conditions of an object */
bool cond_drop(struct val *list, const char *type);

/* LabelSelector against labels (either may be NULL: a NULL selector matches nothing, an empty one everything). */
bool sel_matches(const struct val *selector, const struct val *labels);
bool sel_empty(const struct val *selector);
/* The text of a list's label selector. */
const char *sel_text(struct arena *a, const struct val *selector);
/* As upstream's messages print it (Go's %+v); NULL: "nil". */
const char *sel_shown(struct arena *a, const struct val *selector);
/* Plain maps, as Services and ReplicationControllers have them. Empty matches nothing. */
bool sel_map_matches(const struct val *map, const struct val *labels);
const char *sel_map_text(struct arena *a, const struct val *map);

/* A count with omitempty: no member for zero. */
void meta_set_count(struct arena *a, struct val *v, struct str key, int64_t n);

/* Number or percentage ("25%") of total. */
int64_t int_or_percent(const struct val *v, int64_t total, bool up, int64_t fallback);

#endif

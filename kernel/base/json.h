/* json.h - JSON text to a tree in an arena and back; the only JSON code on hot paths.
 *
 * A tree is made of struct val nodes; members of objects and items of arrays are singly linked in order. Strings without
 * escapes point into the input, which must live as long as the tree. Integers that fit int64 are kept as such, every
 * other number as its text. Duplicate member names are kept in order: json_get returns the last, as decoders do. Invalid
 * UTF-8 becomes U+FFFD (as upstream's decoder does). Input limits: depth JSON_DEPTH, nodes JSON_NODES.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <keelson/error.h>

#include "base/arena.h"
#include "base/buf.h"

#define JSON_DEPTH 128
#define JSON_NODES 1000000

enum val_type { VAL_NULL = 1, VAL_BOOL, VAL_INT, VAL_NUM, VAL_STR, VAL_ARR, VAL_OBJ };

struct val {
    struct val *next;                   /* next member or item */
    const char *key;                    /* member name; NULL in arrays and at the root */
    uint32_t key_len;
    uint8_t type;                       /* enum val_type */
    uint8_t flags;                      /* VAL_*: free for interpreters */
    uint16_t place;                     /* of a member: a guess for interpreters, 1 + where its type has the field; 0: none */
    uint32_t n;                         /* items or members; bytes of STR and NUM */
    uint32_t names;                     /* OBJ: a bit for each name that a member has or had (val_bit) */
    union {
        int64_t i;                      /* INT; BOOL 0/1 */
        const char *s;                  /* STR decoded, NUM as written */
        struct {
            struct val *first, *last;   /* ARR, OBJ */
        };
    };
};

/* Most look-ups are for what is not there: one test says so. Folded for names that the compiler knows. */
static inline uint32_t val_bit(struct str key)
{
    return key.len ? 1u << (((unsigned char)key.at[0] * 5u + (unsigned char)key.at[key.len - 1] * 3u + key.len) & 31u) : 1u;
}

#define val_each(v, parent) for (struct val *v = (parent)->first; v; v = v->next)

/* Whole text is one value. NULL: err says what and at which byte offset, in the style of Go's decoder ("invalid
 * character 'x' ..."). KL_BAD_REQUEST, or KL_TOO_LARGE past a limit, or KL_NO_MEMORY. */
struct val *json_parse(struct arena *a, struct str text, struct kl_err *err);
/* An object's text without one of its members ("metadata.managedFields"), whose bytes become no nodes; json_parse when it is not there or is the first of its parent. */
struct val *json_parse_without(struct arena *a, struct str text, const char *path, struct kl_err *err);
/* One value from the front of *text; *text is what follows. At the end of text (only white space): NULL and err->code 0. */
struct val *json_next(struct arena *a, struct str *text, struct kl_err *err);

/* Compact, with Go's escapes (<, >, & as \u003c ...). v NULL (there was no memory for it): b is marked as failed. */
void json_write(struct buf *b, const struct val *v);
/* Two spaces of indent, as upstream's pretty printer. */
void json_write_pretty(struct buf *b, const struct val *v);
/* Compact, all members by name, as Go writes maps. */
void json_write_sorted(struct buf *b, const struct val *v);
void json_write_str(struct buf *b, struct str s);               /* with quotes */

/* Reading. All accept v == NULL (as "not there"). */
struct val *json_look(const struct val *obj, const char *name, size_t len, uint32_t bit);       /* json_get and json_str are the ones to call */
struct str json_str_look(const struct val *obj, const char *name, size_t len, uint32_t bit);
struct str json_str_walk(const struct val *v, const char *path);
static inline struct val *json_get(const struct val *obj, struct str key)                       /* NULL: not there or not an object */
{
    return json_look(obj, key.at, key.len, val_bit(key));
}
/* By member names with dots, "spec.template.metadata"; no way to name members that contain a dot. */
struct val *json_path(const struct val *v, const char *path);
struct str val_str(const struct val *v);                                                        /* STR, else STR_NONE */
static inline struct str json_str(const struct val *v, const char *path)                        /* path "": v itself */
{
    if (__builtin_constant_p(__builtin_strchr(path, '.') == NULL) && *path && __builtin_strchr(path, '.') == NULL)
        return json_str_look(v, path, __builtin_strlen(path), val_bit(str_of(path)));           /* one name, as mostly */
    return json_str_walk(v, path);
}
int64_t json_int(const struct val *v, const char *path, int64_t fallback);
bool json_bool(const struct val *v, const char *path, bool fallback);
/* Of a list, and of what is none nothing: is that text among its items? The object among them whose "name" is that, or NULL. */
bool json_lists(const struct val *list, struct str text);
struct val *json_named(const struct val *list, struct str name);
static inline struct str val_key(const struct val *v)
{
    return str_n(v->key, v->key_len);
}
static inline bool val_is(const struct val *v, enum val_type t)
{
    return v && v->type == t;
}
/* Deep equality; the order of members does not count, numbers compare by value for INT and by text for NUM. */
bool val_equal(const struct val *a, const struct val *b);

/* Building. Texts are borrowed (arena_str copies). NULL when out of memory; a NULL parent gives NULL, so calls nest and the
 * caller checks arena_exhausted once at the end. */
struct val *val_new(struct arena *a, enum val_type t);
struct val *val_of_str(struct arena *a, struct str s);
struct val *val_of_int(struct arena *a, int64_t i);
struct val *val_of_bool(struct arena *a, bool b);
struct val *val_copy(struct arena *a, const struct val *v);             /* deep; texts shared */
/* Replaces the member or adds it at the end; takes v (whose key and next change). Returns v. */
struct val *json_set(struct arena *a, struct val *obj, struct str key, struct val *v);
struct val *json_set_str(struct arena *a, struct val *obj, struct str key, struct str s);
struct val *json_set_int(struct arena *a, struct val *obj, struct str key, int64_t i);
struct val *json_set_bool(struct arena *a, struct val *obj, struct str key, bool b);
/* The member as an object (array), made when it is not there or is null. */
struct val *json_obj(struct arena *a, struct val *obj, struct str key);
struct val *json_arr(struct arena *a, struct val *obj, struct str key);
bool json_del(struct val *obj, struct str key);                         /* was it there? */
struct val *val_push(struct val *parent, struct val *v);                /* at the end, an object's member with its key; returns v */
void val_unshift(struct val *parent, struct val *v);                    /* at the front */
void val_unlink(struct val *parent, struct val *v);
/* By the names of two members: qsort over pointers to nodes. */
int val_by_key(const void *x, const void *y);
bool json_is_sorted(const struct val *obj);                             /* each name greater than the one before */
/* Members by name; of equal names in no order. False: no memory, obj is as it was. */
bool json_sort(struct arena *a, struct val *obj);
bool json_sort_all(struct arena *a, struct val *v);                     /* and the objects within it */
void val_rename(struct val *obj, struct val *member, struct str key);
/* Turns v into a (shallow) copy of src, keeping its place and name. */
void val_replace(struct val *v, const struct val *src);

#endif

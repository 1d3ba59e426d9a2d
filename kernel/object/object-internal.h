/* object-internal.h - what the files of kernel/object share. */
#ifndef OBJECT_INTERNAL_H
#define OBJECT_INTERNAL_H

#include "base/cleanup.h"
#include "object/base64.h"
#include "object/object.h"

/* Where a walk is, as a chain of frames on the stack: texts are only made when there is something to say. */
struct path {
    const struct path *up;
    struct str name;                    /* member, or */
    long index;                         /* item (name.at == NULL); PATH_KEY: name is a key of a map */
};
#define PATH_KEY (-1)
/* "spec.containers[0].name"; map keys that are no identifiers as [key]. */
void path_write(struct buf *b, const struct path *p);
const char *path_text(struct arena *a, const struct path *p);

const char *patch_word(const struct val *v);    /* patch.c: what Go's decoder calls a value that is no object */
void strict_add(struct object_strict *s, const char *what, const struct path *p);

/* The members of v (NULL: none) by field, ret[i] for t->flat[i]; of several with one name the last. Trees that conform have them in the order
 * of the rows, under the rows' own names and with their places noted; what came in later is looked up once and noted then: a tree is its maker's. */
#define OBJECT_FIELDS 256               /* no type has more; of those in the tables none more than 64 */
void object_members(const struct schema_type *t, const struct val *v, struct val **ret);

struct field_set {
    uint64_t word[OBJECT_FIELDS / 64];
};
/* The same for those who look only at some fields: the set has those that v has, and `also` of the first 64. ret of others is not set. */
struct field_set object_present(const struct schema_type *t, const struct val *v, uint64_t also, struct val **ret);

static inline bool field_set_has(const struct field_set *s, unsigned i)
{
    return s->word[i / 64] >> i % 64 & 1;
}
/* Each bit of one word: of the fields of a type in the tables. */
#define BITS_EACH(i, word) for (uint64_t bits_ = (word), i; bits_ && (i = (uint64_t)__builtin_ctzll(bits_), true); bits_ &= bits_ - 1)

/* Does an absent field of this row still show in JSON? */
static inline bool object_shows_empty(const struct schema_field *f)
{
    return f->flags & F_SHOWN;
}
/* Is a present text, truth or whole number the zero of its type? */
static inline bool is_plain_zero(const struct schema_type *t, const struct val *v)
{
    switch (t->kind) {
    case T_STRING: return v->n == 0;
    case T_BOOL:
    case T_INT32:
    case T_INT64: return v->i == 0;
    default: return false;
    }
}
/* Is a present value one that JSON leaves out? */
bool object_leaves_out(const struct schema_field *f, const struct val *v);

#endif

/* validate_order.c - complaints that are made late (what expressions say: kernel/api compiles them) stand where upstream, which goes field by field, has them. */
#include "object/validate.h"

#include <limits.h>

/* Where a complaint belongs: the section, the item in it, what of the item. Before all sections: what no section is about. */
struct rank {
    unsigned section, member;
    int64_t item;
};

static bool is_about(struct str field, struct str section)
{
    return str_starts(field, section) && (field.len == section.len || field.at[section.len] == '[' || field.at[section.len] == '.');
}

/* "" stands for all that no other name is about. */
static unsigned place(const char *const *names, struct str s)
{
    unsigned i = 0, other = UINT_MAX;
    for (; names[i]; i++) {
        if (!names[i][0])
            other = i;
        else if (is_about(s, str_of(names[i])))
            return i;
    }
    return other < i ? other : i;
}

static struct rank rank_of(const struct object_cause *c, const struct cause_section *sections)
{
    struct rank r = { 0, 0, -1 };
    struct str field = str_of(c->field);
    for (unsigned i = 0; sections[i].field && !r.section; i++)
        if (is_about(field, str_of(sections[i].field)))
            r.section = i + 1;
    if (!r.section)
        return r;
    const struct cause_section *s = &sections[r.section - 1];
    struct str rest = str_skip(field, strlen(s->field));
    if (rest.len && rest.at[0] == '[') {
        rest = str_skip(rest, 1);
        if (!str_int(str_cut(&rest, ']'), &r.item))
            r.item = -1;
    }
    bool again = strcmp(c->reason, "FieldValueDuplicate") == 0;         /* found when the item has been looked at */
    r.member = !s->members ? 0 : again ? UINT_MAX : place(s->members, str_skip(rest, rest.len && rest.at[0] == '.'));
    return r;
}

static bool follows(struct rank a, struct rank b)
{
    if (a.section != b.section)
        return a.section > b.section;
    return a.item != b.item ? a.item > b.item : a.member > b.member;
}

void causes_order(causes c, const struct cause_section *sections)
{
    for (unsigned i = 1; i < c->n; i++) {
        struct object_cause x = c->at[i];
        struct rank mine = rank_of(&x, sections);
        unsigned k = i;
        for (; k && follows(rank_of(&c->at[k - 1], sections), mine); k--)
            c->at[k] = c->at[k - 1];
        c->at[k] = x;
    }
}

/* custom_pattern.c - regular expressions of schemas, by PCRE2: close to the RE2 dialect that authors write. Matching is bounded, so that no
 * author's expression can hold the loop. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "object/custom-internal.h"

#include <pcre2.h>

#define STEPS 100000                    /* most backtracking of one match */

struct pattern {
    pcre2_code *code;                   /* NULL: no expression */
    struct str text;
};

static pcre2_code *compile(struct str pattern, int *error, size_t *at)
{
    return pcre2_compile((PCRE2_SPTR)pattern.at, pattern.len, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, error, at, NULL);
}

static struct pattern *pattern_of(struct custom_schema *root, struct str text)
{
    struct pattern *p = map_get(&root->patterns, text);
    int error;
    size_t at;
    if (p)
        return p;
    p = mem_alloc(sizeof *p);
    if (!p)
        return NULL;
    p->code = compile(text, &error, &at);
    p->text = text;                     /* in the schema's tree, which lives as long */
    if (map_put(&root->patterns, p->text, p))
        return p;
    pcre2_code_free(p->code);
    mem_free(p);
    return NULL;
}

bool custom_pattern_matches(struct custom_schema *root, struct str pattern, struct str text)
{
    struct pattern *p = pattern_of(root, pattern);
    pcre2_match_context *c = p && p->code ? pcre2_match_context_create(NULL) : NULL;
    pcre2_match_data *data = c ? pcre2_match_data_create(1, NULL) : NULL;
    int rc = PCRE2_ERROR_NOMATCH;
    if (data) {
        pcre2_set_match_limit(c, STEPS);
        rc = pcre2_match(p->code, (PCRE2_SPTR)(text.at ? text.at : ""), text.len, 0, 0, data, c);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(c);
    return rc >= 0;
}

const char *custom_pattern_check(struct arena *a, struct str pattern)
{
    int error;
    size_t at;
    unsigned char why[120];
    pcre2_code *code = compile(pattern, &error, &at);
    if (code) {
        pcre2_code_free(code);
        return NULL;
    }
    pcre2_get_error_message(error, why, sizeof why);
    return arena_printf(a, "must be a valid regular expression, but isn't: %s at offset %zu", (char *)why, at);
}

void custom_patterns_free(struct custom_schema *s)
{
    struct str key;
    void *value;
    for (size_t at = 0; map_next(&s->patterns, &at, &key, &value);) {
        pcre2_code_free(((struct pattern *)value)->code);
        mem_free(value);
    }
    map_free(&s->patterns);
}

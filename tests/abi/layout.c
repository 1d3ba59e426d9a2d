/* layout.c - size and place of every member of every struct that crosses the plugin boundary, every call, every code. What this prints must
 * not change for as long as the interface ids do not. */
#include <stdio.h>

#include "plugin/signature.h"

static int bad;

struct row {
    const char *name;
    size_t offset, bytes, align;
};

/* Members that a list forgets leave a hole. */
static void check_hole(const char *of, size_t at, size_t next, size_t align, const char *before)
{
    if (next < at || next - at >= align) {
        fprintf(stderr, "%s: the list lacks a member before %s\n", of, before);
        bad = 1;
    }
}

static void print_rows(const char *name, size_t bytes, const struct row *rows, size_t n)
{
    size_t at = 0;
    printf("struct %s %zu\n", name, bytes);
    for (size_t i = 0; i < n; i++) {
        printf("    %-20s %4zu %4zu\n", rows[i].name, rows[i].offset, rows[i].bytes);
        check_hole(name, at, rows[i].offset, rows[i].align, rows[i].name);
        at = rows[i].offset + rows[i].bytes;
    }
    check_hole(name, at, bytes, 8, "the end");
}

#define ROW(S, m) { #m, offsetof(struct S, m), sizeof(((struct S *)0)->m), _Alignof(__typeof__(((struct S *)0)->m)) }
#define PRINT(S, ...) print_rows(#S, sizeof(struct S), (const struct row[]){ __VA_ARGS__ }, sizeof((const struct row[]){ __VA_ARGS__ }) / sizeof(struct row))

static void print_descriptors(void)
{
#define R(m) ROW(kl_bytes, m)
    PRINT(kl_bytes, R(at), R(len));
#undef R
#define R(m) ROW(kl_err, m)
    PRINT(kl_err, R(size), R(code), R(msg));
#undef R
#define R(m) ROW(kl_call, m)
    PRINT(kl_call, R(size), R(flags), R(err), R(deadline_ns), R(trace_id), R(user), R(arena), R(alloc), R(cancelled), R(request), R(places));
#undef R
#define R(m) ROW(kl_places, m)
    PRINT(kl_places, R(size), R(labels), R(owners), R(spec), R(status), R(node), R(managed));
#undef R
#define R(m) ROW(kl_host, m)
    PRINT(kl_host, R(size), R(abi_major), R(name), R(version), R(instance), R(ctx), R(log), R(service));
#undef R
#define R(m) ROW(kl_need, m)
    PRINT(kl_need, R(id), R(optional));
#undef R
#define R(m) ROW(kl_provider, m)
    PRINT(kl_provider, R(iface), R(name), R(rank), R(table));
#undef R
#define R(m) ROW(kl_conf_field, m)
    PRINT(kl_conf_field, R(key), R(type), R(offset), R(flags), R(fallback), R(min), R(max), R(choices), R(doc));
#undef R
#define R(m) ROW(kl_life, m)
    PRINT(kl_life, R(open), R(reconfigure), R(probe), R(close));
#undef R
#define R(m) ROW(kl_plugin, m)
    PRINT(kl_plugin, R(size), R(abi_major), R(id), R(version), R(summary), R(license), R(needs), R(providers), R(conf), R(conf_size));
#undef R
}

/* --- what the signature tables describe --- */

#define SEEN_MOST 64
static const struct kl_sig_struct *seen[SEEN_MOST];
static unsigned n_seen;

static size_t align_of(const struct kl_sig_item *m)
{
    return m->bytes < 8 ? m->bytes : 8;
}

static void print_item(const struct kl_sig_item *m)
{
    printf("%s%s%s", signature_kind_text(m->kind), m->of && signature_kind_text(m->kind)[0] ? " " : "", m->of ? m->of->name : "");
}

static void print_struct(const struct kl_sig_struct *s)
{
    size_t at = sizeof(uint32_t);
    for (unsigned i = 0; i < n_seen; i++)
        if (seen[i] == s)
            return;
    seen[n_seen++] = s;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->members[i].of)
            print_struct(s->members[i].of);
    printf("struct %s %u\n    %-20s %4d %4zu\n", s->name, s->bytes, "size", 0, sizeof(uint32_t));
    for (uint32_t i = 0; i < s->n; i++) {
        const struct kl_sig_item *m = &s->members[i];
        printf("    %-20s %4u %4u  ", m->name, m->offset, m->bytes);
        print_item(m);
        putchar('\n');
        check_hole(s->name, at, m->offset, align_of(m), m->name);
        at = m->offset + m->bytes;
    }
    check_hole(s->name, at, s->bytes, 8, "the end");
}

static void print_call(const struct kl_sig_call *c)
{
    printf("    %-20s %4u %4zu  %s (", c->name, c->offset, sizeof(void (*)(void)), signature_result_text(c->result));
    for (uint32_t i = 0; i < c->n; i++) {
        printf("%s", i ? ", " : "");
        print_item(&c->arguments[i]);
        printf(" %s", c->arguments[i].name);
    }
    printf(")  [%s%s%s%s]\n", signature_thread_text(c->thread), c->flags & KL_SIG_MANY ? ", many" : "",
           c->flags & KL_SIG_STREAMING ? ", streaming" : "", c->flags & KL_SIG_OPTIONAL ? ", optional" : "");
}

static void print_table(const struct kl_sig_table *t)
{
    size_t at = signature_is_service(t) ? sizeof(uint32_t) : offsetof(struct kl_provider, table);
    for (uint32_t i = 0; i < t->n_calls; i++)
        for (uint32_t k = 0; k < t->calls[i].n; k++)
            if (t->calls[i].arguments[k].of)
                print_struct(t->calls[i].arguments[k].of);
    for (uint32_t i = 0; i < t->n_data; i++)
        if (t->data[i].of)
            print_struct(t->data[i].of);
    printf("table %s %u %s\n", t->name, t->bytes, t->id);
    printf("    %-20s %4d %4zu\n", "size", 0, sizeof(uint32_t));
    at = sizeof(uint32_t);
    if (!signature_is_service(t)) {
        printf("    %-20s %4zu %4zu\n", "life", sizeof(void *), sizeof(struct kl_life));
        at = sizeof(void *) + sizeof(struct kl_life);
    }
    for (uint32_t i = 0; i < t->n_data; i++) {
        const struct kl_sig_item *m = &t->data[i];
        printf("    %-20s %4u %4u  ", m->name, m->offset, m->bytes);
        print_item(m);
        putchar('\n');
        check_hole(t->name, at, m->offset, align_of(m), m->name);
        at = m->offset + m->bytes;
    }
    for (uint32_t i = 0; i < t->n_calls; i++) {
        print_call(&t->calls[i]);
        check_hole(t->name, at, t->calls[i].offset, 8, t->calls[i].name);
        at = t->calls[i].offset + sizeof(void (*)(void));
    }
    check_hole(t->name, at, t->bytes, 8, "the end");
}

static void print_codes(void)
{
    printf("codes\n");
    for (int i = 0; i < KL_CODE_END; i++) {
        const struct kl_code_row *r = kl_code_row(i);
        printf("    %-20s %4d %4d %s%s\n", r->name, i, r->http, r->reason, r->retry ? " retry" : "");
    }
    printf("setting types\n    STR %d INT %d BOOL %d DURATION %d QUANTITY %d ENUM %d LIST %d GROUPS %d SECRET %d\n", KL_CONF_STR, KL_CONF_INT,
           KL_CONF_BOOL, KL_CONF_DURATION, KL_CONF_QUANTITY, KL_CONF_ENUM, KL_CONF_LIST, KL_CONF_GROUPS, KL_CONF_SECRET);
    printf("note\n    abi %u type %u name %s at most %u bytes\n", KL_ABI_MAJOR, KL_NOTE_TYPE, KL_NOTE_NAME, KL_NOTE_MAX);
}

int main(void)
{
    print_descriptors();
    for (size_t i = 0; i < signature_count(); i++)
        print_table(signature_at(i));
    print_codes();
    return bad;
}

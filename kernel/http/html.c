/* html.c - see html.h. No parser of HTML: it finds start tags, outside of comments and of what is no markup, and looks at their attributes. */
#include "http/html.h"

#include "base/mem.h"

#include <stdio.h>

#define TAG_MOST (64u << 10)            /* longer ones pass as they are */

enum state { TEXT, TAG, COMMENT, RAW };

struct html_links {
    char *below;
    enum state state;
    struct buf held;                    /* TAG: from its '<' on; COMMENT, RAW: nothing */
    char quote;                         /* TAG: in a value */
    char end[16];                       /* COMMENT, RAW: what ends it */
    size_t seen;                        /* how much of that was there */
};

static const struct {
    const char *tag, *attributes[4];
} rows[] = {
    { "a", { "href" } }, { "applet", { "codebase" } }, { "area", { "href" } }, { "audio", { "src" } }, { "base", { "href" } }, { "blockquote", { "cite" } },
    { "body", { "background" } }, { "button", { "formaction" } }, { "command", { "icon" } }, { "del", { "cite" } }, { "embed", { "src" } }, { "form", { "action" } },
    { "frame", { "longdesc", "src" } }, { "head", { "profile" } }, { "html", { "manifest" } }, { "iframe", { "longdesc", "src" } },
    { "img", { "longdesc", "src", "usemap" } }, { "input", { "src", "usemap", "formaction" } }, { "ins", { "cite" } }, { "link", { "href" } },
    { "object", { "classid", "codebase", "data", "usemap" } }, { "q", { "cite" } }, { "script", { "src" } }, { "source", { "src" } }, { "video", { "poster", "src" } },
};
static const char *const raw_tags[] = { "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes" };

struct html_links *html_links_new(const char *below)
{
    struct html_links *h = mem_alloc(sizeof *h);
    if (!h || !(h->below = mem_dup(below, strlen(below)))) {
        mem_free(h);
        return NULL;
    }
    h->held = (struct buf)BUF_INIT(TAG_MOST + 16);
    return h;
}

void html_links_free(struct html_links *h)
{
    if (!h)
        return;
    buf_free(&h->held);
    mem_free(h->below);
    mem_free(h);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static struct str word(struct str *s, const char *stops)
{
    size_t n = 0;
    while (n < s->len && !is_space(s->at[n]) && !strchr(stops, s->at[n]))
        n++;
    struct str w = str_n(s->at, n);
    *s = str_skip(*s, n);
    return w;
}

static void spaces(struct str *s)
{
    while (s->len && is_space(s->at[0]))
        *s = str_skip(*s, 1);
}

static bool is_url(struct str tag, struct str attribute)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int k = 0; str_eq_nocase(tag, str_of(rows[i].tag)) && k < 4 && rows[i].attributes[k]; k++)
            if (str_eq_nocase(attribute, str_of(rows[i].attributes[k])))
                return true;
    return false;
}

/* The value of an attribute without its quotes; *s goes on behind it. */
static struct str value(struct str *s)
{
    char quote = s->len && (s->at[0] == '"' || s->at[0] == '\'') ? s->at[0] : 0;
    size_t n = 0;
    if (!quote)
        return word(s, ">");
    *s = str_skip(*s, 1);
    while (n < s->len && s->at[n] != quote)
        n++;
    struct str v = str_n(s->at, n);
    *s = str_skip(*s, n + (n < s->len));
    return v;
}

/* A whole tag, "<...>": out it goes, with its links put below. Its name is left. */
static struct str put_tag(const struct html_links *h, struct str all, struct buf *out)
{
    struct str s = str_skip(all, 1), below = str_of(h->below), name = word(&s, "/>");
    const char *done = all.at;
    for (spaces(&s); s.len && s.at[0] != '>'; spaces(&s)) {
        if (s.at[0] == '/') {
            s = str_skip(s, 1);
            continue;
        }
        struct str attribute = word(&s, "/>=");
        spaces(&s);
        if (!s.len || s.at[0] != '=') {
            if (!attribute.len && s.len && s.at[0] != '>')
                s = str_skip(s, 1);
            continue;
        }
        s = str_skip(s, 1);
        spaces(&s);
        struct str v = value(&s);
        bool rooted = v.len && v.at[0] == '/' && !(v.len > 1 && v.at[1] == '/');
        if (!rooted || str_starts(v, below) || !is_url(name, attribute))
            continue;
        buf_add(out, done, (size_t)(v.at - done));
        buf_add_str(out, below);
        done = v.at;
    }
    buf_add(out, done, (size_t)(all.at + all.len - done));
    return name;
}

/* --- bytes --- */

static void until(struct html_links *h, enum state state, const char *end, struct str name)
{
    h->state = state;
    h->seen = 0;
    snprintf(h->end, sizeof h->end, "%s" STR_FMT, end, STR_ARG(name));
}

static void tag_ends(struct html_links *h, struct buf *out)
{
    struct str name = put_tag(h, buf_str(&h->held), out);
    h->state = TEXT;
    for (size_t i = 0; i < sizeof raw_tags / sizeof *raw_tags; i++)
        if (str_eq_nocase(name, str_of(raw_tags[i])))
            until(h, RAW, "</", name);
    buf_clear(&h->held);
}

static void give_up(struct html_links *h, struct buf *out)
{
    buf_add_str(out, buf_str(&h->held));
    buf_clear(&h->held);
    h->state = TEXT;
}

static void in_tag(struct html_links *h, char c, struct buf *out)
{
    size_t n = h->held.len;
    buf_add_c(&h->held, c);
    if (n == 1 && !(lower(c) >= 'a' && lower(c) <= 'z') && c != '!') {          /* no start tag */
        give_up(h, out);
        return;
    }
    if (str_is(buf_str(&h->held), "<!--")) {
        give_up(h, out);
        until(h, COMMENT, "-->", STR(""));
        return;
    }
    if (h->quote)
        h->quote = c == h->quote ? 0 : h->quote;
    else if (c == '"' || c == '\'')
        h->quote = c;
    else if (c == '>')
        tag_ends(h, out);
    if (h->held.len >= TAG_MOST)
        give_up(h, out);
}

/* Passes, until its end was there. */
static void in_passage(struct html_links *h, char c, struct buf *out)
{
    buf_add_c(out, c);
    if (lower(c) == lower(h->end[h->seen]))
        h->seen++;
    else if (!(h->state == COMMENT && c == '-' && h->seen == 2))        /* "--->" */
        h->seen = lower(c) == lower(h->end[0]);
    if (!h->end[h->seen])
        h->state = TEXT;
}

void html_links_feed(struct html_links *h, struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (h->state == TAG) {
            in_tag(h, c, out);
        } else if (h->state != TEXT) {
            in_passage(h, c, out);
        } else if (c == '<') {
            h->state = TAG;
            h->quote = 0;
            buf_add_c(&h->held, c);
        } else {
            buf_add_c(out, c);
        }
    }
    if (h->held.failed)
        out->failed = true;
}

void html_links_end(struct html_links *h, struct buf *out)
{
    give_up(h, out);
}

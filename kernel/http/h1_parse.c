/* h1_parse.c - what requests and answers of HTTP/1.1 have in common: lines, fields, bodies by length or in chunks. Pure. */
#include "http-internal.h"

bool h1_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!memchr("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", s.at[i], 77))
            return false;
    return s.len > 0;
}

bool h1_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f)
            return false;
    return true;
}

bool h1_line(struct str *s, struct str *line, bool *bad)
{
    long n = str_find(*s, '\n');
    if (n < 0)
        return false;
    *line = str_n(s->at, (size_t)n);
    *s = str_skip(*s, (size_t)n + 1);
    if (!line->len || line->at[line->len - 1] != '\r')
        *bad = true;
    else
        line->len--;
    if (memchr(line->at, '\r', line->len))
        *bad = true;
    return true;
}

bool h1_field(struct str line, char room[H1_NAME], struct str *ret_name, struct str *ret_value)
{
    struct str rest = line, n = str_cut(&rest, ':');
    if (!rest.at || !h1_token(n) || n.len >= H1_NAME)           /* folded lines begin with a blank: no token */
        return false;
    for (size_t i = 0; i < n.len; i++)
        room[i] = (char)(n.at[i] >= 'A' && n.at[i] <= 'Z' ? n.at[i] + 32 : n.at[i]);
    *ret_name = str_n(room, n.len);
    *ret_value = str_trim(rest);
    return h1_text(*ret_value);
}

static bool chunk_size(struct str line, uint64_t *ret)
{
    struct str digits = str_cut(&line, ';');
    digits = str_trim(digits);
    *ret = 0;
    if (!digits.len || digits.len > 8)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        char ch = (char)(digits.at[i] | 32);
        int d = digits.at[i] >= '0' && digits.at[i] <= '9' ? digits.at[i] - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
        if (d < 0)
            return false;
        *ret = *ret * 16 + (uint64_t)d;
    }
    return true;
}

static void take(struct h1_body *b, struct str *s, void (*part)(void *ctx, struct str part), void *ctx)
{
    size_t n = s->len < b->left || b->state == BODY_UNTIL_END ? s->len : (size_t)b->left;
    struct str now = str_n(s->at, n);
    if (b->state != BODY_UNTIL_END)
        b->left -= n;
    *s = str_skip(*s, n);
    if (b->left == 0 && b->state != BODY_UNTIL_END)
        b->state = b->state == BODY_LENGTH ? BODY_DONE : BODY_CHUNK_END;
    part(ctx, now);
}

int h1_body_read(struct h1_body *b, struct str *s, void (*part)(void *ctx, struct str part), void *ctx)
{
    struct str line;
    bool bad = false;
    while (b->state != BODY_DONE) {
        if (b->state == BODY_LENGTH || b->state == BODY_CHUNK || b->state == BODY_UNTIL_END) {
            if (!s->len || b->paused)
                return 0;
            take(b, s, part, ctx);
            continue;
        }
        if (!h1_line(s, &line, &bad))
            return s->len > H1_LINE ? -1 : 0;
        if (b->state == BODY_CHUNK_END) {
            bad |= line.len != 0;
            b->state = BODY_CHUNK_SIZE;
        } else if (b->state == BODY_TRAILER) {
            b->trailer += line.len + 2;
            if (!line.len)
                b->state = BODY_DONE;
        } else {
            bad |= !chunk_size(line, &b->left);
            b->state = b->left ? BODY_CHUNK : BODY_TRAILER;
        }
        if (bad || b->trailer > HEADER_BYTES_MOST)
            return -1;
    }
    return 1;
}

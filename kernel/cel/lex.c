/* lex.c - an expression as tokens, and what literals mean. */
#include <ctype.h>

#include "cel/cel-internal.h"

static unsigned char peek(const struct lexer *l, size_t ahead)
{
    return l->pos + ahead < l->text.len ? (unsigned char)l->text.at[l->pos + ahead] : 0;
}

static void skip_blank(struct lexer *l)
{
    while (l->pos < l->text.len) {
        unsigned char c = peek(l, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f') {
            l->pos++;
        } else if (c == '/' && peek(l, 1) == '/') {
            while (l->pos < l->text.len && peek(l, 0) != '\n')
                l->pos++;
        } else {
            return;
        }
    }
}

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void take(struct lexer *l, enum token t, size_t n)
{
    l->token = t;
    l->word = str_n(l->text.at + l->pos, n);
    l->pos += (uint32_t)n;
}

static size_t point_len(const struct lexer *l, size_t ahead)
{
    size_t n = 1;
    while ((peek(l, ahead + n) & 0xc0) == 0x80)
        n++;
    return n;
}

/* --- numbers and names --- */

static size_t digits(const struct lexer *l, size_t n)
{
    while (isdigit(peek(l, n)))
        n++;
    return n;
}

static size_t exponent(const struct lexer *l, size_t n)
{
    size_t e = n + 1;
    if (peek(l, n) != 'e' && peek(l, n) != 'E')
        return n;
    if (peek(l, e) == '+' || peek(l, e) == '-')
        e++;
    return isdigit(peek(l, e)) ? digits(l, e) : n;
}

static void lex_number(struct lexer *l)
{
    size_t n = digits(l, 0), hex = 2;
    if (peek(l, 0) == '0' && peek(l, 1) == 'x' && isxdigit(peek(l, 2))) {
        while (isxdigit(peek(l, hex)))
            hex++;
        bool is_unsigned = peek(l, hex) == 'u' || peek(l, hex) == 'U';
        take(l, is_unsigned ? TOK_UINT : TOK_INT, hex + is_unsigned);
        return;
    }
    size_t end = n;
    if (peek(l, n) == '.' && isdigit(peek(l, n + 1)))
        end = digits(l, n + 1);
    end = exponent(l, end);
    if (end > n)
        take(l, TOK_DOUBLE, end);
    else if (peek(l, n) == 'u' || peek(l, n) == 'U')
        take(l, TOK_UINT, n + 1);
    else
        take(l, TOK_INT, n);
}

static void lex_name(struct lexer *l)
{
    static const struct {
        const char *word;
        enum token token;
    } words[] = { { "true", TOK_TRUE }, { "false", TOK_FALSE }, { "null", TOK_NULL }, { "in", TOK_IN } };
    size_t n = 0;
    while (is_letter(peek(l, n)) || isdigit(peek(l, n)))
        n++;
    take(l, TOK_IDENT, n);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(l->word, words[i].word))
            l->token = words[i].token;
}

static bool lex_escaped_name(struct lexer *l)
{
    size_t n = 1;
    while (is_letter(peek(l, n)) || isdigit(peek(l, n)) || (peek(l, n) && strchr(".-/ ", peek(l, n))))
        n++;
    if (n == 1 || peek(l, n) != '`')
        return false;
    take(l, TOK_ESCAPED, n + 1);
    return true;
}

/* --- strings --- */

/* Length of the escape at n, 0: it is none. */
static size_t escape_len(const struct lexer *l, size_t n)
{
    unsigned char c = peek(l, n + 1);
    size_t more = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c && strchr("abfnrtv\"'\\?`", c))
        return 2;
    for (size_t i = 0; i < more; i++)
        if (!isxdigit(peek(l, n + 2 + i)))
            return 0;
    if (more)
        return 2 + more;
    return c >= '0' && c <= '3' && peek(l, n + 2) >= '0' && peek(l, n + 2) <= '7' && peek(l, n + 3) >= '0' && peek(l, n + 3) <= '7' ? 4 : 0;
}

/* Where the string ends that begins at n with that quote; 0: nowhere. *ret_stop: how far it got. */
static size_t string_end(const struct lexer *l, size_t n, bool raw, bool triple, size_t *ret_stop)
{
    unsigned char quote = peek(l, n);
    n += triple ? 3 : 1;
    while (l->pos + n < l->text.len) {
        unsigned char c = peek(l, n);
        size_t escape = !raw && c == '\\' ? escape_len(l, n) : 1;
        *ret_stop = n;
        if (c == quote && !triple)
            return n + 1;
        if (c == quote && triple && peek(l, n + 1) == quote && peek(l, n + 2) == quote)
            return n + 3;
        if (!escape || (!triple && (c == '\n' || c == '\r')))
            return 0;
        n += escape;
    }
    *ret_stop = n;
    return 0;
}

/* Prefixes r and b in front of a quote. */
static bool lex_string(struct lexer *l)
{
    size_t n = 0, stop = 0;
    bool bytes = peek(l, 0) == 'b' || peek(l, 0) == 'B', raw;
    n += bytes;
    raw = peek(l, n) == 'r' || peek(l, n) == 'R';
    n += raw;
    unsigned char quote = peek(l, n);
    if (quote != '"' && quote != '\'')
        return false;
    bool triple = peek(l, n + 1) == quote && peek(l, n + 2) == quote;
    size_t end = triple ? string_end(l, n, raw, true, &stop) : 0;
    if (!end)
        end = string_end(l, n, raw, false, &stop);
    if (end) {
        take(l, bytes ? TOK_BYTES : TOK_STRING, end);
        return true;
    }
    if (l->pos + stop < l->text.len && peek(l, stop) == '\\')
        stop += 2;
    if (l->pos + stop > l->text.len)
        stop = l->text.len - l->pos;
    trouble(l->troubles, l->pos, "Syntax error: token recognition error at: '" STR_FMT "'", (int)stop, l->text.at + l->pos);
    l->pos += (uint32_t)stop;
    lex_next(l);
    return true;
}

/* --- all --- */

static const struct {
    const char *text;
    enum token token;
} signs[] = {
    { "==", TOK_EQ }, { "!=", TOK_NE }, { "<=", TOK_LE }, { ">=", TOK_GE }, { "&&", TOK_AND }, { "||", TOK_OR }, { "<", TOK_LT },
    { ">", TOK_GT }, { "[", TOK_LBRACKET }, { "]", TOK_RBRACKET }, { "{", TOK_LBRACE }, { "}", TOK_RBRACE }, { "(", TOK_LPAREN },
    { ")", TOK_RPAREN }, { ".", TOK_DOT }, { ",", TOK_COMMA }, { "-", TOK_MINUS }, { "!", TOK_NOT }, { "?", TOK_QUESTION },
    { ":", TOK_COLON }, { "+", TOK_PLUS }, { "*", TOK_STAR }, { "/", TOK_SLASH }, { "%", TOK_PERCENT },
};

static bool lex_sign(struct lexer *l)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (str_starts(str_skip(l->text, l->pos), str_of(signs[i].text))) {
            take(l, signs[i].token, strlen(signs[i].text));
            return true;
        }
    return false;
}

static bool lex_one(struct lexer *l)
{
    unsigned char c = peek(l, 0);
    if (isdigit(c) || (c == '.' && isdigit(peek(l, 1)))) {
        if (c == '.') {
            size_t n = exponent(l, digits(l, 1));
            take(l, TOK_DOUBLE, n);
        } else {
            lex_number(l);
        }
        return true;
    }
    if ((c == '"' || c == '\'' || c == 'r' || c == 'R' || c == 'b' || c == 'B') && lex_string(l))
        return true;
    if (is_letter(c)) {
        lex_name(l);
        return true;
    }
    return c == '`' ? lex_escaped_name(l) : lex_sign(l);
}

void lex_next(struct lexer *l)
{
    for (;;) {
        skip_blank(l);
        l->at = l->pos;
        l->token = TOK_END;
        l->word = STR("<EOF>");
        if (l->pos >= l->text.len || lex_one(l))
            return;
        size_t n = point_len(l, 0);
        if ((peek(l, 0) == '|' || peek(l, 0) == '&') && l->pos + n < l->text.len)
            n += point_len(l, n);
        trouble(l->troubles, l->pos, "Syntax error: token recognition error at: '" STR_FMT "'", (int)n, l->text.at + l->pos);
        l->pos += (uint32_t)n;
    }
}

/* --- values of literals --- */

static void put_point(struct buf *b, uint32_t c)
{
    char at[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        at[i] = (char)(0x80 | (c & 0x3f));
    at[0] = (char)(lead[n] | c);
    buf_add(b, at, n);
}

static const char *unescape(struct buf *b, struct str *s, bool bytes)
{
    static const char from[] = "abfnrtv\\'\"`?", to[] = "\a\b\f\n\r\t\v\\'\"`?";
    unsigned char c = (unsigned char)s->at[1];
    const char *simple = strchr(from, c);
    size_t n = c == 'u' ? 4 : c == 'U' ? 8 : c == 'x' || c == 'X' ? 2 : 0, i;
    uint32_t v = 0;
    if (c && simple) {
        buf_add_c(b, to[simple - from]);
        *s = str_skip(*s, 2);
        return NULL;
    }
    if (bytes && n > 2)
        return "unable to unescape string";
    if (n)
        for (i = 0; i < n; i++) {
            unsigned char h = (unsigned char)s->at[2 + i];
            v = v << 4 | (uint32_t)(isdigit(h) ? h - '0' : tolower(h) - 'a' + 10);
        }
    else
        v = (uint32_t)(c - '0') << 6 | (uint32_t)(s->at[2] - '0') << 3 | (uint32_t)(s->at[3] - '0');
    *s = str_skip(*s, n ? 2 + n : 4);
    if (bytes)
        buf_add_c(b, (char)v);
    else if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return "invalid unicode code point";
    else
        put_point(b, v);
    return NULL;
}

const char *lex_unquote(struct arena *a, struct str word, bool bytes, struct str *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const char *why = NULL;
    if (bytes)
        word = str_skip(word, 1);
    bool raw = word.at[0] == 'r' || word.at[0] == 'R';
    if (raw)
        word = str_skip(word, 1);
    size_t q = word.len >= 6 && word.at[1] == word.at[0] && word.at[2] == word.at[0] ? 3 : 1;
    struct str s = str_n(word.at + q, word.len - 2 * q);
    buf_add(&b, "", 0);
    while (s.len && !why) {
        if (s.at[0] == '\\' && !raw) {
            why = unescape(&b, &s, bytes);
        } else if (s.at[0] == '\r') {               /* newlines are all one */
            buf_add_c(&b, '\n');
            s = str_skip(s, s.len > 1 && s.at[1] == '\n' ? 2 : 1);
        } else {
            buf_add_c(&b, s.at[0]);
            s = str_skip(s, 1);
        }
    }
    *ret = arena_str(a, buf_str(&b));
    return why ? why : b.failed || !ret->at ? "out of memory" : NULL;
}

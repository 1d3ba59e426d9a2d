/* Links of a proxied page, however it is cut into pieces. */
#include "base/cleanup.h"
#include "http/html.h"

#include <criterion/criterion.h>

Test(html, links)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "<a href=\"/x\">t</a>", "<a href=\"/p/x\">t</a>" }, { "<A HREF='/x'>", "<A HREF='/p/x'>" }, { "<a href=/x>", "<a href=/p/x>" },
        { "<a href=\"x\"><a href=\"//h/x\"><a href=\"http://h/x\"><a href=\"\">", NULL }, { "<a href=\"/p/x\">", NULL }, { "<a title=\"/x\" >", NULL },
        { "<img alt=\"a>b\" src = \"/i\" longdesc='/l'/>", "<img alt=\"a>b\" src = \"/p/i\" longdesc='/p/l'/>" },
        { "<p href=\"/x\">/x a<b <1 <", NULL }, { "<!-- <a href=\"/x\"> -- > --->", NULL }, { "<!-- x --><a href=\"/x\">", "<!-- x --><a href=\"/p/x\">" },
        { "<script>w('<a href=\"/x\">')</script><a href=\"/x\">", "<script>w('<a href=\"/x\">')</script><a href=\"/p/x\">" },
        { "<script src=\"/s\"></SCRIPT><link href=\"/c\">", "<script src=\"/p/s\"></SCRIPT><link href=\"/p/c\">" },
        { "<!DOCTYPE html><html><body background=/b>", "<!DOCTYPE html><html><body background=/p/b>" }, { "<a href=\"/x", NULL }, { "<a =/x href>", NULL },
        { "<form action=\"/go?a=1&amp;b=2\" method=post>", "<form action=\"/p/go?a=1&amp;b=2\" method=post>" }, { "", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 1; step < 4; step++) {
            struct html_links *h = html_links_new("/p");
            _cleanup_buf_ struct buf out = BUF_INIT(0);
            for (size_t at = 0, n = strlen(rows[i].in); at < n; at += step)
                html_links_feed(h, str_n(rows[i].in + at, n - at < step ? n - at : step), &out);
            html_links_end(h, &out);
            html_links_free(h);
            const char *want = rows[i].out ? rows[i].out : rows[i].in;
            cr_expect(str_eq(buf_str(&out), str_of(want)), "%s gives " STR_FMT, rows[i].in, STR_ARG(buf_str(&out)));
        }
}

/* What never ends is not kept. */
Test(html, a_tag_of_any_length_passes)
{
    struct html_links *h = html_links_new("/p");
    _cleanup_buf_ struct buf out = BUF_INIT(0);
    html_links_feed(h, STR("<a href=\""), &out);
    for (int i = 0; i < 200000; i++)
        html_links_feed(h, STR("x"), &out);
    html_links_end(h, &out);
    cr_expect_eq(out.len, 200009);
    html_links_free(h);
}

/* html.h - links of a page that is shown below a path of its own (pods/proxy): "/a" becomes "/below/a" in the attributes that HTML has for URLs. Streaming. [loop] */
#ifndef HTTP_HTML_H
#define HTTP_HTML_H

#include "base/buf.h"

struct html_links;

struct html_links *html_links_new(const char *below);           /* NULL: out of memory */
/* Appends what can be said already. */
void html_links_feed(struct html_links *h, struct str in, struct buf *out);
void html_links_end(struct html_links *h, struct buf *out);
void html_links_free(struct html_links *h);                     /* NULL is fine */

#endif

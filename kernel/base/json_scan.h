/* json_scan.h - looks into JSON text without making a tree: no allocation, one pass. For well-formed text only (what the store
 * holds); on anything else the answer is "not there", never a read past the end.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/str.h"

/* Text of the member's value ("\"x\"", "{...}", "12"); STR_NONE: not there. Keys with escapes are compared as written. */
struct str json_scan_member(struct str object, struct str key);
/* By names with dots. */
struct str json_scan_path(struct str object, const char *path);
/* Several of them in one pass, at most JSON_SCAN_PATHS: ret[i] is what json_scan_path says of paths[i], each one or two names ("spec.nodeName"). */
#define JSON_SCAN_PATHS 16
void json_scan_paths(struct str object, const char *const *paths, unsigned n, struct str *ret);
/* The same without looking for the value's end: what begins there and whatever follows, for json_scan_next and json_scan_item, which stop
 * where it ends. */
struct str json_scan_open(struct str object, const char *path);
/* The value that an open text begins with, alone. */
struct str json_scan_value(struct str open);
/* Next member of an object's text. *at starts as the text itself. False: the end. */
bool json_scan_next(struct str *at, struct str *ret_key, struct str *ret_value);
/* Next item of an array's text; the same way. */
bool json_scan_item(struct str *at, struct str *ret_value);
/* Content of a string value's text, between the quotes; escapes stay. STR_NONE: not a string. */
struct str json_scan_text(struct str value);

#endif

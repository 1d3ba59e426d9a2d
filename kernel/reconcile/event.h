/* event.h - writes Events: repeated ones count up, floods are cut, as upstream's recorder does. */
#ifndef RECONCILE_EVENT_H
#define RECONCILE_EVENT_H

#include "loop/loop.h"
#include "reconcile/objects.h"

struct event_recorder;

struct event_recorder *event_recorder_new(struct loop *l, struct objects *o);
void event_recorder_free(struct event_recorder *r);
/* [any] about: JSON {"apiVersion","kind","namespace","name","uid"[,"fieldPath"]}. */
void event_record(struct event_recorder *r, const char *who, struct str about, const char *type, const char *reason, const char *message);

/* The same here and now, for objects that must not be asked on the loop; one thread at a time, and no other use of the recorder. */
void event_write(struct event_recorder *r, const char *who, struct str about, const char *type, const char *reason, const char *message);

#endif

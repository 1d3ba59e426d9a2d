/* particular.h - the interfaces of particular_state.c. */
#ifndef CONFORMANCE_PARTICULAR_H
#define CONFORMANCE_PARTICULAR_H

#include "bench.h"

void particular_store(struct bench *b);         /* closes and opens b again */
void particular_runtime(struct bench *b);
void particular_layer(struct bench *b);
void particular_network(struct bench *b);
void particular_proxy(struct bench *b);
void particular_node(struct bench *b);
void particular_volume(struct bench *b);        /* closes and opens b again */
void particular_audit(struct bench *b);

#endif

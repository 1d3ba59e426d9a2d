/* replay.h - a session of layer-record against another plugin file. */
#ifndef CONFORMANCE_REPLAY_H
#define CONFORMANCE_REPLAY_H

#include <stdio.h>

struct replay_options {
    const char *session, *file;
    const char *settings;               /* as of conform.h, or NULL */
    const char *instance;               /* only what was asked of that one; NULL: of all that the file has a provider for */
};

/* 0: all answers are as they were; 1: some differ (the first are told), or the file is no plugin; 2: wrong use. */
int replay_run(const struct replay_options *o, FILE *to);

#endif

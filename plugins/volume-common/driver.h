/* driver.h - the life of a driver whose only state is what it is configured with. [loop] */
#ifndef VOLUME_COMMON_DRIVER_H
#define VOLUME_COMMON_DRIVER_H

#include <keelson/plugin.h>

/* Each driver has its own; the first member is `const char *dir`, the absolute path of the folder of its volumes. */
struct conf;

struct driver {
    const struct conf *conf;
};

/* kl_life's open and close. KL_INVALID: dir is not absolute. */
int driver_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c);
void driver_close(void *self);

#endif

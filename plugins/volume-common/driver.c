/* driver.c - see driver.h. */
#include "driver.h"

#include "base/mem.h"

int driver_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const char *dir = *(const char *const *)conf;
    (void)h;
    if (dir[0] != '/')
        return kl_fail(c, KL_INVALID, "dir '%s' is not an absolute path", dir);
    struct driver *d = mem_alloc(sizeof *d);
    if (!d)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    d->conf = conf;
    *self = d;
    return 0;
}

void driver_close(void *self)
{
    mem_free(self);
}

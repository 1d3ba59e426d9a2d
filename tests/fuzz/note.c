/* note.c - a file of any content: its note is read or it is refused with a sentence. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "plugin/plugin.h"

FUZZ(data)
{
    static int fd = -1;
    static char path[64];
    struct plugin_note n;
    struct kl_err err;
    kl_err_init(&err);
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(ftruncate(fd, 0) == 0 && pwrite(fd, data.at, data.len, 0) == (ssize_t)data.len);
    if (plugin_note_read(path, &n, &err) < 0) {
        fuzz_failed(&err);
        must(strstr(err.msg, path));
        return;
    }
    must(n.id[0] && strlen(n.id) < sizeof n.id && strlen(n.version) < sizeof n.version && strlen(n.provides) < sizeof n.provides);
}

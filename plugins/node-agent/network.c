/* network.c - counters of interfaces, as any process of a pod sees them in /proc/PID/net/dev. */
#include "sample.h"

enum { RX_BYTES, RX_PACKETS, RX_ERRORS, RX_DROPS, TX_BYTES = 8, TX_PACKETS, TX_ERRORS, TX_DROPS, COLUMNS = 16 };

static bool read_line(struct str line, struct link_use *ret)
{
    int64_t at[COLUMNS] = { 0 };
    struct str name = str_trim(str_cut(&line, ':'));
    if (!line.at || str_is(name, "lo"))
        return false;
    for (int i = 0; line.at && i < COLUMNS;) {
        struct str word = str_cut(&line, ' ');
        if (word.len)
            str_int(word, &at[i++]);
    }
    *ret = (struct link_use){ name, at[RX_BYTES], at[RX_PACKETS], at[RX_ERRORS], at[RX_DROPS], at[TX_BYTES], at[TX_PACKETS], at[TX_ERRORS], at[TX_DROPS] };
    return true;
}

size_t network_use(struct arena *ar, int64_t pid, struct link_use *ret, size_t most)
{
    char *path = pid > 0 ? arena_printf(ar, "/proc/%lld/net/dev", (long long)pid) : NULL;
    struct str text = path ? fs_get(ar, path, 65536) : STR_NONE;
    size_t n = 0;
    while (text.at && n < most)
        n += read_line(str_cut(&text, '\n'), &ret[n]);
    return n;
}

/* The pump without containers: which sizes it tells, and that it says the last one again. */
#include "stream.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

struct sizes {
    unsigned at[16][2];
    atomic_uint n;
    unsigned wanted;
    int peer;
};

static void set_size(void *ctx, unsigned columns, unsigned rows)
{
    struct sizes *s = ctx;
    unsigned n = atomic_load(&s->n);
    if (n == 16)
        return;
    s->at[n][0] = columns;
    s->at[n][1] = rows;
    atomic_store(&s->n, n + 1);
    if (n + 1 == s->wanted) {           /* the far side ends: so does the pump */
        close(s->peer);
        s->peer = -1;
    }
}

static void run(bool again, unsigned wanted, struct sizes *ret)
{
    static const char lines[] = "82 26\n81 25\n";
    int far[2], resize[2];
    cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, far) == 0 && pipe(resize) == 0);
    cr_assert_eq(write(resize[1], lines, sizeof lines - 1), (ssize_t)sizeof lines - 1);
    *ret = (struct sizes){ .wanted = wanted, .peer = far[1] };
    struct stream_pair p = { .in = -1, .out = -1, .err = -1, .far = far[0], .done = -1, .resize = resize[0], .set_size = set_size, .ctx = ret,
                             .size_again = again };
    cr_assert_eq(stream_packets(&p), 0);
    close(far[0]);
    close(resize[0]);
    close(resize[1]);
}

Test(stream, sizes_once)
{
    struct sizes s;
    run(false, 2, &s);
    cr_expect(s.n == 2 && s.at[0][0] == 82 && s.at[1][0] == 81 && s.at[1][1] == 25);
}

Test(stream, the_last_size_again)
{
    struct sizes s;
    run(true, 4, &s);
    cr_assert_eq(s.n, 4);
    for (int i = 1; i < 4; i++)
        cr_expect(s.at[i][0] == 81 && s.at[i][1] == 25, "%d", i);
}

/* json.c - perf_json: how fast base/json parses the object in a file; prints MB/s per CPU-second. usage: perf_json FILE */
#include <stdio.h>
#include <time.h>

#include "base/json.h"

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static char text[1 << 20];
    FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
    size_t len = f ? fread(text, 1, sizeof text, f) : 0, rounds = 0;
    struct arena *a = arena_new(0);
    struct kl_err err;
    kl_err_init(&err);
    double began = cpu();
    for (; cpu() - began < 1; rounds++) {
        arena_reset(a);
        if (!json_parse(a, str_n(text, len), &err)) {
            fprintf(stderr, "perf_json: %s\n", err.msg);
            return 1;
        }
    }
    printf("%.0f\n", (double)len * (double)rounds / (cpu() - began) / 1e6);
    arena_free(a);
    if (f)
        fclose(f);
    return 0;
}

/* measure.c - clocks, percentiles and files of the load generator. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "load.h"

double load_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double load_cpu(int pid)
{
    clockid_t id;
    struct timespec t = { 0 };
    if (pid && clock_getcpuclockid(pid, &id) == 0)
        clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

char *load_file(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "re");
    char *at = f ? malloc(4 << 20) : NULL;
    *ret_len = at ? fread(at, 1, 4 << 20, f) : 0;
    if (f)
        fclose(f);
    return at;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

uint32_t load_percentile(struct load_counts *n, double p)
{
    if (!n->n_latency)
        return 0;
    qsort(n->latency_us, n->n_latency, sizeof *n->latency_us, by_size);
    return n->latency_us[(size_t)((double)(n->n_latency - 1) * p)];
}

void load_keep(struct load_counts *n, double us)
{
    if (n->n_latency == n->cap_latency) {
        size_t cap = n->cap_latency ? n->cap_latency * 2 : 65536;
        uint32_t *at = cap > (64u << 20) ? NULL : realloc(n->latency_us, cap * sizeof *at);
        if (!at)
            return;
        n->latency_us = at;
        n->cap_latency = cap;
    }
    n->latency_us[n->n_latency++] = (uint32_t)us;
}

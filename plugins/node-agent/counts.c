/* counts.c - see counts.h. */
#include "counts.h"

#include <pthread.h>
#include <string.h>

#define SIGNALS_MOST 8

static const struct {
    const char *name, *help;
} rows[COUNTS] = {
    [COUNT_PODS_STARTED] = { "kubelet_started_pods_total", "Cumulative number of pods started" },
    [COUNT_POD_START_ERRORS] = { "kubelet_started_pods_errors_total", "Cumulative number of errors when starting pods" },
    [COUNT_IMAGES_REMOVED] = { "kubelet_image_garbage_collected_total", "Total number of images garbage collected by the kubelet, whether through disk usage or image age." },
};

static const struct prom_bounds start_bounds = { 18, { 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360 } };

static atomic_ullong counted[COUNTS];
static atomic_llong beat;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;       /* of what follows */
static struct prom_histogram starts = { .bounds = &start_bounds };
static struct {
    const char *signal;
    uint64_t n;
} evictions[SIGNALS_MOST];

void count_add(enum count what)
{
    atomic_fetch_add(&counted[what], 1);
}

void count_beat(int64_t mono_ns)
{
    atomic_store(&beat, mono_ns);
}

int64_t counts_beat(void)
{
    return atomic_load(&beat);
}

void count_pod_start(int64_t ns)
{
    pthread_mutex_lock(&lock);
    prom_observe(&starts, (double)ns / 1e9);
    pthread_mutex_unlock(&lock);
}

void count_eviction(const char *signal)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SIGNALS_MOST; i++) {
        if (evictions[i].signal && strcmp(evictions[i].signal, signal) != 0)
            continue;
        evictions[i].signal = signal;
        evictions[i].n++;
        break;
    }
    pthread_mutex_unlock(&lock);
}

void counts_tell(struct prom *p)
{
    counts_tell_starts(p);
    counts_tell_ends(p);
    for (size_t i = 0; i < COUNTS; i++) {
        prom_family(p, rows[i].name, PROM_COUNTER, rows[i].help);
        prom_count(p, NULL, atomic_load(&counted[i]));
    }
    pthread_mutex_lock(&lock);
    prom_family(p, "kubelet_pod_start_duration_seconds", PROM_HISTOGRAM, "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run");
    prom_buckets(p, NULL, &starts);
    prom_family(p, "kubelet_evictions", PROM_COUNTER, "Cumulative number of pod evictions by eviction signal");
    for (size_t i = 0; i < SIGNALS_MOST && evictions[i].signal; i++)
        prom_count(p, (struct prom_label[]){ { "eviction_signal", evictions[i].signal }, { NULL, NULL } }, evictions[i].n);
    pthread_mutex_unlock(&lock);
}

/* heap.c - see heap.h. The file's relocations name each import and the place where its address lies. */
#include "heap.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 65536u                    /* a power of two */
#define FREED 64u
#define LARGE 65536u                    /* such pieces go back to the system, and their addresses come again as something else */

struct slot {
    const void *at;                     /* NULL: empty; GRAVE: was used */
    size_t bytes;
    unsigned long serial;
    const char *call;
};

static struct {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
    struct {
        const char *at;
        size_t bytes;
    } freed[FREED];
    unsigned next_freed, counted, fail_at;
    size_t live;
    unsigned long serial;
    const char *call;
} heap = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char grave;
#define GRAVE ((const void *)&grave)

static struct slot *find(uintptr_t at)
{
    for (size_t i = (at >> 4) * 2654435761u % SLOTS, n = 0; n < SLOTS && heap.slots[i].at; i = (i + 1) % SLOTS, n++)
        if ((uintptr_t)heap.slots[i].at == at)
            return &heap.slots[i];
    return NULL;
}

static void add(const void *at, size_t bytes)
{
    pthread_mutex_lock(&heap.lock);
    for (unsigned i = 0; i < FREED; i++)
        if (heap.freed[i].at && heap.freed[i].at < (const char *)at + bytes && heap.freed[i].at + heap.freed[i].bytes > (const char *)at)
            heap.freed[i].at = NULL;    /* used again, in whatever pieces */
    for (size_t i = ((uintptr_t)at >> 4) * 2654435761u % SLOTS, n = 0; n < SLOTS; i = (i + 1) % SLOTS, n++) {
        if (heap.slots[i].at && heap.slots[i].at != GRAVE)
            continue;
        heap.slots[i] = (struct slot){ at, bytes, ++heap.serial, heap.call };
        heap.live++;
        break;
    }
    pthread_mutex_unlock(&heap.lock);
}

static void drop(uintptr_t at)
{
    pthread_mutex_lock(&heap.lock);
    struct slot *s = find(at);
    if (s) {
        if (s->bytes < LARGE) {
            heap.freed[heap.next_freed % FREED].at = s->at;
            heap.freed[heap.next_freed++ % FREED].bytes = s->bytes;
        }
        s->at = GRAVE;
        heap.live--;
    }
    pthread_mutex_unlock(&heap.lock);
}

bool heap_count_one(void)
{
    pthread_mutex_lock(&heap.lock);
    bool fails = ++heap.counted == heap.fail_at;
    pthread_mutex_unlock(&heap.lock);
    return fails;
}

/* --- what the imports become --- */

static void *kept(void *at, size_t bytes)
{
    if (at)
        add(at, bytes);
    return at;
}

static bool no_memory(void)
{
    if (!heap_count_one())
        return false;
    errno = ENOMEM;
    return true;
}

static void *on_malloc(size_t n)
{
    return no_memory() ? NULL : kept(malloc(n), n);
}

static void *on_calloc(size_t n, size_t each)
{
    return no_memory() ? NULL : kept(calloc(n, each), n * each);
}

static void *on_realloc(void *at, size_t n)
{
    if (n && no_memory())
        return NULL;
    if (at)                             /* first: another thread may be given that address at once */
        drop((uintptr_t)at);
    return kept(realloc(at, n), n);
}

static void *on_reallocarray(void *at, size_t n, size_t each)
{
    size_t all;
    if (__builtin_mul_overflow(n, each, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return on_realloc(at, all);
}

static void on_free(void *at)
{
    int keep = errno;
    if (at)
        drop((uintptr_t)at);
    free(at);
    errno = keep;
}

static char *on_strdup(const char *s)
{
    return no_memory() ? NULL : kept(strdup(s), strlen(s) + 1);
}

static char *on_strndup(const char *s, size_t n)
{
    return no_memory() ? NULL : kept(strndup(s, n), n + 1);
}

static void *on_aligned_alloc(size_t align, size_t n)
{
    return no_memory() ? NULL : kept(aligned_alloc(align, n), n);
}

static int on_posix_memalign(void **ret, size_t align, size_t n)
{
    int rc = no_memory() ? ENOMEM : posix_memalign(ret, align, n);
    if (rc == 0)
        kept(*ret, n);
    return rc;
}

static void *on_new_nothrow(size_t n, const void *nothrow)
{
    (void)nothrow;
    return on_malloc(n);
}

static void on_delete_sized(void *at, size_t n)
{
    (void)n;
    on_free(at);
}

static const struct {
    const char *name;
    void (*to)(void);
} imports[] = {
#define TO(f) (void (*)(void))(f)
    { "malloc", TO(on_malloc) }, { "calloc", TO(on_calloc) }, { "realloc", TO(on_realloc) }, { "reallocarray", TO(on_reallocarray) },
    { "free", TO(on_free) }, { "cfree", TO(on_free) }, { "strdup", TO(on_strdup) }, { "__strdup", TO(on_strdup) }, { "strndup", TO(on_strndup) },
    { "__strndup", TO(on_strndup) }, { "aligned_alloc", TO(on_aligned_alloc) }, { "posix_memalign", TO(on_posix_memalign) },
};

/* C++: new without exceptions may fail, and then its memory is freed by delete: all of them, so that pairs stay pairs. new that throws has no way to
 * fail here, and stays with the library. */
static const struct {
    const char *name;
    void (*to)(void);
} imports_cpp[] = {
    { "_ZnwmRKSt9nothrow_t", TO(on_new_nothrow) }, { "_ZnamRKSt9nothrow_t", TO(on_new_nothrow) },
    { "_ZdlPv", TO(on_free) }, { "_ZdaPv", TO(on_free) }, { "_ZdlPvm", TO(on_delete_sized) }, { "_ZdaPvm", TO(on_delete_sized) },
};

/* --- the file's imports --- */

struct file {
    ElfW(Addr) base;
    const ElfW(Sym) *symbols;
    const char *names;
    bool cpp;                           /* libstdc++'s allocator is malloc's (not so under AddressSanitizer) */
};

static void (*replacement(const struct file *f, const char *name))(void)
{
    for (size_t i = 0; i < sizeof imports / sizeof *imports; i++)
        if (strcmp(name, imports[i].name) == 0)
            return imports[i].to;
    for (size_t i = 0; f->cpp && i < sizeof imports_cpp / sizeof *imports_cpp; i++)
        if (strcmp(name, imports_cpp[i].name) == 0)
            return imports_cpp[i].to;
    return NULL;
}

static bool names_an_address(uint64_t info)
{
#if defined(__aarch64__)
    return ELF64_R_TYPE(info) == R_AARCH64_JUMP_SLOT || ELF64_R_TYPE(info) == R_AARCH64_GLOB_DAT;
#else
    return ELF64_R_TYPE(info) == R_X86_64_JUMP_SLOT || ELF64_R_TYPE(info) == R_X86_64_GLOB_DAT;
#endif
}

static void turn(const struct file *f, const ElfW(Rela) *rela, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; rela && i < bytes / sizeof *rela; i++) {
        if (!names_an_address(rela[i].r_info))
            continue;
        void (*to)(void) = replacement(f, f->names + f->symbols[ELF64_R_SYM(rela[i].r_info)].st_name);
        void *slot = (void *)(f->base + rela[i].r_offset);
        if (!to)
            continue;
        mprotect((void *)((uintptr_t)slot / page * page), page, PROT_READ | PROT_WRITE);
        memcpy(slot, &to, sizeof to);
    }
}

bool heap_watch(void *handle)
{
    struct link_map *map = NULL;
    struct file f = { .cpp = dlsym(RTLD_DEFAULT, "__asan_init") == NULL };
    const ElfW(Rela) *plt = NULL, *rela = NULL;
    size_t plt_bytes = 0, rela_bytes = 0;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
        return false;
    f.base = map->l_addr;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        switch (d->d_tag) {
        case DT_SYMTAB: f.symbols = (const void *)d->d_un.d_ptr; break;
        case DT_STRTAB: f.names = (const void *)d->d_un.d_ptr; break;
        case DT_JMPREL: plt = (const void *)d->d_un.d_ptr; break;
        case DT_PLTRELSZ: plt_bytes = d->d_un.d_val; break;
        case DT_RELA: rela = (const void *)d->d_un.d_ptr; break;
        case DT_RELASZ: rela_bytes = d->d_un.d_val; break;
        default: break;
        }
    if (!f.symbols || !f.names)
        return false;
    turn(&f, plt, plt_bytes);
    turn(&f, rela, rela_bytes);
    return true;
}

/* --- asking --- */

void heap_fail_at(unsigned n)
{
    pthread_mutex_lock(&heap.lock);
    heap.counted = 0;
    heap.fail_at = n;
    pthread_mutex_unlock(&heap.lock);
}

unsigned heap_counted(void)
{
    return heap.counted;
}

size_t heap_live(void)
{
    return heap.live;
}

unsigned long heap_mark(void)
{
    return heap.serial;
}

void heap_note_call(const char *call)
{
    heap.call = call;
}

bool heap_survivor(unsigned long mark, size_t *ret_bytes, const char **ret_call)
{
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *s = &heap.slots[i];
        if (!s->at || s->at == GRAVE || s->serial <= mark)
            continue;
        *ret_bytes = s->bytes;
        *ret_call = s->call ? s->call : "load";
        return true;
    }
    return false;
}

bool heap_freed(const void *at)
{
    const char *c = at;
    for (unsigned i = 0; i < FREED; i++)
        if (heap.freed[i].at && c >= heap.freed[i].at && c < heap.freed[i].at + heap.freed[i].bytes)
            return true;
    return false;
}

size_t heap_bytes_of_process(void)
{
    size_t (*asan)(void);
    void *f = dlsym(RTLD_DEFAULT, "__sanitizer_get_current_allocated_bytes");
    if (f) {
        memcpy(&asan, &f, sizeof asan);
        return asan();
    }
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

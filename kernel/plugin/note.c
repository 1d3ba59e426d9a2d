/* note.c - a bounded walk over PT_NOTE segments: whatever the file says, nothing is read past its end and nothing is run. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "plugin/builtin.h"
#include "plugin/plugin.h"

#define NOTES_MOST (64u << 10)

static bool read_at(int fd, void *at, size_t n, uint64_t offset, uint64_t size)
{
    return offset <= size && n <= size - offset && pread(fd, at, n, (off_t)offset) == (ssize_t)n;
}

static void copy_field(char *ret, size_t room, struct str value)
{
    snprintf(ret, room, STR_FMT, STR_ARG(value));
}

static void parse_text(struct str text, struct plugin_note *n)
{
    while (text.at) {
        struct str value = str_cut(&text, '\n'), key = str_cut(&value, '=');
        if (!value.at)
            continue;
        if (str_is(key, "abi"))
            copy_field(n->abi, sizeof n->abi, value);
        else if (str_is(key, "id"))
            copy_field(n->id, sizeof n->id, value);
        else if (str_is(key, "version"))
            copy_field(n->version, sizeof n->version, value);
        else if (str_is(key, "provides"))
            copy_field(n->provides, sizeof n->provides, value);
        else if (str_is(key, "needs"))
            copy_field(n->needs, sizeof n->needs, value);
    }
}

static bool find_note(struct str seg, struct plugin_note *ret)
{
    while (seg.len >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr h;
        memcpy(&h, seg.at, sizeof h);
        uint64_t name = (h.n_namesz + 3ull) & ~3ull, desc = (h.n_descsz + 3ull) & ~3ull;
        if (name > seg.len || desc > seg.len || sizeof h + name + desc > seg.len + 3)
            return false;
        struct str text = str_n(seg.at + sizeof h + name, h.n_descsz);
        if (sizeof h + name + h.n_descsz > seg.len)
            return false;
        if (h.n_type == KL_NOTE_TYPE && h.n_namesz == sizeof KL_NOTE_NAME && memcmp(seg.at + sizeof h, KL_NOTE_NAME, sizeof KL_NOTE_NAME) == 0 &&
            h.n_descsz <= KL_NOTE_MAX && memchr(text.at, '\0', text.len)) {
            parse_text(str_n(text.at, strlen(text.at)), ret);
            return true;
        }
        size_t step = (size_t)(sizeof h + name + desc);
        seg = str_skip(seg, step < seg.len ? step : seg.len);
    }
    return false;
}

static int check_head(const Elf64_Ehdr *e, const char *path, struct kl_err *err)
{
    if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0)
        return kl_err_set(err, KL_INVALID, "'%s' is not an ELF file", path);
    if (e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_ident[EI_DATA] != ELFDATA2LSB)
        return kl_err_set(err, KL_INVALID, "'%s' is an ELF file of another class or byte order", path);
#if defined(__x86_64__)
    if (e->e_machine != EM_X86_64)
        return kl_err_set(err, KL_INVALID, "'%s' is made for another machine (ELF machine %u)", path, e->e_machine);
#elif defined(__aarch64__)
    if (e->e_machine != EM_AARCH64)
        return kl_err_set(err, KL_INVALID, "'%s' is made for another machine (ELF machine %u)", path, e->e_machine);
#endif
    if (e->e_type != ET_DYN)
        return kl_err_set(err, KL_INVALID, "'%s' is not a shared object", path);
    if (e->e_phentsize != sizeof(Elf64_Phdr) || e->e_phnum > 256)
        return kl_err_set(err, KL_INVALID, "'%s' has absurd program headers", path);
    return 0;
}

/* A file cut short makes the loader crash: every loadable segment must be there. */
static int walk(int fd, const Elf64_Ehdr *e, uint64_t size, const char *path, struct plugin_note *ret, bool *found, struct kl_err *err)
{
    for (unsigned i = 0; i < e->e_phnum; i++) {
        Elf64_Phdr p;
        if (!read_at(fd, &p, sizeof p, e->e_phoff + i * sizeof p, size))
            return kl_err_set(err, KL_INVALID, "'%s' is cut short", path);
        if (p.p_type == PT_LOAD && (p.p_offset > size || p.p_filesz > size - p.p_offset))
            return kl_err_set(err, KL_INVALID, "'%s' is cut short", path);
        if (p.p_type != PT_NOTE || *found)
            continue;
        if (p.p_filesz > NOTES_MOST)
            return kl_err_set(err, KL_INVALID, "'%s' has notes of absurd size", path);
        _cleanup_free_ char *seg = mem_alloc(p.p_filesz + 1);
        if (!seg)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        if (!read_at(fd, seg, p.p_filesz, p.p_offset, size))
            return kl_err_set(err, KL_INVALID, "'%s' is cut short", path);
        *found = find_note(str_n(seg, p.p_filesz), ret);
    }
    return 0;
}

int plugin_note_read_fd(int fd, const char *path, struct plugin_note *ret, struct kl_err *err)
{
    struct stat st;
    Elf64_Ehdr e;
    bool found = false;
    memset(ret, 0, sizeof *ret);
    if (fd < 0 || fstat(fd, &st) < 0)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return kl_err_set(err, KL_INVALID, "'%s' is not a regular file", path);
    if (st.st_size == 0)
        return kl_err_set(err, KL_INVALID, "'%s' is empty", path);
    if (!read_at(fd, &e, sizeof e, 0, (uint64_t)st.st_size))
        return kl_err_set(err, KL_INVALID, "'%s' is not an ELF file", path);
    int rc = check_head(&e, path, err);
    if (rc == 0)
        rc = walk(fd, &e, (uint64_t)st.st_size, path, ret, &found, err);
    if (rc < 0)
        return rc;
    if (!found || !ret->id[0])
        return kl_err_set(err, KL_INVALID, "'%s' carries no keelson note: it is not a plugin", path);
    if (strcmp(ret->abi, KL_STR(1)) != 0)
        return kl_err_set(err, KL_INVALID, "'%s' (%s) is made for plugin ABI %s; this host speaks 1", path, ret->id, ret->abi);
    return 0;
}

int plugin_note_read(const char *path, struct plugin_note *ret, struct kl_err *err)
{
    const struct plugin_builtin *builtin = builtin_of_file(path);
    if (builtin) {
        builtin_note(builtin->plugin, ret);
        return 0;
    }
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return plugin_note_read_fd(fd, path, ret, err);
}

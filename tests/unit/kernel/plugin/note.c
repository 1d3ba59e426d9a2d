/* Notes of files that are made here byte by byte: the good one is read, and whatever a file claims nothing is read past its end. */
#include "plugin/plugin.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"

#define TEXT "abi=1\nid=org.example.x\nversion=1.2.3\nprovides=keelson.scheduler/0:x\nneeds=keelson.host.env/0\n"

struct file {
    Elf64_Ehdr e;
    Elf64_Phdr load, notes;
    struct buf body;                    /* behind the heads */
};

static void add_note(struct file *f, const char *name, uint32_t name_len, uint32_t type, const char *text, uint32_t len)
{
    Elf64_Nhdr h = { name_len, len, type };
    static const char zeros[4];
    buf_add(&f->body, &h, sizeof h);
    buf_add(&f->body, name, name_len);
    buf_add(&f->body, zeros, -name_len & 3);
    buf_add(&f->body, text, len);
    buf_add(&f->body, zeros, -len & 3);
}

static struct file good(void)
{
    struct file f = { .e = { .e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = 1, .e_phoff = sizeof f.e, .e_ehsize = sizeof f.e,
                             .e_phentsize = sizeof f.load, .e_phnum = 2 },
                      .load = { .p_type = PT_LOAD }, .notes = { .p_type = PT_NOTE, .p_offset = sizeof f.e + 2 * sizeof f.load, .p_align = 4 } };
#if defined(__aarch64__)
    f.e.e_machine = EM_AARCH64;
#endif
    memcpy(f.e.e_ident, ELFMAG, SELFMAG);
    f.e.e_ident[EI_CLASS] = ELFCLASS64;
    f.e.e_ident[EI_DATA] = ELFDATA2LSB;
    return f;
}

/* Sizes are set from what the body holds, plus what the test lies about. */
static int read_note(struct file *f, long lie, struct plugin_note *n, struct kl_err *err)
{
    char path[] = "/tmp/keelson-note-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    f->load.p_filesz = sizeof f->e + 2 * sizeof f->load + f->body.len;
    f->notes.p_filesz = (uint64_t)((long)f->body.len + lie);
    cr_assert_eq(write(fd, &f->e, sizeof f->e) + write(fd, &f->load, sizeof f->load) + write(fd, &f->notes, sizeof f->notes) +
                     (f->body.len ? write(fd, f->body.at, f->body.len) : 0),
                 (ssize_t)f->load.p_filesz);
    close(fd);
    kl_err_init(err);
    int rc = plugin_note_read(path, n, err);
    unlink(path);
    buf_free(&f->body);
    return rc;
}

Test(note, is_found_behind_others)
{
    struct file f = good();
    struct plugin_note n;
    struct kl_err err;
    add_note(&f, "GNU", 4, 3, "12345678901234567", 17);
    add_note(&f, "keelson", 8, 7, "another type", 13);
    add_note(&f, "keelsox", 8, 1, TEXT, sizeof TEXT);
    add_note(&f, "keelson", 8, 1, TEXT, sizeof TEXT);
    cr_assert_eq(read_note(&f, 0, &n, &err), 0, "%s", err.msg);
    cr_expect_str_eq(n.id, "org.example.x");
    cr_expect_str_eq(n.version, "1.2.3");
    cr_expect_str_eq(n.provides, "keelson.scheduler/0:x");
    cr_expect_str_eq(n.needs, "keelson.host.env/0");
}

Test(note, its_last_bytes_need_no_padding)
{
    struct file f = good();
    struct plugin_note n;
    struct kl_err err;
    add_note(&f, "keelson", 8, 1, TEXT, sizeof TEXT);
    cr_assert_neq(sizeof TEXT % 4, 0);
    f.body.len -= -sizeof TEXT & 3;
    cr_expect_eq(read_note(&f, 0, &n, &err), 0, "%s", err.msg);
}

Test(note, lies_about_sizes)
{
    static const struct {
        uint32_t name_len, len;         /* written into the head of an otherwise good note */
    } heads[] = { { 8, 0xffffffff }, { 0xffffffff, 4 }, { 0xfffffffd, 0xfffffffd }, { 8, sizeof TEXT + 4 }, { 4000, 8 }, { 0, 0 }, { 8, KL_NOTE_MAX + 1 } };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct file f = good();
        struct plugin_note n;
        struct kl_err err;
        add_note(&f, "keelson", 8, 1, TEXT, sizeof TEXT);
        memcpy(f.body.at, &heads[i], 8);
        cr_expect_lt(read_note(&f, 0, &n, &err), 0, "head %zu", i);
        cr_expect(strstr(err.msg, "carries no keelson note"), "head %zu: %s", i, err.msg);
    }
    static const long lies[] = { 1, 100, 1 << 20, -(long)sizeof TEXT };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct file f = good();
        struct plugin_note n;
        struct kl_err err;
        add_note(&f, "keelson", 8, 1, TEXT, sizeof TEXT);
        cr_expect_lt(read_note(&f, lies[i], &n, &err), 0, "%ld more bytes", lies[i]);
        cr_expect(err.msg[0]);
    }
}

Test(note, texts_of_any_length_and_shape)
{
    static char longest[3000];
    memset(longest, 'x', sizeof longest - 1);
    memcpy(longest, "abi=1\nid=", 9);
    static const struct {
        const char *text, *why;         /* NULL: read */
    } rows[] = { { "abi=1\nid=a\n", NULL }, { "abi=1\nid=a", NULL }, { "id=a\nabi=1\nunknown=x\n=\n\n\nid", NULL }, { "abi=2\nid=a\n", "plugin ABI 2" }, { "abi=\nid=a\n", "plugin ABI ;" },
                 { "id=a\n", "plugin ABI ;" }, { "abi=1\n", "no keelson note" }, { "", "no keelson note" }, { longest, NULL } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct file f = good();
        struct plugin_note n;
        struct kl_err err;
        add_note(&f, "keelson", 8, 1, rows[i].text, (uint32_t)strlen(rows[i].text) + 1);
        int rc = read_note(&f, 0, &n, &err);
        cr_expect_eq(rc < 0, rows[i].why != NULL, "row %zu: %s", i, err.msg);
        if (rows[i].why)
            cr_expect(strstr(err.msg, rows[i].why), "row %zu: %s", i, err.msg);
        else
            cr_expect_lt(strlen(n.id), sizeof n.id);
    }
}

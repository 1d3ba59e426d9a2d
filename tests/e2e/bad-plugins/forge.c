/* forge.c - damages a good plugin file in one way. usage: forge WAY GOOD OUT */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *file;
static size_t size;

static Elf64_Phdr *segment(unsigned type)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)file;
    Elf64_Phdr *p = (Elf64_Phdr *)(file + e->e_phoff);
    for (unsigned i = 0; i < e->e_phnum; i++)
        if (p[i].p_type == type)
            return &p[i];
    exit(3);
}

/* The note's head; its name and text are behind it. */
static Elf64_Nhdr *note(void)
{
    static const char name[12] = { 1, 0, 0, 0, 'k', 'e', 'e', 'l', 's', 'o', 'n', 0 };
    for (size_t i = 8; i + sizeof name < size; i++)
        if (memcmp(file + i, name, sizeof name) == 0)
            return (Elf64_Nhdr *)(file + i - 8);
    exit(3);
}

static void replace(const char *old, const char *new)
{
    char *text = (char *)(note() + 1) + 8, *at = strstr(text, old);
    if (!at)
        exit(3);
    memcpy(at, new, strlen(new));
}

static void damage(const char *way)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)file;
    if (strcmp(way, "machine") == 0)
        e->e_machine = EM_S390;
    else if (strcmp(way, "class") == 0)
        e->e_ident[EI_CLASS] = ELFCLASS32;
    else if (strcmp(way, "order") == 0)
        e->e_ident[EI_DATA] = ELFDATA2MSB;
    else if (strcmp(way, "type") == 0)
        e->e_type = ET_EXEC;
    else if (strcmp(way, "phnum") == 0)
        e->e_phnum = 0xffff;
    else if (strcmp(way, "phentsize") == 0)
        e->e_phentsize = 1;
    else if (strcmp(way, "phoff") == 0)
        e->e_phoff = UINT64_MAX - 8;
    else if (strcmp(way, "load") == 0)
        segment(PT_LOAD)->p_filesz = UINT64_MAX;
    else if (strcmp(way, "notes") == 0)
        segment(PT_NOTE)->p_filesz = 1 << 30;
    else if (strcmp(way, "notesoff") == 0)
        segment(PT_NOTE)->p_offset = UINT64_MAX;
    else if (strcmp(way, "namesz") == 0)
        note()->n_namesz = 0xfffffffd;
    else if (strcmp(way, "descsz") == 0)
        note()->n_descsz = 0xffffffff;
    else if (strcmp(way, "unterminated") == 0)
        memset((char *)(note() + 1) + 8, 'x', note()->n_descsz);
    else if (strcmp(way, "notetype") == 0)
        note()->n_type = 7;
    else if (strcmp(way, "name") == 0)
        memcpy(note() + 1, "keelsox", 7);
    else if (strcmp(way, "abi") == 0)
        replace("abi=1", "abi=9");
    else if (strcmp(way, "noid") == 0)
        replace("\nid=", "\nix=");
    else if (strcmp(way, "version") == 0)
        replace("version=1", "version=7");
    else
        exit(2);
}

int main(int argc, char **argv)
{
    FILE *in = argc == 4 ? fopen(argv[2], "rb") : NULL, *out = in ? fopen(argv[3], "wb") : NULL;
    if (!out)
        return 2;
    fseek(in, 0, SEEK_END);
    size = (size_t)ftell(in);
    rewind(in);
    file = malloc(size);
    if (!file || fread(file, 1, size, in) != size)
        return 1;
    damage(argv[1]);
    return fwrite(file, 1, size, out) == size && fclose(out) == 0 ? 0 : 1;
}

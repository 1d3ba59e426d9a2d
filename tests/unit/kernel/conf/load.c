/* Configuration files: several become one tree, every node knows its line, and mistakes are told where they were made. */
#include "conf/load.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/scan.h"

static char dir[] = "/tmp/keelson-conf-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

static void begin(void)
{
    char path[256];
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/conf.d", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static void end(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_assert_eq(system(command), 0);
}

static int load(struct arena *a, struct val **ret, struct kl_err *err)
{
    kl_err_init(err);
    return conf_load(a, arena_printf(a, "%s/k.cfg", dir), ret, err);
}

Test(load, files_of_a_folder_are_put_together_by_name, .init = begin, .fini = end)
{
    struct arena *a = arena_new(0);
    struct buf b = BUF_INIT(0);
    struct val *v;
    struct kl_err err;
    write_file("k.cfg", "g: { a = 1; h: { x = true; }; };\nl = ( 1, 2 );\n");
    write_file("conf.d/20-b.cfg", "l = ( 4 );\n\ng: { h: { z = \"t\"; }; };\nnew = 1.5;\n");
    write_file("conf.d/10-a.cfg", "l = ( 3L );\ng: { b = [ ]; };\n");
    write_file("conf.d/.hidden.cfg", "this is = not read");
    write_file("conf.d/README", "nor this");
    cr_assert_eq(load(a, &v, &err), 0, "%s", err.msg);
    json_write(&b, v);
    cr_expect_str_eq(b.at, "{\"g\":{\"a\":1,\"h\":{\"x\":true,\"z\":\"t\"},\"b\":[]},\"l\":[1,2,3,4],\"new\":1.5}");
    cr_expect(strstr(conf_where(a, json_path(v, "g.h.z")), "conf.d/20-b.cfg:3"));
    cr_expect(strstr(conf_where(a, json_path(v, "g.h.x")), "k.cfg:1"));
    cr_expect(strstr(conf_where(a, json_path(v, "l")->last), "conf.d/20-b.cfg:1"));
    cr_expect_str_eq(conf_where(a, NULL), "configuration");
    buf_free(&b);
    arena_free(a);
}

Test(load, a_scalar_is_set_once, .init = begin, .fini = end)
{
    struct arena *a = arena_new(0);
    struct val *v;
    struct kl_err err;
    write_file("k.cfg", "\ng: { a = 1; };\n");
    write_file("conf.d/1.cfg", "g: { a = 2; };\n");
    cr_expect_lt(load(a, &v, &err), 0);
    cr_expect(strstr(err.msg, "conf.d/1.cfg:1: 'a' is set already at") && strstr(err.msg, "k.cfg:2"), "%s", err.msg);
    write_file("conf.d/1.cfg", "g = ( 1 );\n");
    cr_expect_lt(load(a, &v, &err), 0, "a list does not go into a group");
    write_file("conf.d/1.cfg", "\n\ng: { b = ; };\n");
    cr_expect_lt(load(a, &v, &err), 0);
    cr_expect(strstr(err.msg, "conf.d/1.cfg:3: syntax error"), "%s", err.msg);
    arena_free(a);
}

Test(load, includes_keep_their_own_lines, .init = begin, .fini = end)
{
    struct arena *a = arena_new(0);
    struct val *v;
    struct kl_err err;
    char main_text[300], path[256];
    snprintf(path, sizeof path, "%s/part.inc", dir);
    snprintf(main_text, sizeof main_text, "a = 1;\n@include \"%s\"\nc = 3;\n", path);
    write_file("k.cfg", main_text);
    write_file("part.inc", "\n\nb = 2;\n");
    cr_assert_eq(load(a, &v, &err), 0, "%s", err.msg);
    cr_expect(strstr(conf_where(a, json_get(v, STR("b"))), "part.inc:3"), "%s", conf_where(a, json_get(v, STR("b"))));
    cr_expect(strstr(conf_where(a, json_get(v, STR("c"))), "k.cfg:3"));
    arena_free(a);
}

Test(scan, what_libconfig_would_take_wrongly)
{
    static const struct {
        const char *text, *why;         /* NULL: right */
    } rows[] = {
        { "a = 2147483647; b = -2147483648; c = 0xFFFFFFFF; d = 5000000000L; e = 99999999999.5; f = 1e30;", NULL },
        { "a = 2147483648;", "f:1: '2147483648' does not fit into 32 bits; write '2147483648L'" },
        { "\n\na = -2147483649;", "f:3: '-2147483649'" },
        { "a = [ 1,\n 99999999999999999999 ];", "f:2: '99999999999999999999'" },
        { "# 5000000000\n// 5000000000\n/* 5000000000 \" */ a = \"5000000000\";", NULL },
        { "a5000000000 = 1;", NULL },
        { "a = \"x\n\ny\"; b = 5000000000;", "f:3: '5000000000'" },
        { "a = \"x", "f:1: a text that begins here has no closing quote" },
        { "\na = \"x\\\"", "f:2: a text that begins here" },
        { "a = \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\";", NULL },
        { "a = \"\xc3\";", "f:1: a text is not UTF-8" },
        { "a = \"\xc0\x80\";", "not UTF-8" },
        { "a = \"\xed\xa0\x80\";", "not UTF-8" },
        { "a = \"\xf5\x80\x80\x80\";", "not UTF-8" },
        { "a = \"\\x41\";", NULL },
        { "a = \"\\xe9\";", "half a character" },
        { "", NULL },
        { "/* never ends", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_err err;
        kl_err_init(&err);
        int rc = conf_scan("f", str_of(rows[i].text), &err);
        cr_expect_eq(rc < 0, rows[i].why != NULL, "%s: %s", rows[i].text, err.msg);
        if (rows[i].why)
            cr_expect(strstr(err.msg, rows[i].why), "%s: '%s' lacks '%s'", rows[i].text, err.msg, rows[i].why);
    }
}

Test(nearest, short_names_take_fewer_slips)
{
    static const char *const names[] = { "up", "server", "agent", "check-config", "convert", "plugin" };
    static const char *const rows[][2] = { { "sever", "server" }, { "servre", "server" }, { "agnet", "agent" }, { "chek-confg", "check-config" },
                                           { "plug", "plugin" }, { "abc", NULL }, { "x", NULL }, { "", NULL }, { "something-else-entirely", NULL } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *near = conf_nearest(str_of(rows[i][0]), names, 6, sizeof *names);
        cr_expect(rows[i][1] ? near && strcmp(near, rows[i][1]) == 0 : !near, "'%s' is near '%s'", rows[i][0], near ? near : "nothing");
    }
}

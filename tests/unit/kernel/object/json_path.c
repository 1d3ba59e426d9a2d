/* Paths of printer columns: each row's answer is what upstream's own convertor gives. */
#include <criterion/criterion.h>

#include "object/custom.h"

static const char doc[] =
    "{\"metadata\":{\"name\":\"n\",\"labels\":{\"a.b/c\":\"dotted\",\"plain\":\"p\"}},\"n\":null,\"on\":true,\"f\":1.5,\"empty\":[],"
    "\"spec\":{\"replicas\":3,\"text\":\"7\",\"names\":[\"x\",\"y\",\"z\"],\"items\":[{\"name\":\"one\",\"n\":1,\"deep\":{\"ok\":true}},{\"name\":\"two\",\"n\":2},"
    "{\"name\":\"thr]ee\",\"n\":3,\"tags\":[\"a\",\"b\"]}]},"
    "\"status\":{\"when\":\"2026-01-01T00:00:00Z\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},{\"type\":\"A.B\",\"status\":\"False\",\"reason\":\"why not\"}]}}";

Test(json_path, columns)
{
    static const struct {
        const char *type, *path, *wanted;
    } rows[] = {
        { "string", ".metadata.name", "\"n\"" },
        { "string", ".metadata.labels.plain", "\"p\"" },
        { "string", ".metadata.labels['a\\.b/c']", "\"dotted\"" },
        { "string", ".metadata.labels['a.b/c']", "null" },
        { "string", ".metadata.labels[\"plain\"]", "null" },
        { "string", ".metadata.labels['plain']", "\"p\"" },
        { "string", ".metadata.labels.a\\.b/c", "\"dotted\"" },
        { "string", ".metadata['name','labels']", "\"n\"" },
        { "string", ".spec.names[0]", "\"x\"" },
        { "string", ".spec.names[-1]", "\"z\"" },
        { "string", ".spec.names[3]", "null" },
        { "string", ".spec.names[-4]", "null" },
        { "string", ".spec.names[1:]", "\"y\"" },
        { "string", ".spec.names[*]", "\"x\"" },
        { "string", ".spec.names[::2]", "\"x\"" },
        { "string", ".spec.names[2:1]", "null" },
        { "string", ".spec.names[5:]", "null" },
        { "string", ".spec.names", "\"[\\\"x\\\",\\\"y\\\",\\\"z\\\"]\"" },
        { "string", ".spec.names[0,2]", "\"x\"" },
        { "string", ".spec.names[x]", "null" },
        { "string", ".spec.items[*].name", "\"one\"" },
        { "string", ".spec.items[1].name", "\"two\"" },
        { "string", ".spec.items[?(@.name==\"two\")].n", "\"2\"" },
        { "string", ".spec.items[?(@.name=='two')].n", "\"2\"" },
        { "string", ".spec.items[?(@.name==\"thr]ee\")].n", "\"3\"" },
        { "string", ".spec.items[?(@.n>1)].name", "\"two\"" },
        { "string", ".spec.items[?(@.n>=3)].name", "\"thr]ee\"" },
        { "string", ".spec.items[?(@.n!=1)].name", "\"two\"" },
        { "string", ".spec.items[?(@.n<2)].name", "\"one\"" },
        { "string", ".spec.items[?(@.n==\"1\")].name", "null" },
        { "string", ".spec.items[?(@.n==1.0)].name", "null" },
        { "string", ".spec.items[?(@.deep.ok==true)].name", "\"one\"" },
        { "string", ".spec.items[?(@.tags)].name", "\"thr]ee\"" },
        { "string", ".spec.items[?(@.tags[0]==\"a\")].name", "\"thr]ee\"" },
        { "string", ".spec.items[?(@.none==\"a\")].name", "null" },
        { "string", ".spec.replicas[?(@.a==\"b\")]", "null" },
        { "string", ".status.conditions[?(@.type==\"Ready\")].status", "\"True\"" },
        { "string", ".status.conditions[?(@.type == \"Ready\")].status", "\"True\"" },
        { "string", ".status.conditions[?( @.type == \"Ready\" )].status", "\"True\"" },
        { "string", ".status.conditions[?(@.type==\"A.B\")].reason", "\"why not\"" },
        { "string", ".status.conditions[?(@['type']==\"Ready\")].status", "\"True\"" },
        { "string", ".status.conditions[?(@.status!=\"True\")].type", "\"A.B\"" },
        { "string", ".status.conditions", "\"[{\\\"status\\\":\\\"True\\\",\\\"type\\\":\\\"Ready\\\"},{\\\"reason\\\":\\\"why not\\\",\\\"status\\\":\\\"False\\\",\\\"type\\\":\\\"A.B\\\"}]\"" },
        { "string", ".spec", "\"{\\\"items\\\":[{\\\"deep\\\":{\\\"ok\\\":true},\\\"n\\\":1,\\\"name\\\":\\\"one\\\"},{\\\"n\\\":2,\\\"name\\\":\\\"two\\\"},{\\\"n\\\":3,\\\"name\\\":\\\"thr]ee\\\",\\\"tags\\\":[\\\"a\\\",\\\"b\\\"]}],\\\"names\\\":[\\\"x\\\",\\\"y\\\",\\\"z\\\"],\\\"replicas\\\":3,\\\"text\\\":\\\"7\\\"}\"" },
        { "string", ".spec.items[0].deep", "\"{\\\"ok\\\":true}\"" },
        { "string", ".n", "\"\\u003cno value\\u003e\"" },
        { "string", ".on", "\"true\"" },
        { "string", ".f", "\"1.5\"" },
        { "string", ".empty", "\"[]\"" },
        { "string", ".empty[0]", "null" },
        { "string", ".none", "null" },
        { "string", ".none.more", "null" },
        { "string", ".spec.replicas.more", "null" },
        { "string", ".spec.replicas[0]", "null" },
        { "string", "..conditions", "\"[{\\\"status\\\":\\\"True\\\",\\\"type\\\":\\\"Ready\\\"},{\\\"reason\\\":\\\"why not\\\",\\\"status\\\":\\\"False\\\",\\\"type\\\":\\\"A.B\\\"}]\"" },
        { "string", "..reason", "\"why not\"" },
        { "string", ".spec..ok", "\"true\"" },
        { "string", ".", "null" },
        { "string", "$.metadata.name", "\"n\"" },
        { "string", ".metadata .name", "\"n\"" },
        { "string", ".spec.names[ 0 ]", "null" },
        { "string", ".spec.items[0]['name']", "\"one\"" },
        { "string", ".spec.items[].name", "\"one\"" },
        { "string", ".spec.items[0", "null" },
        { "string", ".metadata.labels.['plain']", "null" },
        { "string", ".spec.text", "\"7\"" },
        { "integer", ".spec.replicas", "3" },
        { "integer", ".spec.text", "null" },
        { "integer", ".on", "null" },
        { "integer", ".f", "1" },
        { "integer", ".n", "null" },
        { "integer", ".status.when", "null" },
        { "integer", ".metadata.name", "null" },
        { "integer", ".spec.names[*]", "null" },
        { "integer", ".none", "null" },
        { "number", ".spec.replicas", "3" },
        { "number", ".spec.text", "null" },
        { "number", ".on", "null" },
        { "number", ".f", "1.5" },
        { "number", ".n", "null" },
        { "number", ".status.when", "null" },
        { "number", ".metadata.name", "null" },
        { "number", ".spec.names[*]", "null" },
        { "number", ".none", "null" },
        { "boolean", ".spec.replicas", "null" },
        { "boolean", ".spec.text", "null" },
        { "boolean", ".on", "true" },
        { "boolean", ".f", "null" },
        { "boolean", ".n", "null" },
        { "boolean", ".status.when", "null" },
        { "boolean", ".metadata.name", "null" },
        { "boolean", ".spec.names[*]", "null" },
        { "boolean", ".none", "null" },
        { "date", ".spec.replicas", "null" },
        { "date", ".spec.text", "\"\\u003cinvalid\\u003e\"" },
        { "date", ".on", "null" },
        { "date", ".f", "null" },
        { "date", ".n", "null" },
        { "date", ".metadata.name", "\"\\u003cinvalid\\u003e\"" },
        { "date", ".spec.names[*]", "\"\\u003cinvalid\\u003e\"" },
        { "date", ".none", "null" },
    };
    struct arena *a = arena_new(0);
    struct val *v = json_parse(a, str_of(doc), NULL);
    cr_assert_not_null(v);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct val *columns = val_new(a, VAL_ARR), *c = val_push(columns, val_new(a, VAL_OBJ));
        struct buf b = BUF_INIT(4096);
        json_set_str(a, c, STR("name"), STR("C"));
        json_set_str(a, c, STR("type"), str_of(rows[i].type));
        json_set_str(a, c, STR("jsonPath"), str_of(rows[i].path));
        json_write(&b, custom_cells(a, columns, v, 0)->last);
        cr_expect(str_is(buf_str(&b), rows[i].wanted), "%s %s: " STR_FMT ", not %s", rows[i].type, rows[i].path, STR_ARG(buf_str(&b)), rows[i].wanted);
        buf_free(&b);
    }
    arena_free(a);
}

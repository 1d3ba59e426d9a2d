/* Which form a client gets: the best clause of Accept that can be met, as upstream's server finds it. */
#include <criterion/criterion.h>

#include "api/api-internal.h"

static const struct api_can all = { .transforms = true }, plain = { 0 }, custom = { .transforms = true, .no_protobuf = true };
#define TABLE ";as=Table;v=v1;g=meta.k8s.io"

Test(negotiate, best_clause)
{
    static const struct {
        const struct api_can *can;
        const char *accept;
        int media, as;                  /* media 0: 406 */
    } rows[] = {
        { &all, "", MEDIA_JSON, 0 }, { &all, "*/*", MEDIA_JSON, 0 }, { &all, "application/*", MEDIA_JSON, 0 }, { &all, "*", MEDIA_JSON, 0 },
        { &all, "text/plain", 0, 0 }, { &all, "APPLICATION/JSON", 0, 0 }, { &all, "*/json", 0, 0 }, { &all, ",", 0, 0 },
        { &all, "application/json;q=0.1,application/yaml;q=0.9", MEDIA_YAML, 0 }, { &all, "application/yaml;q=0.1,application/json", MEDIA_JSON, 0 },
        { &all, "application/vnd.kubernetes.protobuf;q=0.1, */*;q=0.9", MEDIA_JSON, 0 }, { &all, "*/*,application/yaml", MEDIA_YAML, 0 },
        { &all, "application/yaml,application/json", MEDIA_YAML, 0 }, { &all, "application/json;q=0", MEDIA_JSON, 0 }, { &all, "application/json;q=x", MEDIA_JSON, 0 },
        { &all, "application/json" TABLE, MEDIA_JSON, AS_TABLE }, { &all, "application/yaml" TABLE, MEDIA_YAML, AS_TABLE }, { &all, "application/vnd.kubernetes.protobuf" TABLE, 0, 0 },
        { &all, "application/vnd.kubernetes.protobuf" TABLE ",application/json", MEDIA_JSON, 0 }, { &all, "application/json" TABLE ";q=0.1,application/yaml", MEDIA_YAML, 0 },
        { &plain, "application/json" TABLE, 0, 0 }, { &plain, "application/json" TABLE ",application/json", MEDIA_JSON, 0 }, { &all, "application/json;as=Table", 0, 0 },
        { &custom, "application/vnd.kubernetes.protobuf", 0, 0 }, { &custom, "application/vnd.kubernetes.protobuf,application/json", MEDIA_JSON, 0 },
        { &custom, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", MEDIA_PROTOBUF, AS_PARTIAL },
        { &all, "application/json;stream=watch", MEDIA_JSON, 0 }, { &all, "application/yaml;stream=watch", 0, 0 }, { &all, "application/json;stream=x", 0, 0 }, { &all, "application/json;sv=v1", 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_accept got;
        bool ok = api_negotiate(str_of(rows[i].accept), rows[i].can, &got);
        cr_expect_eq(ok, rows[i].media != 0, "%s", rows[i].accept);
        cr_expect((int)got.media == rows[i].media && (int)got.as == rows[i].as, "%s gives %d %d", rows[i].accept, got.media, got.as);
    }
}

Test(negotiate, pretty_by_parameter)
{
    struct api_accept got;
    cr_expect(api_negotiate(STR("application/json;pretty=1"), &all, &got) && got.pretty);
    cr_expect(api_negotiate(STR("application/json;pretty=0"), &all, &got) && !got.pretty);
}

/* The router compares types as they are written, without their parameters. */
Test(negotiate, routes)
{
    struct str produces = STR("application/json, application/yaml");
    cr_expect(api_routes(STR(""), produces) && api_routes(STR("text/html,*/*;q=0.8"), produces) && api_routes(STR("text/html, application/yaml;q=0.1"), produces));
    cr_expect(!api_routes(STR("application/*"), produces) && !api_routes(STR("*"), produces) && !api_routes(STR("APPLICATION/JSON"), produces));
}

/* What is said of a value that suits no schema of a union, or too many: as upstream 1.36 says it. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "object/custom.h"

static const char schema[] = "{\"type\":\"object\",\"properties\":{"
    "\"gw\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"value\":{\"type\":\"string\",\"maxLength\":30}},\"oneOf\":[{\"properties\":{\"type\":{\"enum\":[\"IPAddress\"]},\"value\":{\"anyOf\":[{\"format\":\"ipv4\"},{\"format\":\"ipv6\"}]}}},{\"properties\":{\"type\":{\"not\":{\"enum\":[\"IPAddress\"]}}}}]}},"
    "\"any\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"string\"}},\"anyOf\":[{\"properties\":{\"a\":{\"minimum\":5},\"b\":{\"maxLength\":2}},\"required\":[\"a\",\"b\"]},{\"properties\":{\"a\":{\"maximum\":-5}},\"required\":[\"a\",\"b\",\"c\"]}]},"
    "\"one\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"string\"}},\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]},{\"required\":[\"c\"]}]},"
    "\"str\":{\"type\":\"string\",\"anyOf\":[{\"pattern\":\"^a\"},{\"minLength\":4},{\"enum\":[\"x\",\"y\"]}]},"
    "\"ios\":{\"x-kubernetes-int-or-string\":true,\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"pattern\":\"^z\"},"
    "\"all\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"allOf\":[{\"properties\":{\"a\":{\"minimum\":3}}},{\"required\":[\"b\"]}]},"
    "\"num\":{\"type\":\"integer\",\"oneOf\":[{\"minimum\":3},{\"maximum\":10},{\"multipleOf\":2}]},"
    "\"neg\":{\"type\":\"integer\",\"not\":{\"minimum\":3}},"
    "\"nest\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"allOf\":[{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]},{\"oneOf\":[{\"properties\":{\"a\":{\"minimum\":4}}},{\"properties\":{\"b\":{\"minLength\":4}}}]}]},"
    "\"lim\":{\"type\":\"string\",\"maxLength\":2,\"pattern\":\"^a\"},"
    "\"lim2\":{\"type\":\"string\",\"minLength\":4,\"pattern\":\"^a\"},"
    "\"deep\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"object\",\"properties\":{\"y\":{\"type\":\"string\"},\"z\":{\"type\":\"integer\"}}},\"w\":{\"type\":\"string\"}}},\"anyOf\":[{\"items\":{\"properties\":{\"x\":{\"properties\":{\"y\":{\"pattern\":\"^q\"},\"z\":{\"minimum\":1}}}}}},{\"items\":{\"properties\":{\"w\":{\"enum\":[\"a\"]}}}},{\"minItems\":3}]},"
    "\"fmt\":{\"type\":\"string\",\"anyOf\":[{\"format\":\"date\"},{\"format\":\"ipv4\"},{\"pattern\":\"^z\"}]}}}";

static const struct {
    const char *value, *want;
} rows[] = {
    { "{\"gw\":[{\"type\":\"IPAddress\",\"value\":\"1.2.3.4:8\"}]}",
      "<nil>: Invalid value: \"\": \"gw[0]\" must validate one and only one schema (oneOf). Found none valid\n"
      "<nil>: Invalid value: \"\": \"gw[0].value\" must validate at least one schema (anyOf)\n"
      "gw[0].value: Invalid value: \"1.2.3.4:8\": gw[0].value in body must be of type ipv4: \"1.2.3.4:8\"\n" },
    { "{\"gw\":[{\"type\":\"IPAddress\",\"value\":\"1.2.3.4\"},{\"type\":\"X\"},{\"value\":\"q\"}]}",
      "" },
    { "{\"any\":{\"a\":1,\"b\":\"xyz\"}}",
      "<nil>: Invalid value: \"\": \"any\" must validate at least one schema (anyOf)\n"
      "any.a: Invalid value: 1: any.a in body should be greater than or equal to 5\n"
      "any.b: Too long: may not be more than 2 bytes\n" },
    { "{\"any\":{\"c\":\"x\"}}",
      "<nil>: Invalid value: \"\": \"any\" must validate at least one schema (anyOf)\n"
      "any.a: Required value\n"
      "any.b: Required value\n" },
    { "{\"one\":{}}",
      "<nil>: Invalid value: \"\": \"one\" must validate one and only one schema (oneOf). Found none valid\n"
      "one.a: Required value\n" },
    { "{\"one\":{\"a\":1,\"b\":\"x\"}}",
      "<nil>: Invalid value: \"\": \"one\" must validate one and only one schema (oneOf). Found 2 valid alternatives\n" },
    { "{\"str\":\"b\"}",
      "<nil>: Invalid value: \"\": \"str\" must validate at least one schema (anyOf)\n"
      "str: Invalid value: \"b\": str in body should match '^a'\n" },
    { "{\"ios\":true}",
      "ios: Invalid value: \"boolean\": ios in body must be of type integer,string: \"boolean\"\n"
      "<nil>: Invalid value: \"\": \"ios\" must validate at least one schema (anyOf)\n"
      "ios: Invalid value: \"boolean\": ios in body must be of type integer: \"boolean\"\n" },
    { "{\"ios\":5}",
      "" },
    { "{\"all\":{\"a\":1}}",
      "all.a: Invalid value: 1: all.a in body should be greater than or equal to 3\n"
      "all.b: Required value\n"
      "<nil>: Invalid value: \"\": \"all\" must validate all the schemas (allOf). None validated\n" },
    { "{\"all\":{\"a\":4}}",
      "all.b: Required value\n"
      "<nil>: Invalid value: \"\": \"all\" must validate all the schemas (allOf)\n" },
    { "{\"num\":4}",
      "<nil>: Invalid value: \"\": \"num\" must validate one and only one schema (oneOf). Found 3 valid alternatives\n" },
    { "{\"neg\":4}",
      "<nil>: Invalid value: \"\": \"neg\" must not validate the schema (not)\n" },
    { "{\"nest\":{}}",
      "<nil>: Invalid value: \"\": \"nest\" must validate at least one schema (anyOf)\n"
      "nest.a: Required value\n"
      "<nil>: Invalid value: \"\": \"nest\" must validate one and only one schema (oneOf). Found 2 valid alternatives\n"
      "<nil>: Invalid value: \"\": \"nest\" must validate all the schemas (allOf). None validated\n" },
    { "{\"nest\":{\"a\":1,\"b\":\"x\"}}",
      "<nil>: Invalid value: \"\": \"nest\" must validate one and only one schema (oneOf). Found none valid\n"
      "nest.a: Invalid value: 1: nest.a in body should be greater than or equal to 4\n"
      "<nil>: Invalid value: \"\": \"nest\" must validate all the schemas (allOf)\n" },
    { "{\"lim\":\"bbbb\"}",
      "lim: Too long: may not be more than 2 bytes\n" },
    { "{\"lim2\":\"b\"}",
      "lim2: Invalid value: \"b\": lim2 in body should be at least 4 chars long\n" },
    { "{\"deep\":[{\"w\":\"c\"},{\"x\":{\"z\":0}}]}",
      "<nil>: Invalid value: \"\": \"deep\" must validate at least one schema (anyOf)\n"
      "deep[1].x.z: Invalid value: 0: deep[1].x.z in body should be greater than or equal to 1\n" },
    { "{\"fmt\":\"b\"}",
      "<nil>: Invalid value: \"\": \"fmt\" must validate at least one schema (anyOf)\n"
      "fmt: Invalid value: \"b\": fmt in body must be of type date: \"b\"\n" },
    { "{\"any\":{\"a\":-1,\"b\":\"x\"}}",
      "<nil>: Invalid value: \"\": \"any\" must validate at least one schema (anyOf)\n"
      "any.a: Invalid value: -1: any.a in body should be greater than or equal to 5\n" },
};

Test(custom_unions, words)
{
    struct custom_schema *s = custom_schema_new(str_of(schema));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        struct object_causes c = { .arena = a };
        custom_validate(s, &c, json_parse(a, str_of(rows[i].value), NULL), NULL, NULL);
        for (unsigned j = 0; j < c.n; j++)
            buf_printf(&b, "%s: %s\n", c.at[j].field, c.at[j].message);
        cr_expect_str_eq(b.at ? b.at : "", rows[i].want, "%s", rows[i].value);
    }
    custom_schema_free(s);
}

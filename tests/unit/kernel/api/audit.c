/* audit_policy.c: which rule decides, and every mistake with its line and field. */
#include "api/audit_policy.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#define HEAD "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

static int load(const char *text, struct audit_policy **ret, struct kl_err *err)
{
    char path[] = "/tmp/audit-policy.XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    kl_err_init(err);
    int rc = audit_policy_load(path, ret, err);
    unlink(path);
    return rc;
}

static const char policy[] =
    HEAD "omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n"
    "- {level: None, users: [system:kube-proxy], verbs: [watch], resources: [{group: '', resources: [endpoints, services, services/status]}]}\n"
    "- {level: None, userGroups: [system:nodes], verbs: [get], resources: [{group: '', resources: [nodes, nodes/status]}]}\n"
    "- {level: None, nonResourceURLs: ['/healthz*', /version]}\n"
    "- {level: Metadata, resources: [{group: '', resources: [secrets, configmaps]}], omitStages: [ResponseStarted], omitManagedFields: false}\n"
    "- {level: Request, resources: [{group: '', resources: ['pods/*'], resourceNames: [one]}]}\n"
    "- {level: RequestResponse, namespaces: [prod, '']}\n"
    "- {level: Request, resources: [{group: apps}, {group: batch, resources: ['*/status']}]}\n"
    "- {level: Metadata, nonResourceURLs: ['*']}\n";

Test(audit, the_first_rule_decides)
{
    static const char *const nodes[] = { "system:nodes", "system:authenticated", NULL }, *const none[] = { NULL };
    static const struct {
        const char *user, *verb, *group, *resource, *sub, *ns, *name;
        int level;
    } rows[] = {
        { "system:kube-proxy", "watch", "", "services", "", "dev", "", AUDIT_NONE },
        { "system:kube-proxy", "watch", "", "services", "status", "dev", "", AUDIT_NONE },
        { "system:kube-proxy", "list", "", "services", "", "dev", "", AUDIT_NONE },       /* no rule */
        { "node", "get", "", "nodes", "", "x", "n", AUDIT_NONE },
        { "me", "get", "", "nodes", "", "", "n", AUDIT_REQUEST_RESPONSE },              /* "" names what has no namespace */
        { "me", "get", "", "secrets", "", "dev", "s", AUDIT_METADATA },
        { "me", "get", "other", "secrets", "", "dev", "s", AUDIT_NONE },
        { "me", "create", "", "pods", "exec", "dev", "one", AUDIT_REQUEST },
        { "me", "create", "", "pods", "exec", "dev", "two", AUDIT_NONE },
        { "me", "create", "", "pods", "exec", "prod", "two", AUDIT_REQUEST_RESPONSE },
        { "me", "patch", "apps", "deployments", "scale", "dev", "d", AUDIT_REQUEST },
        { "me", "patch", "batch", "jobs", "status", "dev", "d", AUDIT_REQUEST },
        { "me", "patch", "batch", "jobs", "", "dev", "d", AUDIT_NONE },
    };
    struct audit_policy *p;
    struct kl_err err;
    cr_assert_eq(load(policy, &p, &err), 0, "%s", err.msg);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_user u = { .name = rows[i].user, .groups = strcmp(rows[i].user, "node") == 0 ? nodes : none };
        struct kl_request r = { .verb = rows[i].verb, .path = "", .is_resource = 1, .group = rows[i].group, .version = "v1", .resource = rows[i].resource,
                                .subresource = rows[i].sub, .ns = rows[i].ns, .name = rows[i].name };
        struct audit_decision d = audit_policy_ask(p, &u, &r);
        cr_expect_eq(d.level, rows[i].level, "row %zu: %s", i, audit_level_texts[d.level]);
        if (strcmp(rows[i].resource, "secrets") == 0 && d.level)
            cr_expect(d.omit == (STAGE_RECEIVED | STAGE_STARTED) && !d.omit_managed);
        else if (d.level)
            cr_expect(d.omit == STAGE_RECEIVED && d.omit_managed);
    }
    struct kl_user u = { .name = "me", .groups = none };
    struct kl_request r = { .verb = "get", .path = "/healthz/ping", .group = "", .resource = "", .subresource = "", .ns = "", .name = "" };
    cr_expect_eq(audit_policy_ask(p, &u, &r).level, AUDIT_NONE);
    r.path = "/versions";
    cr_expect_eq(audit_policy_ask(p, &u, &r).level, AUDIT_METADATA);
    audit_policy_free(p);
}

Test(audit, mistakes_have_line_and_field)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        { "", "the document is empty" },
        { "a: [", ": line " },
        { "kind: Policy\nrules: []\n", ": apiVersion: must be audit.k8s.io/v1" },
        { "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\n", ":1: apiVersion: must be" },
        { "apiVersion: audit.k8s.io/v1\nkind: Polity\n", ":2: kind: must be Policy" },
        { HEAD, "rules: a policy has at least one rule" },
        { HEAD "rules: []\n", ":3: rules: a policy has at least one rule" },
        { HEAD "rule:\n- level: None\n", "unknown field \"rule\" (did you mean \"rules\"?)" },
        { HEAD "rules:\n- level: None\n- users: [a]\n", ":5: rules[1].level: required value" },
        { HEAD "rules:\n- level: Metadat\n", ":4: rules[0].level: unsupported value \"Metadat\", must be one of None, Metadata, Request, RequestResponse (did you mean \"Metadata\"?)" },
        { HEAD "rules:\n- level: None\n  verb: [get]\n", ":5: rules[0]: unknown field \"verb\" (did you mean \"verbs\"?)" },
        { HEAD "rules:\n- level: None\n  verbs: get\n", ":5: rules[0].verbs: must be a list" },
        { HEAD "rules:\n- level: None\n  verbs: [1]\n", ":5: rules[0].verbs[0]: must be text" },
        { HEAD "rules:\n- level: None\n  nonResourceURLs: [/a]\n  namespaces: [x]\n", ":5: rules[0]: rules cannot apply to both" },
        { HEAD "rules:\n- level: None\n  nonResourceURLs:\n  - /a\n  - a\n", ":7: rules[0].nonResourceURLs[1]: invalid value \"a\"" },
        { HEAD "rules:\n- level: None\n  nonResourceURLs: ['/a*b']\n", "must be the final character" },
        { HEAD "rules:\n- level: None\n  resources:\n  - group: apps/v1\n", ":6: rules[0].resources[0]: invalid group \"apps/v1\"" },
        { HEAD "rules:\n- level: None\n  resources:\n  - resourceNames: [x]\n", ":6: rules[0].resources[0]: using resourceNames requires" },
        { HEAD "omitStages: [Started]\nrules:\n- level: None\n", ":3: omitStages[0]: unsupported value \"Started\"" },
        { HEAD "rules:\n- level: None\n  omitStages: [ResponseStartet]\n", "did you mean \"ResponseStarted\"?" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct audit_policy *p = NULL;
        struct kl_err err;
        cr_expect_eq(load(rows[i].text, &p, &err), -KL_INVALID, "%s", rows[i].text);
        cr_expect(strstr(err.msg, rows[i].wanted), "wanted: %s\ngot: %s", rows[i].wanted, err.msg);
    }
    struct audit_policy *p;
    struct kl_err err;
    cr_assert_eq(audit_policy_load("/nowhere/policy.yaml", &p, &err), -KL_INVALID);
    cr_assert(strstr(err.msg, "/nowhere/policy.yaml"));
}

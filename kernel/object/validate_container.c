/* validate_container.c - containers: names, ports, environment, mounts, probes, hooks. */
#include "object/validate.h"

static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };
static const char *const pull_policies[] = { "Always", "IfNotPresent", "Never", NULL };
static const char *const restart_policies[] = { "Always", "Never", "OnFailure", NULL };

/* --- ports --- */

static void check_ports(causes c, const struct path *p, const struct val *ports)
{
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (port, at, ports) {
        const struct path *here = ITEM(p, at.i);
        struct str name = json_str(port, "name"), protocol = json_str(port, "protocol");
        int64_t n = json_int(port, "containerPort", 0), host = json_int(port, "hostPort", 0);
        if (name.len && check_name(c, IN(here, "name"), name, G_PORT_NAME) && met_again(&names, name))
            say_duplicate(c, IN(here, "name"), name);
        if (n == 0)
            say_required(c, IN(here, "containerPort"), NULL);
        else
            check_port(c, IN(here, "containerPort"), n);
        if (host)
            check_port(c, IN(here, "hostPort"), host);
        if (!protocol.len)
            say_required(c, IN(here, "protocol"), NULL);
        else
            check_choice(c, IN(here, "protocol"), protocol, protocols);
    }
}

/* Every host port, address and protocol once among these containers. */
static void check_host_ports(causes c, const struct path *p, const struct val *list, const struct val *only)
{
    _cleanup_met_ struct met seen = { 0 };
    LIST_EACH (container, at, list) {
        if (only && container != only)
            continue;
        const struct val *ports = json_get(container, STR("ports"));
        const long i = at.i;
        LIST_EACH (port, pt, ports) {
            int64_t host = json_int(port, "hostPort", 0);
            if (!host)
                continue;
            struct str text = str_of(words(c, STR_FMT "/" STR_FMT "/%lld", STR_ARG(json_str(port, "protocol")), STR_ARG(json_str(port, "hostIP")),
                                           (long long)host));
            if (met_again(&seen, text))
                say_duplicate(c, IN(ITEM(IN(ITEM(p, only ? 0 : i), "ports"), pt.i), "hostPort"), text);
        }
    }
}

/* --- environment --- */

static const char *const env_fields[] = { "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
                                          "status.hostIPs", "status.podIP", "status.podIPs", NULL };

static void check_key_ref(causes c, const struct path *p, const struct val *ref)
{
    struct str name = json_str(ref, "name"), key = json_str(ref, "key");
    check_name(c, IN(p, "name"), name, G_SUBDOMAIN);
    if (!key.len)
        say_required(c, IN(p, "key"), NULL);
    else
        check_name(c, IN(p, "key"), key, G_CONFIG_KEY);
}

static void check_file_key(causes c, const struct path *p, const struct val *ref)
{
    struct str key = json_str(ref, "key"), volume = json_str(ref, "volumeName"), path = json_str(ref, "path");
    if (!key.len)
        say_required(c, IN(p, "key"), NULL);
    else
        check_name(c, IN(p, "key"), key, G_ENV_NAME);
    if (!volume.len)
        say_required(c, IN(p, "volumeName"), NULL);
    else
        check_name(c, IN(p, "volumeName"), volume, G_LABEL);
    if (!path.len)
        say_required(c, IN(p, "path"), NULL);
    else
        check_backsteps(c, IN(p, "path"), path);
}

void check_env_value(causes c, const struct path *p, const struct val *e)
{
    struct val *from = json_get(e, STR("valueFrom")), *x;
    unsigned n = 0;
    if (!from)
        return;
    if ((x = json_get(from, STR("fieldRef")))) {
        n++;
        check_field_ref(c, IN(p, "fieldRef"), x, env_fields);
    }
    if ((x = json_get(from, STR("resourceFieldRef")))) {
        n++;
        check_resource_field_ref(c, IN(p, "resourceFieldRef"), x, false);
    }
    if ((x = json_get(from, STR("configMapKeyRef")))) {
        n++;
        check_key_ref(c, IN(p, "configMapKeyRef"), x);
    }
    if ((x = json_get(from, STR("secretKeyRef")))) {
        n++;
        check_key_ref(c, IN(p, "secretKeyRef"), x);
    }
    if ((x = json_get(from, STR("fileKeyRef")))) {
        n++;
        check_file_key(c, IN(p, "fileKeyRef"), x);
    }
    if (n == 0)
        say_invalid(c, p, STR(""), "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
    else if (json_str(e, "value").len)
        say_invalid(c, p, STR(""), "may not be specified when `value` is not empty");
    else if (n > 1)
        say_invalid(c, p, STR(""), "may not have more than one field specified at a time");
}

static void check_env(causes c, const struct path *p, const struct val *list)
{
    LIST_EACH (e, at, list) {
        struct str name = json_str(e, "name");
        if (!name.len)
            say_required(c, IN(ITEM(p, at.i), "name"), NULL);
        else
            check_name(c, IN(ITEM(p, at.i), "name"), name, G_ENV_NAME);
        check_env_value(c, IN(ITEM(p, at.i), "valueFrom"), e);
    }
}

static void check_env_from(causes c, const struct path *p, const struct val *list)
{
    static const char *const refs[] = { "configMapRef", "secretRef" };
    LIST_EACH (e, at, list) {
        struct str prefix = json_str(e, "prefix");
        unsigned n = 0;
        if (prefix.len)
            check_name(c, IN(ITEM(p, at.i), "prefix"), prefix, G_ENV_NAME);
        for (int i = 0; i < 2; i++) {
            struct val *ref = json_get(e, str_of(refs[i]));
            if (!ref)
                continue;
            n++;
            struct str name = json_str(ref, "name");
            if (check_required_str(c, IN(IN(ITEM(p, at.i), refs[i]), "name"), name))
                check_name(c, IN(IN(ITEM(p, at.i), refs[i]), "name"), name, G_SUBDOMAIN);
        }
        if (n == 0)
            say_invalid(c, p, STR(""), "must specify one of: `configMapRef` or `secretRef`");
        else if (n > 1)
            say_invalid(c, p, STR(""), "may not have more than one field specified at a time");
    }
}

/* --- mounts --- */

static void check_propagation(causes c, const struct path *p, const struct val *container, struct str mode)
{
    static const char *const modes[] = { "Bidirectional", "HostToContainer", "None", NULL };
    if (check_choice(c, p, mode, modes) && str_is(mode, "Bidirectional") && !json_bool(container, "securityContext.privileged", false))
        say_forbidden(c, p, "Bidirectional mount propagation is available only to privileged containers");
}

static void check_recursive(causes c, const struct path *p, const struct val *m)
{
    static const char *const modes[] = { "Disabled", "Enabled", "IfPossible", NULL };
    struct str mode = json_str(m, "recursiveReadOnly"), propagation = json_str(m, "mountPropagation");
    if (!json_get(m, STR("recursiveReadOnly")))
        return;
    if (!str_is(mode, "IfPossible") && !str_is(mode, "Enabled")) {
        check_choice(c, p, mode, modes);
        return;
    }
    if (!json_bool(m, "readOnly", false))
        say_forbidden(c, p, "may only be specified when readOnly is true");
    if (propagation.len && !str_is(propagation, "None"))
        say_forbidden(c, p, "may only be specified when mountPropagation is None or not specified");
}

static void check_mounts(causes c, const struct path *p, const struct val *container, const struct pod_place *where)
{
    struct val *mounts = json_get(container, STR("volumeMounts")), *devices = json_get(container, STR("volumeDevices"));
    _cleanup_met_ struct met paths = { 0 }, device_names = { 0 }, device_paths = { 0 };
    met_all(&device_names, devices, "name");
    met_all(&device_paths, devices, "devicePath");
    LIST_EACH (m, at, mounts) {
        const struct path *here = ITEM(p, at.i);
        struct str name = json_str(m, "name"), path = json_str(m, "mountPath"), sub = json_str(m, "subPath"), expr = json_str(m, "subPathExpr");
        check_required_str(c, IN(here, "name"), name);
        if (!volume_known(where, name))
            say_not_found(c, IN(here, "name"), name);
        check_required_str(c, IN(here, "mountPath"), path);
        if (met_again(&paths, path))
            say_invalid(c, IN(here, "mountPath"), path, "must be unique");
        if (met(&device_names, name))
            say_invalid(c, IN(here, "name"), name, "must not already exist in volumeDevices");
        if (met(&device_paths, path))
            say_invalid(c, IN(here, "mountPath"), path, "must not already exist as a path in volumeDevices");
        if (sub.len)
            check_local_path(c, IN(p, "subPath"), sub, false);
        if (expr.len && sub.len)
            say_invalid(c, IN(here, "subPathExpr"), expr, "subPathExpr and subPath are mutually exclusive");
        if (expr.len)
            check_local_path(c, IN(p, "subPathExpr"), expr, false);
        if (json_get(m, STR("mountPropagation")))
            check_propagation(c, IN(p, "mountPropagation"), container, json_str(m, "mountPropagation"));
        check_recursive(c, IN(p, "recursiveReadOnly"), m);
    }
}

static void check_devices(causes c, const struct path *p, const struct val *container, const struct pod_place *where)
{
    struct val *devices = json_get(container, STR("volumeDevices")), *mounts = json_get(container, STR("volumeMounts"));
    _cleanup_met_ struct met names = { 0 }, paths = { 0 }, mount_names = { 0 }, mount_paths = { 0 };
    if (devices && devices->n) {
        met_all(&mount_names, mounts, "name");
        met_all(&mount_paths, mounts, "mountPath");
    }
    LIST_EACH (d, at, devices) {
        const struct path *here = ITEM(p, at.i);
        struct str name = json_str(d, "name"), path = json_str(d, "devicePath");
        check_required_str(c, IN(here, "name"), name);
        if (!volume_known(where, name))
            say_not_found(c, IN(here, "name"), name);
        else if (met(&mount_names, name))
            say_invalid(c, IN(here, "name"), name, "must not already exist in volumeMounts");
        if (met_again(&names, name))
            say_invalid(c, IN(here, "name"), name, "must be unique");
        check_required_str(c, IN(here, "devicePath"), path);
        if (met_again(&paths, path))
            say_invalid(c, IN(here, "devicePath"), path, "must be unique");
        if (met(&mount_paths, path))
            say_invalid(c, IN(here, "devicePath"), path, "must not already exist as a path in volumeMounts");
    }
}

/* --- probes and hooks --- */

static void check_port_or_name(causes c, const struct path *p, const struct val *port)
{
    if (val_is(port, VAL_STR))
        check_name(c, p, val_str(port), G_PORT_NAME);
    else
        check_port(c, p, port ? port->i : 0);
}

static void check_http(causes c, const struct path *p, const struct val *h)
{
    static const char *const schemes[] = { "HTTP", "HTTPS", NULL };
    check_required_str(c, IN(p, "path"), json_str(h, "path"));
    check_port_or_name(c, IN(p, "port"), json_get(h, STR("port")));
    check_choice(c, IN(p, "scheme"), json_str(h, "scheme"), schemes);
    LIST_EACH (x, at, json_get(h, STR("httpHeaders")))
        check_name(c, IN(p, "httpHeaders"), json_str(x, "name"), G_HTTP_HEADER);
}

static void check_sleep(causes c, const struct path *p, const struct val *s, const struct val *spec)
{
    int64_t n = json_int(s, "seconds", 0), grace = json_int(spec, "terminationGracePeriodSeconds", 30);
    if (n < 0 || n > grace)
        say_invalid_int(c, p, n, words(c, "must be non-negative and less than terminationGracePeriodSeconds (%lld)", (long long)grace));
}

static void check_handler(causes c, const struct path *p, const struct val *h, const struct val *spec)
{
    static const char *const kinds[] = { "exec", "httpGet", "tcpSocket", "grpc", "sleep" };
    unsigned n = 0;
    for (int i = 0; i < 5; i++) {
        struct val *x = json_get(h, str_of(kinds[i])), *command = json_get(x, STR("command"));
        const struct path *here = IN(p, kinds[i]);
        if (!x)
            continue;
        if (n++) {
            say_forbidden(c, here, "may not specify more than 1 handler type");
            continue;
        }
        switch (i) {
        case 0:
            if (!command || !command->n)
                say_required(c, IN(here, "command"), NULL);
            break;
        case 1: check_http(c, here, x); break;
        case 2: check_port_or_name(c, IN(here, "port"), json_get(x, STR("port"))); break;
        case 3: check_port(c, IN(here, "port"), json_int(x, "port", 0)); break;
        default: check_sleep(c, here, x, spec);
        }
    }
    if (!n)
        say_required(c, p, "must specify a handler type");
}

static void check_probe(causes c, const struct path *up, const struct val *container, const char *name, const struct val *spec)
{
    static const char *const numbers[] = { "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold" };
    struct val *probe = json_get(container, str_of(name)), *grace = json_get(probe, STR("terminationGracePeriodSeconds"));
    const struct path *p = IN(up, name);
    bool readiness = strcmp(name, "readinessProbe") == 0;
    if (!probe)
        return;
    check_handler(c, p, probe, spec);
    for (int i = 0; i < 5; i++)
        check_nonnegative(c, p, probe, numbers[i]);
    if (grace)
        check_positive(c, IN(p, "terminationGracePeriodSeconds"), grace->i);
    if (grace && readiness)
        say_invalid_int(c, IN(p, "terminationGracePeriodSeconds"), grace->i, "must not be set for readinessProbes");
    if (!readiness && json_int(probe, "successThreshold", 1) != 1)
        say_invalid_int(c, IN(p, "successThreshold"), json_int(probe, "successThreshold", 1), "must be 1");
}

static void check_running(causes c, const struct path *p, const struct val *container, const struct val *spec)
{
    static const char *const hooks[] = { "postStart", "preStop" };
    struct val *life = json_get(container, STR("lifecycle"));
    for (int i = 0; i < 2; i++)
        if (json_get(life, str_of(hooks[i])))
            check_handler(c, IN(IN(p, "lifecycle"), hooks[i]), json_get(life, str_of(hooks[i])), spec);
    check_probe(c, p, container, "livenessProbe", spec);
    check_probe(c, p, container, "readinessProbe", spec);
    check_probe(c, p, container, "startupProbe", spec);
}

/* --- whole containers --- */

static void check_resize(causes c, const struct path *p, const struct val *list, struct str pod_policy)
{
    static const char *const resources[] = { "cpu", "memory", NULL }, *const policies[] = { "NotRequired", "RestartContainer", NULL };
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (x, at, list) {
        struct str name = json_str(x, "resourceName"), policy = json_str(x, "restartPolicy");
        if (met_again(&names, name))
            say_duplicate(c, ITEM(p, at.i), name);
        if (check_required_str(c, p, name))
            check_choice(c, p, name, resources);
        if (check_required_str(c, p, policy))
            check_choice(c, p, policy, policies);
        if (str_is(pod_policy, "Never") && !str_is(policy, "NotRequired"))
            say_invalid(c, p, policy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
    }
}

static void check_restart_rules(causes c, const struct path *p, const struct val *container)
{
    static const char *const actions[] = { "Restart", "RestartAllContainers", NULL }, *const operators[] = { "In", "NotIn", NULL };
    struct val *policy = json_get(container, STR("restartPolicy")), *rules = json_get(container, STR("restartPolicyRules"));
    unsigned n = rules ? rules->n : 0;
    if (!policy && n)
        say_required(c, IN(p, "restartPolicy"), "must specify restartPolicy when restart rules are used");
    else if (policy)
        check_choice(c, IN(p, "restartPolicy"), val_str(policy), restart_policies);
    if (n > 20)
        say_too_many(c, IN(p, "restartPolicyRules"), n, 20, "s");
    LIST_EACH (r, at, rules) {
        const struct path *here = ITEM(IN(p, "restartPolicyRules"), at.i);
        struct val *codes = json_get(r, STR("exitCodes")), *values = json_get(codes, STR("values"));
        check_choice(c, IN(here, "action"), json_str(r, "action"), actions);
        if (!codes) {
            say_required(c, IN(here, "exitCodes"), "must be specified");
            continue;
        }
        check_choice(c, IN(IN(here, "exitCodes"), "operator"), json_str(codes, "operator"), operators);
        if (values && values->n > 255)
            say_too_many(c, IN(IN(here, "exitCodes"), "values"), values->n, 255, "s");
    }
}

static void check_container(causes c, const struct path *p, const struct val *x, const struct pod_place *where)
{
    const struct val *spec = where->spec;
    static const char *const message_policies[] = { "File", "FallbackToLogsOnError", NULL };
    struct str name = json_str(x, "name"), policy = json_str(x, "imagePullPolicy"), message = json_str(x, "terminationMessagePolicy");
    if (check_required_str(c, IN(p, "name"), name))
        check_name(c, IN(p, "name"), name, G_LABEL);
    check_required_str(c, IN(p, "image"), json_str(x, "image"));
    if (check_required_str(c, IN(p, "terminationMessagePolicy"), message))
        check_choice(c, IN(p, "terminationMessagePolicy"), message, message_policies);
    check_ports(c, IN(p, "ports"), json_get(x, STR("ports")));
    check_env(c, IN(p, "env"), json_get(x, STR("env")));
    check_env_from(c, IN(p, "envFrom"), json_get(x, STR("envFrom")));
    check_mounts(c, IN(p, "volumeMounts"), x, where);
    check_devices(c, IN(p, "volumeDevices"), x, where);
    if (check_required_str(c, IN(p, "imagePullPolicy"), policy))
        check_choice(c, IN(p, "imagePullPolicy"), policy, pull_policies);
    check_resources(c, IN(p, "resources"), json_get(x, STR("resources")), &where->claims);
    check_resize(c, IN(p, "resizePolicy"), json_get(x, STR("resizePolicy")), json_str(spec, "restartPolicy"));
    check_container_security(c, IN(p, "securityContext"), json_get(x, STR("securityContext")));
}

static void check_init(causes c, const struct path *p, const struct val *x, const struct val *spec)
{
    static const char *const running[] = { "lifecycle", "livenessProbe", "readinessProbe", "startupProbe" };
    check_restart_rules(c, p, x);
    if (str_is(json_str(x, "restartPolicy"), "Always")) {
        check_running(c, p, x, spec);
        return;
    }
    for (int i = 0; i < 4; i++)
        if (json_get(x, str_of(running[i])))
            say_forbidden(c, IN(p, running[i]), "may not be set for init containers without restartPolicy=Always");
    LIST_EACH (r, at, json_get(x, STR("resizePolicy")))
        if (str_is(json_str(r, "restartPolicy"), "RestartContainer"))
            say_invalid(c, IN(ITEM(IN(p, "resizePolicy"), at.i), "restartPolicy"), json_str(r, "restartPolicy"),
                        "must not be set to 'RestartContainer' for non-sidecar initContainers");
}

static void check_ephemeral(causes c, const struct path *p, const struct pod_place *where)
{
    const struct val *spec = where->spec;
    static const char *const forbidden[] = { "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources", "resizePolicy", "restartPolicy" };
    struct val *list = json_get(spec, STR("ephemeralContainers")), *others = json_get(spec, STR("containers")), *init = json_get(spec, STR("initContainers"));
    _cleanup_met_ struct met names = { 0 }, targets = { 0 };
    if (list && list->n) {
        met_all(&names, others, "name");
        met_all(&names, init, "name");
        met_all(&targets, others, "name");
        met_all(&targets, init, "name");
    }
    LIST_EACH (x, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str name = json_str(x, "name"), target = json_str(x, "targetContainerName");
        check_container(c, here, x, where);
        if (name.len && met_again(&names, name))
            say_duplicate(c, IN(here, "name"), name);
        if (target.len && !met(&targets, target))
            say_not_found(c, IN(here, "targetContainerName"), target);
        for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
            struct val *f = json_get(x, str_of(forbidden[i]));
            if (f && (f->type < VAL_ARR || f->n))
                say_forbidden(c, IN(here, forbidden[i]), "cannot be set for an Ephemeral Container");
        }
        LIST_EACH (m, mt, json_get(x, STR("volumeMounts"))) {
            if (json_str(m, "subPath").len)
                say_forbidden(c, IN(ITEM(IN(here, "volumeMounts"), mt.i), "subPath"), "cannot be set for an Ephemeral Container");
            if (json_str(m, "subPathExpr").len)
                say_forbidden(c, IN(ITEM(IN(here, "volumeMounts"), mt.i), "subPathExpr"), "cannot be set for an Ephemeral Container");
        }
    }
}

void check_containers(causes c, const struct path *p, const struct pod_place *where)
{
    const struct val *spec = where->spec;
    struct val *list = json_get(spec, STR("containers")), *init = json_get(spec, STR("initContainers"));
    const struct path *at_list = IN(p, "containers"), *at_init = IN(p, "initContainers");
    _cleanup_met_ struct met names = { 0 };
    if (!list || !list->n)
        say_required(c, at_list, NULL);
    LIST_EACH (x, at, list) {
        const struct path *here = ITEM(at_list, at.i);
        check_container(c, here, x, where);
        if (met_again(&names, json_str(x, "name")))
            say_duplicate(c, IN(here, "name"), json_str(x, "name"));
        check_running(c, here, x, spec);
        check_restart_rules(c, here, x);
    }
    check_host_ports(c, at_list, list, NULL);
    LIST_EACH (x, at, init) {
        const struct path *here = ITEM(at_init, at.i);
        struct str name = json_str(x, "name");
        check_container(c, here, x, where);
        if (name.len && met_again(&names, name))
            say_duplicate(c, IN(here, "name"), name);
        check_host_ports(c, at_init, init, x);
        check_init(c, here, x, spec);
    }
    check_ephemeral(c, IN(p, "ephemeralContainers"), where);
}

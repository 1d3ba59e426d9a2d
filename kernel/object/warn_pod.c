/* warn_pod.c - what is allowed in a pod but seldom meant. */
#include "base/map.h"
#include "object/warn.h"


/* --- volumes --- */

static const struct {
    const char *member, *why;
} old_volumes[] = {
    { "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+" },
    { "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+" },
    { "scaleIO", "deprecated in v1.16, non-functional in v1.22+" },
    { "flocker", "deprecated in v1.22, non-functional in v1.25+" },
    { "storageos", "deprecated in v1.22, non-functional in v1.25+" },
    { "quobyte", "deprecated in v1.22, non-functional in v1.25+" },
    { "glusterfs", "deprecated in v1.25, non-functional in v1.26+" },
    { "cephfs", "deprecated in v1.28, non-functional in v1.31+" },
    { "rbd", "deprecated in v1.28, non-functional in v1.31+" },
};

struct file {
    struct str path;
    const char *source;                 /* NULL: the volume itself */
};

/* The files of one volume. Beyond the most nobody looks: each is compared with each. */
#define FILES_MOST 256

struct files {
    struct warning *w;
    const char *kind;                   /* of the volume */
    struct str volume, source;          /* its name, and that of what it shows; len 0: it has none */
    unsigned n;
    struct file at[FILES_MOST];         /* not cleared: they are many, and mostly none is needed */
};

static bool within(struct str path, struct str folder)
{
    return str_starts(path, folder) && (path.len == folder.len || path.at[folder.len] == '/');
}

static const char *file_text(struct files *f, const struct file *x)
{
    return x->source ? words(&f->w->names, "\"" STR_FMT "\" (%s)", STR_ARG(x->path), x->source) : words(&f->w->names, "\"" STR_FMT "\"", STR_ARG(x->path));
}

static const char *volume_text(struct files *f)
{
    causes c = &f->w->names;
    return f->source.len ? words(c, "\"" STR_FMT "\" (%s \"" STR_FMT "\")", STR_ARG(f->volume), f->kind, STR_ARG(f->source)) :
                           words(c, "\"" STR_FMT "\" (%s)", STR_ARG(f->volume), f->kind);
}

static void add_file(struct files *f, struct str path, const char *source)
{
    struct file now = { path, source };
    while (now.path.len && now.path.at[now.path.len - 1] == '/')
        now.path.len--;
    for (unsigned i = 0; i < f->n && now.path.len; i++)
        if (f->at[i].path.len && (within(f->at[i].path, now.path) || within(now.path, f->at[i].path)))
            warn(f->w, "volume %s: overlapping paths: %s with %s", volume_text(f), file_text(f, &now), file_text(f, &f->at[i]));
    if (f->n < FILES_MOST)
        f->at[f->n++] = now;
}

static void add_items(struct files *f, const struct val *source, const char *name)
{
    LIST_EACH (x, at, json_get(source, STR("items")))
        add_file(f, json_str(x, "path"), name);
}

static void add_source(struct files *f, struct str volume, const struct val *s)
{
    static const struct {
        const char *member, *kind, *name;
    } kinds[] = { { "configMap", "ConfigMap", "name" }, { "secret", "Secret", "name" }, { "downwardAPI", "DownwardAPI", NULL } };
    causes c = &f->w->names;
    struct val *bundle = json_get(s, STR("clusterTrustBundle")), *token = json_get(s, STR("serviceAccountToken"));
    if (!s->n)
        warn(f->w, "volume \"" STR_FMT "\" (Projected) has no sources provided", STR_ARG(volume));
    for (int i = 0; i < 3; i++) {
        struct val *x = json_get(s, str_of(kinds[i].member));
        if (x)
            add_items(f, x, kinds[i].name ? words(c, "%s \"" STR_FMT "\"", kinds[i].kind, STR_ARG(json_str(x, kinds[i].name))) : kinds[i].kind);
    }
    if (token)
        add_file(f, json_str(token, "path"), "ServiceAccountToken");
    if (bundle) {
        struct str name = json_str(bundle, json_get(bundle, STR("name")) ? "name" : "signerName");
        add_file(f, json_str(bundle, "path"), words(c, "ClusterTrustBundle \"" STR_FMT "\"", STR_ARG(name)));
    }
}

static void warn_files(struct warning *w, const struct val *v)
{
    struct val *map = json_get(v, STR("configMap")), *secret = json_get(v, STR("secret")), *down = json_get(v, STR("downwardAPI"));
    struct val *projected = json_get(v, STR("projected"));
    struct files f;
    f.w = w;
    f.kind = map ? "ConfigMap" : secret ? "Secret" : down ? "DownwardAPI" : "Projected";
    f.volume = json_str(v, "name");
    f.source = map ? json_str(map, "name") : secret ? json_str(secret, "secretName") : STR_NONE;
    f.n = 0;
    add_items(&f, map ? map : secret ? secret : down, NULL);
    LIST_EACH (s, at, json_get(projected, STR("sources")))
        add_source(&f, f.volume, s);
}

static void warn_volumes(struct warning *w, const struct path *p, const struct val *list)
{
    LIST_EACH (v, at, list) {
        for (size_t i = 0; i < sizeof old_volumes / sizeof *old_volumes; i++)
            if (json_get(v, str_of(old_volumes[i].member)))
                warn_at(w, IN(ITEM(p, at.i), old_volumes[i].member), "%s", old_volumes[i].why);
        struct val *claim = json_path(v, "ephemeral.volumeClaimTemplate.spec.resources");
        const struct path *here = IN(IN(IN(IN(ITEM(p, at.i), "ephemeral"), "volumeClaimTemplate"), "spec"), "resources");
        warn_fraction(w, IN(here, "requests"), json_get(claim, STR("requests")), "storage");
        warn_fraction(w, IN(here, "limits"), json_get(claim, STR("limits")), "storage");
    }
    LIST_EACH (v, at, list)
        warn_files(w, v);
}

/* --- placement --- */

static void warn_terms(struct warning *w, const struct path *p, const struct val *terms, bool weighted)
{
    LIST_EACH (t, at, terms) {
        const struct path *here = weighted ? IN(ITEM(p, at.i), "podAffinityTerm") : ITEM(p, at.i);
        if (!json_get(weighted ? json_get(t, STR("podAffinityTerm")) : t, STR("labelSelector")))
            warn_at(w, IN(here, "labelSelector"), "a null labelSelector results in matching no pod");
    }
}

#define REQUIRED  "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static void warn_pod_affinity(struct warning *w, const struct path *p, const struct val *affinity)
{
    static const char *const members[] = { "podAffinity", "podAntiAffinity" };
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(affinity, str_of(members[i]));
        warn_terms(w, IN(IN(p, members[i]), REQUIRED), json_get(x, STR(REQUIRED)), false);
        warn_terms(w, IN(IN(p, members[i]), PREFERRED), json_get(x, STR(PREFERRED)), true);
    }
}

static void warn_nodes(struct warning *w, const struct path *p, const struct val *spec)
{
    struct val *selector = json_get(spec, STR("nodeSelector")), *affinity = json_path(spec, "affinity.nodeAffinity");
    const struct path *here = IN(IN(p, "affinity"), "nodeAffinity");
    for (const struct val *x = val_is(selector, VAL_OBJ) ? selector->first : NULL; x; x = x->next)
        if (warn_old_label(val_key(x)))
            warn_at(w, KEY(IN(p, "nodeSelector"), val_key(x)), "%s", warn_old_label(val_key(x)));
    LIST_EACH (t, at, json_get(json_get(affinity, STR(REQUIRED)), STR("nodeSelectorTerms")))
        warn_node_term(w, ITEM(IN(IN(here, REQUIRED), "nodeSelectorTerms"), at.i), t, false);
    LIST_EACH (t, at, json_get(affinity, STR(PREFERRED)))
        warn_node_term(w, IN(ITEM(IN(here, PREFERRED), at.i), "preference"), json_get(t, STR("preference")), true);
    LIST_EACH (t, at, json_get(spec, STR("topologySpreadConstraints"))) {
        const struct path *one = ITEM(IN(p, "topologySpreadConstraints"), at.i);
        struct str key = json_str(t, "topologyKey");
        if (warn_old_label(key))
            warn_at(w, IN(one, "topologyKey"), STR_FMT " is %s", STR_ARG(key), warn_old_label(key));
        if (!json_get(t, STR("labelSelector")))
            warn_at(w, IN(one, "labelSelector"), "a null labelSelector results in matching no pod");
    }
}

/* --- containers --- */

static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };

static bool contains(struct str s, struct str part)
{
    for (size_t i = 0; i + part.len <= s.len; i++)
        if (memcmp(s.at + i, part.at, part.len) == 0)
            return true;
    return false;
}

static void warn_env(struct warning *w, const struct path *p, const struct val *list)
{
    struct map seen = { 0 };
    if (!list || list->n < 2)
        return;
    LIST_EACH (e, at, list) {
        struct str name = json_str(e, "name"), value = json_str(e, "value");
        if (!map_get(&seen, name)) {
            if (!map_put(&seen, name, (void *)e))
                break;
            continue;
        }
        struct str ref = str_of(words(&w->names, "$(" STR_FMT ")", STR_ARG(name)));
        if (json_get(e, STR("valueFrom")) || str_eq(value, ref) || !contains(value, ref))
            warn_at(w, ITEM(p, at.i), "hides previous definition of \"" STR_FMT "\", which may be dropped when using apply", STR_ARG(name));
    }
    map_free(&seen);
}

static bool has_prefix(const struct val *annotations, struct str prefix)
{
    val_each(x, annotations)
        if (str_starts(val_key(x), prefix))
            return true;
    return false;
}

static void warn_container(struct warning *w, const struct path *up, const struct path *p, const struct val *x, const struct val *annotations)
{
    static const char *const amounts[] = { "limits", "requests" }, *const sizes[] = { "memory", "ephemeral-storage" };
    struct str name = json_str(x, "name");
    causes c = &w->names;
    bool noted = val_is(annotations, VAL_OBJ) && has_prefix(annotations, STR("container."));
    if (noted && !json_path(x, "securityContext.seccompProfile"))
        warn_annotation(w, up, annotations, str_of(words(c, "container.seccomp.security.alpha.kubernetes.io/" STR_FMT, STR_ARG(name))),
                        "non-functional in v1.27+; use the \"seccompProfile\" field instead");
    if (noted && up && !json_path(x, "securityContext.appArmorProfile"))
        warn_annotation(w, up, annotations, str_of(words(c, "container.apparmor.security.beta.kubernetes.io/" STR_FMT, STR_ARG(name))),
                        "deprecated since v1.30; use the \"appArmorProfile\" field instead");
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 2; i++)
            warn_fraction(w, IN(IN(p, "resources"), amounts[i]), json_get(json_get(x, STR("resources")), str_of(amounts[i])), sizes[s]);
    warn_env(w, IN(p, "env"), json_get(x, STR("env")));
}

struct port {
    const struct val *v;
    const char *place;
};

/* Each is compared with each. */
#define PORTS_MOST 512

struct ports {
    struct port at[PORTS_MOST];
    unsigned n;
};

static void compare_ports(struct warning *w, const struct port *x, const struct port *other)
{
    struct str ip = json_str(x->v, "hostIP"), other_ip = json_str(other->v, "hostIP");
    int64_t host = json_int(x->v, "hostPort", 0), other_host = json_int(other->v, "hostPort", 0);
    if (json_int(x->v, "containerPort", 0) != json_int(other->v, "containerPort", 0) ||
        !str_eq(json_str(x->v, "protocol"), json_str(other->v, "protocol")))
        return;
    if (host == other_host && str_eq(ip, other_ip))
        warn(w, "%s: duplicate port definition with %s", x->place, other->place);
    else if (host == 0 || other_host == 0)
        warn(w, "%s: overlapping port definition with %s", x->place, other->place);
    else if (host == other_host && (ip.len == 0) != (other_ip.len == 0))
        warn(w, "%s: dangerously ambiguous port definition with %s", x->place, other->place);
}

static void add_ports(struct warning *w, const struct path *p, const struct val *list, struct ports *all)
{
    LIST_EACH (x, at, list) {
        if (all->n == PORTS_MOST)
            return;
        struct port *now = &all->at[all->n];
        *now = (struct port){ x, path_text(w->arena, ITEM(p, at.i)) };
        struct str ip = json_str(x, "hostIP");
        if (ip.len && json_int(x, "hostPort", 0) == 0)
            warn(w, "%s: hostIP set without hostPort: {Name:" STR_FMT " HostPort:0 ContainerPort:%lld Protocol:" STR_FMT " HostIP:" STR_FMT "}",
                 now->place, STR_ARG(json_str(x, "name")), (long long)json_int(x, "containerPort", 0), STR_ARG(json_str(x, "protocol")), STR_ARG(ip));
        for (unsigned i = 0; i < all->n; i++)
            compare_ports(w, now, &all->at[i]);
        all->n++;
    }
}

static void warn_port_names(struct warning *w, const struct ports *all)
{
    for (unsigned i = 0; i < all->n; i++) {
        struct str name = json_str(all->at[i].v, "name");
        for (unsigned k = 0; k < i && name.len; k++)
            if (str_eq(json_str(all->at[k].v, "name"), name)) {
                warn(w, "%s: duplicate port name \"" STR_FMT "\" with %s, services and probes that select ports by name will use %s", all->at[i].place,
                     STR_ARG(name), all->at[k].place, all->at[k].place);
                break;
            }
    }
}

static void warn_containers(struct warning *w, const struct path *up, const struct path *p, const struct val *meta, const struct val *spec)
{
    struct ports all;
    all.n = 0;
    for (int i = 0; i < 3; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i])))
            warn_container(w, up, ITEM(IN(p, lists[i]), at.i), x, json_get(meta, STR("annotations")));
    for (int i = 0; i < 3; i++)
        LIST_EACH (x, at, json_get(spec, str_of(lists[i])))
            add_ports(w, IN(ITEM(IN(p, lists[i]), at.i), "ports"), json_get(x, STR("ports")), &all);
    warn_port_names(w, &all);
}

/* --- the pod --- */

static void warn_again(struct warning *w, const struct path *p, const struct val *list, const char *member)
{
    struct map seen = { 0 };
    if (!list || list->n < 2)
        return;
    LIST_EACH (x, at, list) {
        struct str s = json_str(x, member);
        if (map_get(&seen, s))
            warn_at(w, IN(ITEM(p, at.i), member), "duplicate %s \"" STR_FMT "\"", member, STR_ARG(s));
        else if (!map_put(&seen, s, (void *)x))
            break;
    }
    map_free(&seen);
}

void warn_pod(struct warning *w, const struct path *up, const struct val *meta, const struct val *spec)
{
    static const char *const old_annotations[][2] = {
        { "scheduler.alpha.kubernetes.io/critical-pod", "non-functional in v1.16+; use the \"priorityClassName\" field instead" },
        { "security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead" },
        { "security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead" },
    };
    const struct path *p = IN(up, "spec");
    struct val *annotations = json_get(meta, STR("annotations")), *secrets = json_get(spec, STR("imagePullSecrets"));
    struct val *aliases = json_get(spec, STR("hostAliases"));
    warn_nodes(w, p, spec);
    for (int i = 0; i < 3; i++)
        warn_annotation(w, up, annotations, str_of(old_annotations[i][0]), old_annotations[i][1]);
    warn_volumes(w, IN(p, "volumes"), json_get(spec, STR("volumes")));
    warn_again(w, IN(p, "hostAliases"), aliases, "ip");
    warn_again(w, IN(p, "imagePullSecrets"), secrets, "name");
    LIST_EACH (s, at, secrets)
        if (!json_str(s, "name").len)
            warn_at(w, IN(ITEM(IN(p, "imagePullSecrets"), at.i), "name"), "invalid empty name \"\"");
    warn_fraction(w, IN(p, "overhead"), json_get(spec, STR("overhead")), "memory");
    warn_fraction(w, IN(p, "overhead"), json_get(spec, STR("overhead")), "ephemeral-storage");
    if (!json_path(spec, "securityContext.seccompProfile"))
        warn_annotation(w, up, annotations, STR("seccomp.security.alpha.kubernetes.io/pod"),
                        "non-functional in v1.27+; use the \"seccompProfile\" field instead");
    warn_containers(w, up, p, meta, spec);
    if (json_int(spec, "terminationGracePeriodSeconds", 0) < 0)
        warn_at(w, IN(p, "terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1");
    warn_pod_affinity(w, IN(p, "affinity"), json_get(spec, STR("affinity")));
    LIST_EACH (x, at, json_path(spec, "dnsConfig.nameservers"))
        warn_ip(w, ITEM(IN(IN(p, "dnsConfig"), "nameservers"), at.i), val_str(x));
    LIST_EACH (x, at, aliases)
        warn_ip(w, IN(ITEM(IN(p, "hostAliases"), at.i), "ip"), json_str(x, "ip"));
}

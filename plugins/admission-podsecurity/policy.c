/* policy.c - levels, versions, and what the labels of a namespace ask for. */
#include "podsecurity.h"

#define PREFIX "pod-security.kubernetes.io/"

const char *const mode_labels[MODES][2] = { [ENFORCE] = { PREFIX "enforce", PREFIX "enforce-version" },
                                            [AUDIT] = { PREFIX "audit", PREFIX "audit-version" },
                                            [WARN] = { PREFIX "warn", PREFIX "warn-version" } };

static const char *const levels[] = { [PRIVILEGED] = "privileged", [BASELINE] = "baseline", [RESTRICTED] = "restricted" };

bool level_parse(struct str s, enum level *ret)
{
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (str_is(s, levels[i])) {
            *ret = (enum level)i;
            return true;
        }
    return false;
}

bool version_parse(struct str s, int32_t *ret)
{
    int64_t n;
    if (str_is(s, "latest")) {
        *ret = LATEST;
        return true;
    }
    if (!str_starts(s, STR("v1.")))
        return false;
    s = str_skip(s, 3);
    if (!s.len || (s.at[0] == '0' && s.len > 1) || s.at[0] < '0' || s.at[0] > '9' || !str_int(s, &n) || n < 0 || n >= LATEST)
        return false;
    *ret = (int32_t)n;
    return true;
}

const char *level_version_text(struct arena *a, struct level_version lv)
{
    return lv.minor == LATEST ? arena_printf(a, "%s:latest", levels[lv.level]) : arena_printf(a, "%s:v1.%d", levels[lv.level], lv.minor);
}

static void fault(struct arena *a, struct val *causes, const char *label, struct str value, const char *must)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (!causes)
        return;
    buf_lit(&b, "Invalid value: ");
    json_write_str(&b, value);
    buf_printf(&b, ": %s", must);
    val_push(causes, val_of_str(a, STR("FieldValueInvalid")));
    val_push(causes, val_of_str(a, str_of(arena_printf(a, "metadata.labels[%s]", label))));
    val_push(causes, val_of_str(a, arena_str(a, buf_str(&b))));
}

struct policy policy_of(struct arena *a, const struct val *labels, const struct policy *defaults, struct val *causes)
{
    struct policy p = *defaults;
    bool good_enforce = false;
    const struct val *level = NULL, *version = NULL;
    for (unsigned i = 0; i < MODES; i++) {
        level = json_get(labels, str_of(mode_labels[i][0]));
        version = json_get(labels, str_of(mode_labels[i][1]));
        bool good = level && level_parse(val_str(level), &p.at[i].level);
        if (level && !good) {
            p.at[i].level = i == ENFORCE ? RESTRICTED : PRIVILEGED;
            fault(a, causes, mode_labels[i][0], val_str(level), "must be one of privileged, baseline, restricted");
        }
        if (version && !version_parse(val_str(version), &p.at[i].minor)) {
            p.at[i].minor = LATEST;
            fault(a, causes, mode_labels[i][1], val_str(version), "must be \"latest\" or \"v1.x\"");
        }
        good_enforce |= i == ENFORCE && good;
    }
    /* Whoever asks for enforcement wants to be warned as well, unless the labels say otherwise. Here level and version are those of warn. */
    if (!level && good_enforce && p.at[ENFORCE].level > p.at[WARN].level) {
        p.at[WARN].level = p.at[ENFORCE].level;
        if (!version)
            p.at[WARN].minor = p.at[ENFORCE].minor;
    }
    return p;
}

bool policy_privileged(const struct policy *p)
{
    return p->at[ENFORCE].level == PRIVILEGED && p->at[AUDIT].level == PRIVILEGED && p->at[WARN].level == PRIVILEGED;
}

// tally.cpp - a scheduler in C++: the node with the fewest pods, counted per zone label.
#include <keelson/iface/scheduler.h>

#include <new>
#include <string_view>

namespace {

struct Conf {
    const char *label;
};

class Tally {
public:
    explicit Tally(const Conf *conf) : conf_(conf) {}

    int score(const kl_node_view &node) const
    {
        const int64_t room = node.pods > 0 ? (node.pods - node.used_pods) * 100 / node.pods : 0;
        const std::string_view text(node.node.at ? node.node.at : "", node.node.len);
        const bool labelled = text.find(conf_->label) != std::string_view::npos;
        const int64_t points = (room < 0 ? 0 : room) / 2 + (labelled ? 50 : 0);
        return static_cast<int>(points > 100 ? 100 : points);
    }

private:
    const Conf *conf_;
};

// What the host calls is C: no exception may come out of it.
int tally_open(const kl_host *, const void *conf, void **self, kl_call *c) noexcept
{
    auto *t = new (std::nothrow) Tally(static_cast<const Conf *>(conf));
    if (!t)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *self = t;
    return 0;
}

void tally_close(void *self) noexcept
{
    delete static_cast<Tally *>(self);
}

int tally_score(void *self, kl_call *, void *, const kl_pod_view *, const kl_node_view *node) noexcept
{
    return static_cast<const Tally *>(self)->score(*node);
}

// Members in the order of the headers.
const kl_scheduler table = { sizeof table, { tally_open, nullptr, nullptr, tally_close }, nullptr, nullptr, tally_score, nullptr, nullptr };
const kl_provider provides[] = { { KL_SCHEDULER_0, "tally", 0, &table } };
const kl_conf_field fields[] = {
    { "label", KL_CONF_STR, offsetof(Conf, label), 0, "topology.kubernetes.io/zone", 0, 0, nullptr, "nodes that say this are preferred" },
};

} // namespace

KL_PLUGIN_DEFINE("org.example.tally", "0.1.0", "keelson.scheduler/0:tally", "", .summary = "few pods, labelled nodes", .license = "MIT",
                 .needs = {}, .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(Conf));

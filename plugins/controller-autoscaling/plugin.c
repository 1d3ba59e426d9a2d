/* plugin.c - controller-autoscaling: as many pods as their metrics ask for. */
#include <keelson/plugin.h>

#include "hpa.h"

static const struct kl_provider provides[] = { { KL_CONTROLLER_0, "horizontal-pod-autoscaler", 0, &horizontal_controller } };

static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_QUEUE_0, 0 } };

#define FIELD(NAME, TYPE, ...) { .key = #NAME, .type = TYPE, .offset = offsetof(struct hpa_conf, NAME), __VA_ARGS__ }
static const struct kl_conf_field conf[] = {
    FIELD(period, KL_CONF_DURATION, .fallback = "15s", .min = NS_S / 10, .max = INT64_MAX, .doc = "time between two looks at an autoscaler"),
    FIELD(downscale_window, KL_CONF_DURATION, .fallback = "5m", .min = 0, .max = INT64_MAX, .doc = "the most that was recommended within it counts on the way down"),
    FIELD(cpu_start, KL_CONF_DURATION, .fallback = "5m", .min = 0, .max = INT64_MAX, .doc = "time behind a pod's start in which its processor use says little"),
    FIELD(readiness_delay, KL_CONF_DURATION, .fallback = "30s", .min = 0, .max = INT64_MAX, .doc = "time behind a pod's start in which not being ready means that it still starts"),
    FIELD(tolerance, KL_CONF_INT, .fallback = "10", .min = 0, .max = 100, .doc = "percent by which usage and target may differ"),
};

KL_PLUGIN_DEFINE("dev.keelson.controller-autoscaling", "0.1.0", KL_CONTROLLER_0 ":horizontal-pod-autoscaler",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.queue/0", .summary = "HorizontalPodAutoscalers", .license = "Apache-2.0",
                 .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct hpa_conf));

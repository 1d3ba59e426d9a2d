/* advertise.c - where the API is, as pods find it: the endpoint of the kubernetes Service, in both forms. */
#include <arpa/inet.h>

#include "api-internal.h"

/* Made, or made as it should be. */
static int put(struct api *api, const char *group, const char *version, const char *kind, const char *text, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    const struct schema_kind *k = schema_kind_find(str_of(group), str_of(version), str_of(kind));
    struct api_op op = { .api = api, .arena = a, .kind = k, .ns = STR("default"), .name = STR("kubernetes") };
    struct val *v = NULL;
    if (!a || !k)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = api_op_decode(&op, k->type, MEDIA_JSON, str_of(text), &v);
    if (rc == 0)
        rc = api_op_update(&op, v);
    if (rc < 0 && op.err.code == KL_NOT_FOUND) {
        struct api_op make = { .api = api, .arena = a, .kind = k, .ns = op.ns };
        rc = api_op_decode(&make, k->type, MEDIA_JSON, str_of(text), &v);
        if (rc == 0)
            rc = api_op_create(&make, v);
        op.err = make.err;
    }
    return rc < 0 ? kl_err_set(err, op.err.code, "the endpoint of the kubernetes Service (%s): %s", kind, op.err.message) : 0;
}

int api_advertise(struct api *api, const char *address, int port, struct kl_err *err)
{
    struct in_addr in;
    char text[600];
    if (inet_pton(AF_INET, address, &in) != 1 || (ntohl(in.s_addr) >> 24) == 127 || !in.s_addr)
        return 0;
    snprintf(text, sizeof text,
             "{\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"default\",\"labels\":{\"endpointslice.kubernetes.io/skip-mirror\":\"true\"}},"
             "\"subsets\":[{\"addresses\":[{\"ip\":\"%s\"}],\"ports\":[{\"name\":\"https\",\"port\":%d,\"protocol\":\"TCP\"}]}]}",
             address, port);
    int rc = put(api, "", "v1", "Endpoints", text, err);
    snprintf(text, sizeof text,
             "{\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"default\",\"labels\":{\"kubernetes.io/service-name\":\"kubernetes\"}},"
             "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true}}],"
             "\"ports\":[{\"name\":\"https\",\"port\":%d,\"protocol\":\"TCP\"}]}",
             address, port);
    return rc < 0 ? rc : put(api, "discovery.k8s.io", "v1", "EndpointSlice", text, err);
}

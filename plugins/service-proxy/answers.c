/* answers.c - what is answered at the ports of health.c, as a kube-proxy does. */
#include <time.h>

#include "base/clock.h"
#include "health.h"

static void put(struct answer *r, const char *status, const char *type)
{
    snprintf(r->status, sizeof r->status, "%s", status);
    snprintf(r->type, sizeof r->type, "%s", type);
}

static void put_health(struct answer *r, bool well)
{
    put(r, well ? "200 OK" : "503 Service Unavailable", "application/json");
}

void answer_service(struct answer *r, const char *service, int64_t endpoints, bool healthy)
{
    struct str name = str_of(service), ns = str_cut(&name, '/');
    put_health(r, endpoints && healthy);
    snprintf(r->more, sizeof r->more, "X-Load-Balancing-Endpoint-Weight: %d\r\n", (int)endpoints);
    snprintf(r->body, sizeof r->body, "{\n\t\"service\": {\n\t\t\"namespace\": \"" STR_FMT "\",\n\t\t\"name\": \"" STR_FMT "\"\n\t},\n\t\"localEndpoints\": %d,\n"
             "\t\"serviceProxyHealthy\": %s\n}", STR_ARG(ns), STR_ARG(name), (int)endpoints, healthy ? "true" : "false");
}

void answer_proxy(struct answer *r, struct str path, const struct proxy_state *p)
{
    char now[CLOCK_TEXT], last[CLOCK_TEXT];
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t wall = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    bool asks_for_node = str_is(path, "/healthz");
    if (!asks_for_node && !str_is(path, "/livez")) {
        answer_none(r);
        return;
    }
    put_health(r, p->healthy && (p->eligible || !asks_for_node));
    clock_format_nano(wall, now);
    clock_format_nano(wall - p->stale_ns, last);
    snprintf(r->body, sizeof r->body, "{\"lastUpdated\":\"%s\",\"currentTime\":\"%s\",%s\"healthy\":%s}", last, now,
             !asks_for_node ? "" : p->eligible ? "\"nodeEligible\":true," : "\"nodeEligible\":false,", p->healthy ? "true" : "false");
}

void answer_status(struct answer *r, struct str path, const char *mode)
{
    if (!str_is(path, "/proxyMode") && !str_is(path, "/healthz")) {
        answer_none(r);
        return;
    }
    put(r, "200 OK", "text/plain; charset=utf-8");
    snprintf(r->body, sizeof r->body, "%s", str_is(path, "/healthz") ? "ok" : mode);
}

void answer_none(struct answer *r)
{
    put(r, "404 Not Found", "text/plain; charset=utf-8");
    snprintf(r->body, sizeof r->body, "404 page not found\n");
}

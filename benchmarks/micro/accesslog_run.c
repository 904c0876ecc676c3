/* benchmarks/micro/accesslog_run.c: writes access-log lines, for accesslog.py, which counts instructions.
 *
 *   accesslog_run FORMAT LINES KIND      FORMAT json | combined; KIND proxied | static | escaped; a line of output: bytes a line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/accesslog.h"
#include "io/shm.h"
#include "policy/layout.h"

static struct fgw_log_facts facts(const char *kind, struct fgw_log_time *time)
{
    struct fgw_log_facts f = {
        .time = time, .duration_us = 1234, .upstream_us = 987, .bytes_out = 5120,
        .client = FGW_STR("203.0.113.77"), .method = FGW_STR("GET"), .target = FGW_STR("/users/42?page=3"), .host = FGW_STR("api.example.com"),
        .user_agent = FGW_STR("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"), .referer = FGW_STR("https://example.com/"),
        .request_id = FGW_STR("0193a1b2c3d4e5f60718293a4b5c6d7e"), .listener = FGW_STR("web"), .route = FGW_STR("users"),
        .upstream = FGW_STR("users"), .endpoint = FGW_STR("127.0.0.1:9001"), .status = 200, .minor = 1, .tries = 1};
    if (strcmp(kind, "static") == 0) f.upstream = f.endpoint = f.referer = f.user_agent = FGW_STR(""), f.upstream_us = 0;
    if (strcmp(kind, "escaped") == 0) f.user_agent = FGW_STR("a \"quoted\" agent \\ with a tab\t");
    return f;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int format = strcmp(argv[1], "json") == 0 ? FGW_LOG_JSON : FGW_LOG_COMBINED;
    long lines = atol(argv[2]);
    static char out[FGW_SHM_RING];
    struct fgw_ring *r = aligned_alloc(64, sizeof *r + FGW_SHM_RING);
    struct fgw_log_time time = {0};
    struct fgw_log_facts f = facts(argv[3], &time);
    uint64_t bytes = 0;
    fgw_ring_init(r, FGW_SHM_RING);
    for (long i = 0; i < lines; i++) {
        f.wall_ns = 1767323045678901234u + (uint64_t)i * 50000;      /* 20,000 lines a second */
        fgw_accesslog_write(r, format, &f);
        if (i % 512 == 511 || i == lines - 1) bytes += fgw_ring_read(r, out, sizeof out);
    }
    printf("%.1f\n", (double)bytes / (double)lines);
    free(r);
    return 0;
}

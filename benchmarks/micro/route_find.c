/* Routes every request of a file over a segment, once: bench_route.py counts the instructions inside fgw_route_find.
 *   route_find SEGMENT HEADS [ROUNDS]        prints the requests, how many found a route, and with ROUNDS the ns of one. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "http/target.h"
#include "policy/route.h"

enum { FIELDS = 64, HEADS_MAX = 20000 };
struct request { struct fgw_head head; struct fgw_field fields[FIELDS]; struct fgw_route_in in; char path[512], host[256]; };

static char *slurp(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    if (!f || fseek(f, 0, SEEK_END)) { perror(name); exit(2); }
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    if (!p || fread(p, 1, *n, f) != *n) { perror(name); exit(2); }
    fclose(f);
    return p;
}

static uint32_t prepare(struct request *r, const char *p, size_t n)
{
    static const struct fgw_head_limits LIMITS = {4096, 4096, 16384, FIELDS};
    static const struct fgw_target_policy POLICY = {FGW_SLASHES_REJECT, true};
    struct fgw_target t;
    struct fgw_str host;
    uint16_t port;
    r->head.fields = r->fields;
    fgw_head_reset(&r->head);
    int used = fgw_head_parse_request(&r->head, p, (uint32_t)n, &LIMITS);
    if (used <= 0 || fgw_target_parse(fgw_head_target(&r->head), r->head.method, &POLICY, r->path, sizeof r->path, &t)) {
        fprintf(stderr, "a request is malformed: %.60s\n", p);
        exit(2);
    }
    host = fgw_head_value(&r->head, fgw_head_find(&r->head, FGW_H_HOST));
    fgw_authority_split(host, &host, &port, false);
    r->in = (struct fgw_route_in){.host = fgw_str(r->host, fgw_host_fold(host, r->host)), .path = t.path, .query = t.query,
                                  .method = fgw_head_method(&r->head), .method_id = r->head.method, .head = &r->head};
    return (uint32_t)used;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    size_t seg_n, heads_n, at = 0;
    uint32_t n = 0, found = 0, rounds = argc > 3 ? (uint32_t)atoi(argv[3]) : 1;
    char *seg = slurp(argv[1], &seg_n), *heads = slurp(argv[2], &heads_n);
    struct request *all = calloc(HEADS_MAX, sizeof *all);
    struct timespec a, b;
    const char *why = fgw_seg_check(seg, seg_n);
    if (why || !all) { fprintf(stderr, "%s\n", why); return 2; }
    while (at < heads_n && n < HEADS_MAX) at += prepare(&all[n++], heads + at, heads_n - at);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint32_t k = 0; k < rounds; k++)
        for (uint32_t i = 0; i < n; i++) {
            struct fgw_route_out out;
            found += fgw_route_find(seg, &all[i].in, &out);
        }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ((double)n * rounds);
    printf("{\"requests\": %u, \"found\": %u, \"ns\": %.1f}\n", n, found / rounds, ns);
    free(all), free(seg), free(heads);
    return 0;
}

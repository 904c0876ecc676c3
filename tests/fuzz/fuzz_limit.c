/* Whatever a request holds, its key is made without reading beyond it, and what counts as absent is one key. */
#include <stdlib.h>
#include "io/shm.h"
#include "policy/limit.h"

static struct fgw_shm *shm;
static struct fgw_limits limits;

static void field(struct fgw_req *r, struct fgw_str name, struct fgw_str value) { fgw_fields_add(&r->arena, &r->out, fgw_field_id(name.p, name.n), name, value); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(8) char seg[512], first[4096];
    static struct fgw_blocks blocks;
    if (!shm) {
        fgw_shm_create(fgw_shm_fixed(1), 1, &shm);
        limits.shm = shm;
        fgw_blocks_init(&blocks, 0);
    }
    if (size < 2 || size > 4096) return 0;
    char *copy = malloc(size);                         /* its end is guarded */
    memcpy(copy, data, size);
    size_t cut = 2 + data[0] % (size - 1), more = data[1] % 3;
    struct fgw_str a = fgw_str(copy + 2, cut - 2), b = fgw_str(copy + cut, size - cut);
    struct fgw_l_route route = {.name = {400, 1}};
    struct fgw_req r = {.seg = seg, .route = &route, .limits = &limits, .client = a};
    fgw_arena_init(&r.arena, &blocks, first, sizeof first, 65536);
    r.target.query = a, r.params[0] = b;
    field(&r, FGW_STR("cookie"), a);
    if (more) field(&r, FGW_STR("Cookie"), b), field(&r, FGW_STR("x-key"), b);
    if (more == 2) field(&r, FGW_STR("X-Key"), a);
    memcpy(seg + 300, "kx-key", 6);
    const struct fgw_l_limit_key k[] = {{.kind = FGW_LIMIT_CLIENT}, {.kind = FGW_LIMIT_HEADER, .name = {301, 5}}, {.kind = FGW_LIMIT_QUERY, .name = {300, 1}},
                                        {.kind = FGW_LIMIT_COOKIE, .name = {300, 1}}, {.kind = FGW_LIMIT_PATH}, {.kind = FGW_LIMIT_ROUTE}};
    memcpy(seg + 8, k, sizeof k);
    for (uint32_t i = 0; i < FGW_COUNT(k); i++) {
        struct fgw_l_arr one = {8 + i * (uint32_t)sizeof *k, 1};
        uint64_t tag = fgw_limit_tag(&r, one, FGW_STR(""));
        if (!tag || tag != fgw_limit_tag(&r, one, FGW_STR(""))) __builtin_trap();
    }
    if (!fgw_limit_tag(&r, (struct fgw_l_arr){8, FGW_COUNT(k)}, FGW_STR("salt"))) __builtin_trap();
    fgw_arena_fini(&r.arena);
    free(copy);
    return 0;
}

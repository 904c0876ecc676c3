/* A request before a limit, without an exchange: shared memory, a loop whose clock stands still until the test moves it. */
#ifndef FGW_TESTS_LIMIT_REQ_H
#define FGW_TESTS_LIMIT_REQ_H
#include "policy/bucket.h"
#include "policy/limit.h"
#include "test.h"

enum { REQ_SETS = 32 };
static uint64_t req_ns = 1000000000;
static uint64_t req_mono(void *ctx) { (void)ctx; return req_ns; }
static const struct fgw_clock_source req_source = {req_mono, req_mono, NULL};
static struct fgw_shm *req_shm;
static struct fgw_loop req_loop;
static struct fgw_limits req_limits;
static struct fgw_bells req_bells;
static _Alignas(8) char req_seg[4096];
static uint32_t req_used;

static inline struct fgw_l_str seg_str(const char *text)
{
    uint32_t n = (uint32_t)strlen(text), at = req_used;
    memcpy(req_seg + at, text, n);
    req_used += (n + 7) & ~7u;
    return (struct fgw_l_str){n ? at : 0, n};
}
static inline uint32_t seg_bytes(const void *p, size_t n)
{
    uint32_t at = req_used;
    memcpy(req_seg + at, p, n);
    req_used += ((uint32_t)n + 7) & ~7u;
    return at;
}

static inline void req_heard(struct fgw_bells *b, uint32_t topic, uint64_t what) { (void)b, (void)what, fgw_limits_heard(&req_limits, topic); }
static inline void req_begin(void)
{
    int fd = fgw_shm_create(fgw_shm_fixed(2) + (1 << 20), 2, &req_shm);
    if (fd < 0 || fgw_loop_init(&req_loop, &req_source, 1 << 20) < 0) abort();
    close(fd);
    fgw_bells_init(&req_bells, req_shm, 0, &req_loop, req_heard);
    fgw_limits_init(&req_limits, req_shm, 0, &req_loop, &req_bells, NULL);
    req_used = 64;
}
static inline void req_end(void)
{
    fgw_limits_fini(&req_limits);
    fgw_bells_fini(&req_bells);
    fgw_loop_settle(&req_loop);
    fgw_loop_fini(&req_loop);
    fgw_shm_unmap(req_shm);
}

struct test_req { struct fgw_req r; struct fgw_l_route route; char first[2048]; _Alignas(16) char state[256]; };
static inline void req_init(struct test_req *t)
{
    memset(t, 0, sizeof *t);
    fgw_arena_init(&t->r.arena, &req_loop.blocks, t->first, sizeof t->first, 8192);
    t->route.name = seg_str("r");
    t->r.seg = req_seg, t->r.route = &t->route, t->r.limits = &req_limits, t->r.client = FGW_STR("192.0.2.1");
}
static inline void req_fini(struct test_req *t, const struct fgw_step *s, const void *args)
{
    if (s) s->on_end(&t->r, args, t->state);
    for (struct fgw_hold *h; (h = t->r.holds);) t->r.holds = h->next, h->drop(h);
    fgw_arena_fini(&t->r.arena);
}
static inline void req_field(struct test_req *t, const char *name, const char *value)
{
    fgw_fields_add(&t->r.arena, &t->r.out, fgw_field_id(name, (uint32_t)strlen(name)), fgw_str(name, strlen(name)), fgw_str(value, strlen(value)));
}
static inline struct fgw_str req_reply(struct test_req *t, const char *name)
{
    struct fgw_out_field *f = fgw_fields_find(&t->r.reply, fgw_field_id(name, (uint32_t)strlen(name)), fgw_str(name, strlen(name)));
    return f ? fgw_str(f->value, f->value_len) : FGW_STR("");
}
#endif

/* tests/c/upstream/pool_play.h: a pool between scripted endpoints (an address's first byte is its number) and leases that write down what
 * becomes of them: "a:1" has endpoint 1's connection, "a:1w" a warm one, "a!word" failed.
 * Owner    one table a program. */
#ifndef FGW_TESTS_POOL_PLAY_H
#define FGW_TESTS_POOL_PLAY_H
#include "upstream/dials.h"
#include "upstream/pool_impl.h"
#include <stdarg.h>
#include "core/mini_snapshot.h"
#include "test.h"

enum { EPS = 4, DIALS = 32 };
static struct { int ep; struct wire *w; struct fgw_mux *m; } dialed[DIALS];
static enum dial_as as[EPS + 1];         /* by endpoint */
static int ndialed;
static char said[4096];
static size_t nsaid;
static struct fgw_loop l;
static struct fgw_h1_env h1;
static struct fgw_pool_env env;
static struct fgw_pool *pool;
static struct fgw_eptable *table;
static struct mini_seg seg;

struct ask { struct fgw_lease lease; char name; struct wire *w; };
static struct ask a, b, c, d;

static inline void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nsaid += (size_t)vsnprintf(said + nsaid, sizeof said - nsaid, fmt, ap);
    va_end(ap);
}
static inline void saw(const char *want, const char *file, int line)
{
    test_eq_bytes_(file, line, "what became of the leases", said, nsaid, want, strlen(want));
    nsaid = 0, said[0] = 0;
}
#define SAW(want) saw((want), __FILE__, __LINE__)

/* ---- endpoints ---- */
static enum dial_as dial_how(const struct fgw_endpoint *e) { return as[(int)e->addr[0]]; }
static inline void dial_made(const struct fgw_endpoint *e, struct wire *w, struct fgw_mux *m, bool hangs)
{
    (void)hangs;
    for (int i = 0; ndialed == DIALS && i < ndialed; i++)    /* make room: forget one that is closed */
        if (!dialed[i].w->c) wire_free(dialed[i].w), dialed[i] = dialed[--ndialed];
    if (ndialed == DIALS) abort();
    dialed[ndialed].ep = e->addr[0], dialed[ndialed].w = w, dialed[ndialed].m = m, ndialed++;
}

static inline void members(const char *numbers)                 /* "12": endpoints 1 and 2; upper bits of a letter: '!' unhealthy, '0' behind it: weight 0 */
{
    struct fgw_endpoint e[EPS];
    uint32_t n = 0;
    for (; *numbers; numbers++) {
        if (*numbers == '!') e[n - 1].healthy = 0;
        else if (*numbers == '0') e[n - 1].weight = 0;
        else {
            e[n] = (struct fgw_endpoint){.slot = (uint32_t)(*numbers - '0'), .generation = 1, .weight = 1, .healthy = 1, .addr_len = 16};
            e[n].addr[0] = (char)(*numbers - '0');
            snprintf(e[n].name, sizeof e[n].name, "ep%c", *numbers), n++;
        }
    }
    fgw_eptable_publish(table, e, n);
}

static inline void report(void *ctx, const struct fgw_pool *p, const struct fgw_ep *e, struct fgw_fail why, int err)
{
    (void)ctx, (void)p, (void)err;
    note("(%s %s)", e->e.name, fgw_err_word((enum fgw_err)why.code));
}

/* ---- life ---- */
static inline void begin(const char *numbers)
{
    wires_now = 1000, ndialed = 0, nsaid = 0, said[0] = 0;
    memset(as, 0, sizeof as), memset(dialed, 0, sizeof dialed);
    dials.how = dial_how, dials.made = dial_made;
    if (fgw_loop_init(&l, &wires_clock, 0) < 0 || posix_memalign((void **)&table, 64, fgw_eptable_size(EPS))) abort();
    fgw_h1_env_init(&h1, &l);
    fgw_pool_env_init(&env, &h1, NULL);
    env.report = report;
    fgw_eptable_init(table, EPS);
    members(numbers);
    mini_upstream(&seg);
    pool = fgw_pool_new(&env, 1, FGW_STR("up"));
    pool->dialer = &dials_dialer;
    fgw_pool_ref(pool);
    fgw_pool_configure(pool, seg.bytes, table);
    pool->set.avoid_ms = 1000;
}
static inline void turn(void) { OK(wires_turn(&l)); }
static inline void passes(uint64_t ms) { OK(wires_wait(&l, ms)); }

static inline void end(void)
{
    if (pool) fgw_pool_unref(pool);
    turn();
    for (int i = 0; i < ndialed; i++) {
        OK(dialed[i].w->c == NULL);
        wire_free(dialed[i].w);
    }
    EQ(env.open, 0);
    EQ(env.idle, 0);
    EQ(h1.clients.live, 0);
    EQ(l.wheel.armed, 0);
    fgw_pool_env_fini(&env), fgw_h1_env_fini(&h1), fgw_loop_fini(&l);
    free(table);
}

/* ---- leases ---- */
static inline void up_info(struct fgw_side *s, struct fgw_msg *m) { (void)s, (void)m; }
static inline void up_head(struct fgw_side *s, struct fgw_msg *m) { (void)s, fgw_msg_put(m); }
static inline void up_body(struct fgw_side *s, struct fgw_span b_) { (void)s, (void)b_; }
static inline void up_nothing(struct fgw_side *s) { (void)s; }
static inline void up_room(struct fgw_side *s, uint64_t n) { (void)s, (void)n; }
static inline void up_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    (void)processed;
    struct ask *q = s->user;
    note("%c-%s ", q->name, fgw_err_word((enum fgw_err)why.code));
    fgw_lease_put(&q->lease);            /* at the latest here: the side goes at settle */
}
static const struct fgw_side_up up = {up_info, up_head, up_body, up_head, up_nothing, up_nothing, up_room, up_abort};

static inline void told(struct ask *q)
{
    if (!q->lease.side) {
        note("%c!%s ", q->name, fgw_err_word((enum fgw_err)q->lease.fail.code));
        return;
    }
    q->lease.side->up = &up, q->lease.side->user = q;
    for (int i = 0; i < ndialed; i++)
        if (dialed[i].w->c && dialed[i].m == q->lease.conn->mux) q->w = dialed[i].w;
    note("%c:%d%s ", q->name, q->lease.ep->e.addr[0], q->lease.warm ? "w" : "");
}
static inline void done(struct fgw_lease *x) { told(fgw_container(x, struct ask, lease)); }

static inline void get(struct ask *q, char name)
{
    bool fresh = q->lease.fresh;
    *q = (struct ask){.name = name, .lease = {.pool = pool, .done = done, .fresh = fresh}};
    if (fgw_lease_get(&q->lease) || q->lease.fail.code) told(q);
    else note("%c... ", name);
}
static inline void fetch(struct ask *q, char name) { get(q, name), turn(); }
static inline void put(struct ask *q) { fgw_lease_put(&q->lease), q->lease.fresh = false, turn(); }

/* A whole exchange, after which the connection is as good as new. */
static inline void serve(struct ask *q)
{
    struct fgw_side *s = q->lease.side;
    s->down->send_head(s, &(struct fgw_out){.method = FGW_STR("GET"), .target = FGW_STR("/"), .authority = FGW_STR("h")});
    s->down->finish(s);
    turn();
    wire_say(q->w, "HTTP/1.1 204 No Content\r\n\r\n");
    turn();
}
static inline void give_back(struct ask *q) { serve(q), put(q); }

#endif

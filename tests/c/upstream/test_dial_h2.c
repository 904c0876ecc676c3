#include "upstream/dial_h2.c"
#include <sys/un.h>
#include "http/wire.h"
#include "test.h"

static struct fgw_loop l;
static struct fgw_h1_env h1;
static struct fgw_h2_env h2;
static struct fgw_pool_env env;

static struct fgw_pool *made(void)
{
    OK(fgw_loop_init(&l, &wires_clock, 0) == 0);
    fgw_h1_env_init(&h1, &l);
    OK(fgw_h2_env_init(&h2, &l, &h1));
    fgw_pool_env_init(&env, &h1, &h2);
    struct fgw_pool *p = fgw_pool_new(&env, 1, FGW_STR("up"));
    fgw_pool_ref(p);
    return p;
}

static void over(struct fgw_pool *p)
{
    fgw_pool_unref(p);
    fgw_loop_settle(&l);
    EQ(h2.clients.live, 0);
    EQ(h2.streams.live, 0);
    EQ(h1.clients.live, 0);
    fgw_pool_env_fini(&env), fgw_h2_env_fini(&h2), fgw_h1_env_fini(&h1), fgw_loop_fini(&l);
}

TEST(a_place_that_is_not_there_is_told_by_errno_and_leaves_nothing)
{
    const struct fgw_dialer *const dialers[] = {&fgw_dial_h2, &fgw_dial_auto};
    for (int i = 0; i < 2; i++) {
        struct fgw_pool *p = made();
        struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/fastgw"};
        struct fgw_endpoint e = {.addr_len = sizeof un};
        memcpy(e.addr, &un, sizeof un);
        OK(!dialers[i]->dial(p, &e, NULL));
        EQ(errno, ENOENT);
        over(p);
    }
}

/* auto without TLS has nothing to agree by. */
TEST(auto_in_plain_text_is_http1)
{
    struct fgw_pool *p = made();
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/fastgw"};
    OK(fgw_dial_auto.other != NULL && fgw_dial_h2.other == NULL);
    struct fgw_endpoint e = {.addr_len = sizeof un};
    memcpy(e.addr, &un, sizeof un);
    uint64_t chunks = h2.clients.chunks;
    OK(!fgw_dial_auto.dial(p, &e, NULL));
    EQ(h2.clients.chunks, chunks);
    OK(h1.clients.chunks > 0);
    over(p);
}

TEST_MAIN()

/* What requests that wait keep of the input blocks: block bytes counted, and every view right after they were moved (ASan poisons the old ones). */
#include "core/unpin.c"
#include "core/engine.h"

enum { WAITING = 100, FILLER = 8000 };
static struct engine e;
static char filler[FILLER + 100];

static struct fgw_pool *pool_of(void) { return fgw_container(e.w->pools.next, struct fgw_pool, link); }
static struct fgw_exchange *oldest(void) { return fgw_container(e.w->live.next, struct fgw_exchange, live); }

/* Answered requests that fill what is left of an input block. */
static void fill(int busy)
{
    for (int i = 0; i < 9; i++) {
        say(&e, busy, filler);
        HEAR(&e, busy, "hello");
    }
}

static void start(void)
{
    engine_start(&e);
    pool_of()->set.max_connections = 1000;
    int n = snprintf(filler, sizeof filler, "GET /s HTTP/1.1\r\nHost: a\r\nX-F: ");
    memset(filler + n, 'f', FILLER);
    strcpy(filler + n + FILLER, "\r\n\r\n");
}

TEST(hundred_that_wait_keep_no_more_than_their_heads)
{
    int c[WAITING], o[WAITING];
    char text[200];
    start();
    int busy = client(&e);
    uint64_t before = fgw_blocks_used(&e.w->loop.blocks);
    for (int i = 0; i < WAITING; i++) {
        c[i] = client(&e);
        snprintf(text, sizeof text, "GET /p/%d?q=%d HTTP/1.1\r\nHost: Example:%d\r\nX-T: %d\r\nUser-Agent: ua%d\r\n\r\n", i, i, i + 1, i, i);
        say(&e, c[i], text);
        o[i] = origin(&e);
        HEAR(&e, o[i], "\r\n\r\n");
        fill(busy);
    }
    uint64_t pinned = fgw_blocks_used(&e.w->loop.blocks) - before;
    OK(pinned > WAITING * 60ull << 10);
    passes(&e, SLOW_MS), passes(&e, SLOW_MS);
    uint64_t kept = fgw_blocks_used(&e.w->loop.blocks) - before;
    OK(kept <= (WAITING + 24) * 4ull << 10);           /* 4 KiB each, and the loop's own blocks */
    fprintf(stderr, "%d waiting requests: %llu bytes in blocks, moved: %llu\n", WAITING, (unsigned long long)pinned, (unsigned long long)kept);
    fill(busy);                                        /* what they had left is written over */
    do lines(&e);
    while (e.n);
    for (int i = 0; i < WAITING; i++) {
        say(&e, o[i], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        HEAR(&e, c[i], "ok");
        lines(&e);
        snprintf(text, sizeof text, "\"method\":\"GET\",\"target\":\"/p/%d?q=%d\",\"host\":\"example\",", i, i);
        GOT(&e, text);
        snprintf(text, sizeof text, "\"user_agent\":\"ua%d\"", i);
        GOT(&e, text);
        close(c[i]), close(o[i]);
    }
    close(busy);
    engine_stop(&e);
}

TEST(what_was_moved_can_be_sent_again)
{
    start();
    int c = client(&e), busy = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, c, "204");
    say(&e, c, "PUT /p/x?y HTTP/1.1\r\nHost: b\r\nX-T: tag\r\nContent-Length: 4\r\n\r\nbody");
    HEAR(&e, o, "\r\n\r\nbody");                       /* on the warm one */
    const struct fgw_block *was = oldest()->msg->b, *body = oldest()->kept.first->s.b;
    passes(&e, SLOW_MS), passes(&e, SLOW_MS);
    OK(oldest()->msg->b != was && oldest()->msg->b->cap < was->cap);
    OK(oldest()->kept.first->s.b != body && oldest()->kept.bytes == 4);
    fill(busy);
    close(o);                                          /* which dies under it */
    o = origin(&e);
    HEAR(&e, o, "\r\n\r\nbody");
    GOT(&e, "PUT /p/x?y HTTP/1.1\r\n");
    GOT(&e, "Host: b\r\n");
    GOT(&e, "X-T: tag\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nX-R: reply\r\nContent-Length: 5\r\n\r\nok");
    HEAR(&e, c, "ok");
    passes(&e, SLOW_MS), passes(&e, SLOW_MS);          /* the head of a slow answer is moved as well */
    OK(oldest()->reply_msg->b->cap < was->cap);
    say(&e, o, "ay!");
    HEAR(&e, c, "ay!");
    close(c), close(o), close(busy);
    engine_stop(&e);
}

TEST(one_that_is_parked_is_moved_when_it_waits_for_its_upstream)
{
    start();
    int c = client(&e);
    say(&e, c, "GET /c/park HTTP/1.1\r\nHost: a\r\n\r\n");
    int probe = origin(&e);
    HEAR(&e, probe, "GET /probe");
    struct fgw_exchange *x = oldest();
    const struct fgw_block *was = x->msg->b;
    passes(&e, SLOW_MS), passes(&e, SLOW_MS), passes(&e, SLOW_MS);
    OK(x->parked && x->msg->b == was);
    say(&e, probe, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, probe, "GET /c/park");
    passes(&e, SLOW_MS), passes(&e, SLOW_MS);
    OK(x->msg->b != was);
    say(&e, probe, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, c, "204");
    close(c), close(probe);
    engine_stop(&e);
}

TEST(quick_ones_and_large_heads_stay_where_they_are)
{
    start();
    int c = client(&e);
    char *big = malloc(20000);
    int n = snprintf(big, 20000, "GET /p HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 4; i++) n += snprintf(big + n, 20000 - (size_t)n, "X-%d: %04090d\r\n", i, i);
    strcpy(big + n, "\r\n");
    say(&e, c, big);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    const struct fgw_block *was = oldest()->msg->b;
    passes(&e, SLOW_MS - 1);
    OK(oldest()->msg->b == was);
    passes(&e, SLOW_MS), passes(&e, SLOW_MS);
    OK(oldest()->msg->b == was);                       /* a quarter of the block: nothing to be gained */
    say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, c, "204");
    free(big);
    close(c), close(o);
    engine_stop(&e);
}

TEST_MAIN()

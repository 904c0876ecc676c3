/* Clients that keep places at an upstream while others wait. */
#include <arpa/inet.h>
#include "core/yield.c"
#include "core/engine.h"

static struct engine e;
static struct fgw_pool *pool;

/* `buffer`: of the sockets towards clients; what the kernel takes for a client is twice that. */
static void begin_with(uint32_t places, int buffer)
{
    engine_start(&e);
    setsockopt(e.listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    pool = fgw_container(e.w->pools.next, struct fgw_pool, link);
    pool->set.max_connections = places, pool->set.queue_ms = 60000, pool->set.stall_ms = 500;
}
static void begin(uint32_t places) { begin_with(places, 4096); }
static void end(void) { engine_stop(&e); }

static int from(const char *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), few = 4096;
    struct sockaddr_in a = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &a.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || connect(fd, (struct sockaddr *)&e.front, sizeof e.front)) abort();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}
static void asks(int c) { say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n"); }
static void uploads(int c) { say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc"); }

/* An answer of which more is there than anybody holds for a client; the origin's connection. */
static int large(int c)
{
    static char block[32 << 10];
    asks(c);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 200; i++) send(o, block, sizeof block, MSG_NOSIGNAL), turn(&e, 4);
    return o;
}
static void served(int c, int o)
{
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
}
static size_t takes(int c, size_t most)
{
    static char bytes[4096];
    ssize_t n = recv(c, bytes, most < sizeof bytes ? most : sizeof bytes, 0);
    turn(&e, 8);
    return n > 0 ? (size_t)n : 0;
}
static uint64_t ended(void)
{
    uint64_t n = 0;
    lines(&e);
    for (char *p = e.got; (p = strstr(p, "client_stalled")); p++) n++;
    return n;
}

TEST(whoever_does_not_send_its_request_gives_its_place_to_who_waits)
{
    begin(1);
    int slow = from("127.0.0.2"), c = from("127.0.0.3");
    uploads(slow);
    int o = origin(&e);
    HEAR(&e, o, "abc");
    passes(&e, 5000);                    /* nobody waits: nobody minds */
    EQ(live(&e).exchanges, 1);
    asks(c);
    passes(&e, 99);
    EQ(live(&e).exchanges, 2);
    passes(&e, 1);
    HEAR(&e, slow, "\"reason\":\"client_stalled\"");
    GOT(&e, "HTTP/1.1 408 ");
    HEAR(&e, o, NULL);
    close(o), o = origin(&e);
    served(c, o);
    EQ(ended(), 1);
    close(slow), close(c), close(o);
    end();
}

TEST(one_that_came_just_now_has_its_time)
{
    begin(1);
    int slow = from("127.0.0.2"), c = from("127.0.0.3");
    uploads(slow);
    int o = origin(&e);
    HEAR(&e, o, "abc");
    asks(c);
    for (int i = 0; i < 39; i++) passes(&e, 100);      /* eight times stall_ms: it has no other place */
    EQ(live(&e).exchanges, 2);
    passes(&e, 100), passes(&e, 100);
    HEAR(&e, slow, "\"reason\":\"client_stalled\"");
    close(slow), close(c), close(o);
    end();
}

TEST(one_of_many_that_came_just_now_has_less)
{
    begin(2);
    int slow[2] = {from("127.0.0.2"), from("127.0.0.2")}, o[2], c = from("127.0.0.3");
    for (int i = 0; i < 2; i++) {
        uploads(slow[i]);
        o[i] = origin(&e);
        HEAR(&e, o[i], "abc");
    }
    asks(c);
    for (int i = 0; i < 4; i++) passes(&e, 100);
    EQ(live(&e).exchanges, 3);
    passes(&e, 100), passes(&e, 100);
    EQ(live(&e).exchanges, 2);
    EQ(ended(), 1);
    for (int i = 0; i < 2; i++) close(slow[i]), close(o[i]);
    close(c);
    turn(&e, 10);
    end();
}

/* A client that reads `step` bytes every 100 ms of an answer without end, for six seconds. */
static bool stays(uint32_t step, int buffer)
{
    begin_with(1, buffer);
    int slow = from("127.0.0.2"), c = from("127.0.0.3"), o = large(slow);
    asks(c);
    for (int i = 0; i < 60; i++) {
        for (uint32_t left = step; left;) {
            size_t n = takes(slow, left);
            if (!n) break;
            left -= (uint32_t)n;
        }
        passes(&e, 100);
    }
    bool there = ended() == 0;
    close(slow), close(c), close(o);
    turn(&e, 10);
    end();
    return there;
}

TEST(what_is_taken_decides_and_not_that_anything_is)
{
    OK(!stays(0, 4096));
    OK(!stays(100, 4096));
    OK(stays(3000, 4096));
    OK(!stays(100, 100 << 10));
    OK(stays(3000, 100 << 10));          /* nothing more fits there for a long time: it is not emptied by more than that */
}

TEST(an_answer_that_the_upstream_is_slow_with_is_nobodys_fault)
{
    begin(1);
    int slow = from("127.0.0.2"), c = from("127.0.0.3");
    asks(slow);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    asks(c);
    for (int i = 0; i < 20; i++) passes(&e, 100);
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    HEAR(&e, slow, "ab");
    for (int i = 0; i < 20; i++) passes(&e, 100);
    EQ(ended(), 0);
    say(&e, o, "cd");
    HEAR(&e, slow, "cd");
    served(c, o);
    close(slow), close(c), close(o);
    end();
}

TEST(a_request_that_the_upstream_does_not_take_is_not_the_clients_fault)
{
    begin(1);
    int slow = from("127.0.0.2"), c = from("127.0.0.3"), few = 4096;
    static char block[16 << 10];
    setsockopt(e.upstream, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    say(&e, slow, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 400; i++) send(slow, block, sizeof block, MSG_NOSIGNAL), turn(&e, 4);
    asks(c);
    for (int i = 0; i < 20; i++) passes(&e, 100);
    EQ(ended(), 0);
    EQ(live(&e).exchanges, 2);
    close(slow), close(c);
    turn(&e, 10);
    end();
}

TEST(the_one_with_the_most_places_gives_first_and_never_for_one_with_more)
{
    begin(4);
    int o[4], s[4], c = from("127.0.0.9");
    const char *const whose[] = {"127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.3"};
    for (int i = 0; i < 4; i++) {        /* one of .2, which stalls first; one of .3 stalls, two others of it wait for their upstream */
        s[i] = from(whose[i]);
        if (i < 2) uploads(s[i]);
        else asks(s[i]);
        o[i] = origin(&e);
        HEAR(&e, o[i], i < 2 ? "abc" : "\r\n\r\n");
    }
    int more = from("127.0.0.3");
    passes(&e, 2000);
    asks(more);                          /* .3 has three: its own it may give up, that of .2 it may not have */
    passes(&e, 100);
    EQ(ended(), 1);
    HEAR(&e, s[1], "\"reason\":\"client_stalled\"");
    close(o[1]), o[1] = origin(&e);
    served(more, o[1]);
    close(s[1]), s[1] = from("127.0.0.3");
    asks(s[1]);
    HEAR(&e, o[1], "\r\n\r\n");
    asks(more);
    for (int i = 0; i < 20; i++) passes(&e, 100);
    EQ(live(&e).exchanges, 5);
    asks(c);                             /* this one has none */
    passes(&e, 100);
    HEAR(&e, s[0], "\"reason\":\"client_stalled\"");
    for (int i = 0; i < 4; i++) close(o[i]), close(s[i]);
    close(c), close(more);
    turn(&e, 10);
    end();
}

TEST(a_large_holder_gives_up_what_it_takes_slowly)
{
    for (int alone = 0; alone < 2; alone++) {
        begin(2);
        int s[2] = {from("127.0.0.2"), from(alone ? "127.0.0.4" : "127.0.0.2")}, o[2] = {large(s[0]), large(s[1])}, c = from("127.0.0.3");
        asks(c);
        for (int i = 0; i < 20; i++) {
            takes(s[0], 3000), takes(s[1], 3000);
            passes(&e, 100);
        }
        EQ(ended(), alone ? 0 : 1);      /* one place each: no more than the other would have */
        for (int i = 0; i < 2; i++) close(s[i]), close(o[i]);
        close(c);
        turn(&e, 10);
        end();
    }
}

TEST(no_more_are_ended_than_wait_and_none_where_that_is_switched_off)
{
    for (int off = 0; off < 2; off++) {
        begin(3);
        pool->set.stall_ms = off ? 0 : 500;
        int s[3], o[3], c = from("127.0.0.3");
        for (int i = 0; i < 3; i++) {
            s[i] = from("127.0.0.2");
            uploads(s[i]);
            o[i] = origin(&e);
            HEAR(&e, o[i], "abc");
        }
        passes(&e, 5000);
        asks(c);
        passes(&e, 100);
        EQ(ended(), !off);
        EQ(live(&e).exchanges, off ? 4 : 3);
        for (int i = 0; i < 3; i++) close(s[i]), close(o[i]);
        close(c);
        turn(&e, 10);
        end();
    }
}

TEST_MAIN()

#include "io/conn.c"
#include "test.h"

static int inputs, fails;
static void on_input(struct fgw_conn *c) { (void)c; inputs++; }
static void on_sent(struct fgw_conn *c, uint64_t n) { (void)c, (void)n; }
static void on_fail(struct fgw_conn *c) { (void)c; fails++; }
static const struct fgw_conn_user user = {NULL, on_input, on_sent, on_fail};

TEST(bytes_in_out_and_an_end)
{
    struct fgw_loop l;
    struct fgw_conn c;
    int p[2];
    char got[8];
    OK(fgw_loop_init(&l, NULL, 0) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
    EQ(fgw_conn_init(&c, &l, p[0], false, &user), 0);
    EQ(send(p[1], "abc", 3, 0), 3);
    fgw_loop_turn(&l, 1), fgw_loop_settle(&l);
    EQ(inputs, 1);
    EQ_BYTES(fgw_conn_in(&c), fgw_conn_in_len(&c), "abc");
    fgw_conn_take(&c, 3);
    OK(!c.in_b);
    OK(fgw_conn_copy(&c, "xyz", 3));
    fgw_conn_finish(&c);
    EQ(recv(p[1], got, sizeof got, 0), -1);            /* nothing is sent before settle */
    fgw_loop_settle(&l);
    EQ(recv(p[1], got, sizeof got, 0), 3);
    EQ(recv(p[1], got, sizeof got, 0), 0);
    EQ(fails, 1);
    EQ(c.state, FGW_CONN_CLOSED);
    close(p[1]);
    fgw_loop_fini(&l);
}

static int opens;
static void on_open(struct fgw_conn *c) { (void)c; opens++; }
static const struct fgw_conn_user dialler = {on_open, on_input, on_sent, on_fail};

/* A dialled connection and its accepted other end. */
static int dial(struct fgw_loop *l, struct fgw_conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    bool connecting;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s, (struct sockaddr *)&a, n) || listen(s, 1) || getsockname(s, (struct sockaddr *)&a, &n)) abort();
    EQ(fgw_conn_init(c, l, fgw_conn_dial((struct sockaddr *)&a, n, &connecting), true, &dialler), 0);
    int peer = accept(s, NULL, NULL);
    close(s);
    return peer;
}

TEST(what_a_peer_says_unasked_is_told_before_the_first_send)
{
    struct fgw_loop l;
    struct fgw_conn c;
    char got[8];
    OK(fgw_loop_init(&l, NULL, 0) == 0);
    int peer = dial(&l, &c);
    opens = inputs = 0;
    while (!opens) fgw_loop_turn(&l, 100);
    OK(fgw_conn_copy(&c, "GET", 3));
    EQ(send(peer, "hi", 2, 0), 2);                     /* behind the last look of epoll */
    fgw_loop_settle(&l);
    EQ(inputs, 1);
    EQ_BYTES(fgw_conn_in(&c), fgw_conn_in_len(&c), "hi");
    EQ(recv(peer, got, sizeof got, 0), 3);             /* nobody minded here: it is sent all the same */
    EQ(send(peer, "ho", 2, 0), 2);
    OK(fgw_conn_copy(&c, "GET", 3));
    fgw_loop_settle(&l);
    EQ(inputs, 1);                                     /* only the first send is preceded by a look */
    fgw_conn_close(&c, false);
    close(peer);
    fgw_loop_fini(&l);
}

/* A peer that holds its acknowledgement back (40 ms at most) and whose bytes crossed ours. */
static bool crossing_is_seen(void)
{
    struct fgw_loop l;
    struct fgw_conn c;
    OK(fgw_loop_init(&l, NULL, 0) == 0);
    int peer = dial(&l, &c);
    opens = 0;
    while (!opens) fgw_loop_turn(&l, 100);
    EQ(send(peer, "hi", 2, 0), 2);
    setsockopt(peer, IPPROTO_TCP, TCP_QUICKACK, &(int){0}, sizeof(int));
    c.fresh = false;                                   /* as if they had come behind the look */
    OK(!fgw_conn_unheard(&c));                         /* nothing was sent yet */
    OK(fgw_conn_copy(&c, "GET", 3));
    fgw_loop_settle(&l);
    bool seen = fgw_conn_unheard(&c);
    EQ(send(peer, "an answer", 9, 0), 9);              /* carries the acknowledgement */
    OK(!fgw_conn_unheard(&c));
    fgw_conn_close(&c, false);
    close(peer);
    fgw_loop_fini(&l);
    return seen;
}

TEST(an_answer_that_crossed_the_question_is_known_by_the_acknowledgement)
{
    bool seen = false;
    for (int i = 0; i < 20 && !seen; i++) seen = crossing_is_seen();   /* a stall may let the acknowledgement through */
    OK(seen);
}

TEST_MAIN()

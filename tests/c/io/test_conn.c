#include "io/conn.c"
#include <sys/un.h>
#include "http/wire.h"
#include "test.h"

static struct fgw_loop l;
static struct fgw_conn c;
static struct wire *w;
static int inputs, fails, opens;
static uint64_t sents, sent_bytes;
static bool greedy;                      /* take all input as it comes */
static void on_open(struct fgw_conn *x) { (void)x; opens++; }
static void on_input(struct fgw_conn *x) { inputs++; if (greedy) fgw_conn_take(x, fgw_conn_in_len(x)); }
static void on_sent(struct fgw_conn *x, uint64_t n) { (void)x; sents++, sent_bytes += n; }
static void on_fail(struct fgw_conn *x) { (void)x; fails++; }
static const struct fgw_conn_user user = {on_open, on_input, on_sent, on_fail};

static void begin(void)
{
    inputs = fails = opens = 0, sents = sent_bytes = 0, greedy = false;
    OK(fgw_loop_init(&l, &wires_clock, 0) == 0);
}
static void begin_wired(void)
{
    begin();
    fgw_conn_init_memory(&c, &l, &wire_transport, &user);
    w = wire_attach(&c);
}
static void end(void)
{
    fgw_conn_close(&c, false), fgw_conn_close(&c, false);    /* twice is fine */
    EQ(l.bufs.nodes.live, 0);
    if (w) wire_free(w), w = NULL;
    fgw_loop_fini(&l);
}

TEST(bytes_in_out_and_an_end)
{
    int p[2];
    char got[8];
    begin();
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
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
    EQ(c.err, 0);
    EQ(c.state, FGW_CONN_CLOSED);
    close(p[1]);
    end();
}

TEST(states_have_names)
{
    EQ(strcmp(fgw_conn_state_name(FGW_CONN_CONNECTING), "connecting"), 0);
    EQ(strcmp(fgw_conn_state_name(FGW_CONN_CLOSED), "closed"), 0);
    EQ(strcmp(fgw_conn_state_name((enum fgw_conn_state)9), "?"), 0);
}

/* ---- output ---- */
TEST(what_is_queued_leaves_once_at_settle_and_the_rest_as_there_is_room)
{
    begin_wired();
    w->room = 4;
    for (int i = 0; i < 5; i++) OK(fgw_conn_copy(&c, "ab", 2));
    EQ(w->out_n, 0);
    fgw_loop_settle(&l);
    EQ(sents, 1);
    EQ(c.sent, 4);
    OK(c.watch.events & EPOLLOUT);
    OK(wires_turn(&l));
    EQ(w->out_n, 4);                     /* no room, no event, no call */
    EQ(sents, 1);
    w->room = SIZE_MAX;
    OK(wires_turn(&l));
    EQ_BYTES(w->out, w->out_n, "ababababab");
    EQ(sent_bytes, 10);
    OK(!(c.watch.events & EPOLLOUT));    /* it fired for nothing once and was taken back */
    fgw_conn_copy(&c, "z", 1), fgw_loop_settle(&l);
    OK(!(c.watch.events & EPOLLOUT));    /* the steady state arms nothing */
    EQ(c.sent, 11);
    end();
}

TEST(spans_are_shared_not_copied)
{
    begin_wired();
    struct fgw_block *b = fgw_block_get(&l.blocks, 5000);
    memset(b->data, 'q', 5000);
    w->room = 0;
    OK(fgw_conn_push(&c, (struct fgw_span){b, 0, 5000}));
    EQ(b->refs, 2);
    fgw_loop_settle(&l);
    EQ(sents, 1);                        /* told although nothing left: it was blocked */
    EQ(sent_bytes, 0);
    w->room = SIZE_MAX;
    OK(wires_turn(&l));
    EQ(b->refs, 1);
    EQ(w->out_n, 5000);
    fgw_block_unref(b);
    end();
}

TEST(more_pieces_than_one_call_takes_leave_all_the_same)
{
    begin_wired();
    struct fgw_block *b = fgw_block_get(&l.blocks, 100);
    for (int i = 0; i < 100; i++) b->data[i] = (char)i, OK(fgw_conn_push(&c, (struct fgw_span){b, (uint32_t)i, 1}));
    fgw_loop_settle(&l);
    OK(wires_turn(&l));
    EQ(w->out_n, 100);
    OK(memcmp(w->out, b->data, 100) == 0);
    fgw_block_unref(b);
    end();
}

TEST(half_closed_and_finished_only_after_all_has_left)
{
    begin_wired();
    w->room = 1;
    fgw_conn_copy(&c, "abc", 3), fgw_conn_shut(&c), fgw_loop_settle(&l);
    OK(!w->shut);
    w->room = SIZE_MAX;
    OK(wires_turn(&l));
    OK(w->shut && w->c && fgw_conn_usable(&c));
    wire_say(w, "still"), OK(wires_turn(&l));
    EQ(inputs, 1);                       /* the other direction goes on */
    end();
    begin_wired();
    w->room = 1;
    fgw_conn_copy(&c, "abc", 3), fgw_conn_finish(&c), fgw_loop_settle(&l);
    OK(w->c && !fgw_conn_usable(&c));
    EQ(fails, 0);
    w->room = SIZE_MAX;
    OK(wires_turn(&l));
    EQ(fails, 1);
    EQ(c.err, 0);
    EQ_BYTES(w->out, w->out_n, "abc");
    end();
}

TEST(killed_it_drops_what_is_queued_and_says_so_at_settle)
{
    begin_wired();
    fgw_conn_copy(&c, "abc", 3), fgw_conn_kill(&c);
    EQ(fails, 0);
    fgw_loop_settle(&l);
    EQ(fails, 1);
    EQ(c.err, ECANCELED);
    EQ(w->out_n, 0);
    OK(fgw_conn_copy(&c, "x", 1) && fgw_conn_push(&c, (struct fgw_span){0}));      /* bytes to nowhere are no error */
    fgw_conn_finish(&c), fgw_conn_shut(&c), fgw_conn_kill(&c), fgw_conn_want_read(&c, true);
    fgw_loop_settle(&l);
    fgw_conn_event(&c, EPOLLIN | EPOLLOUT);
    EQ(fails, 1);
    end();
}

TEST(closed_by_its_owner_nobody_is_told)
{
    begin_wired();
    fgw_conn_copy(&c, "abc", 3);
    fgw_conn_close(&c, true);
    OK(w->was_reset);
    fgw_loop_settle(&l);
    EQ(fails, 0);
    end();
}

/* ---- input ---- */
TEST(input_stays_contiguous_however_it_comes)
{
    begin_wired();
    w->piece = 700;
    char want[20000];
    for (size_t i = 0; i < sizeof want; i++) want[i] = (char)(i * 31 + i / 256);
    wire_put(w, want, sizeof want);
    OK(wires_turn(&l));
    EQ(fgw_conn_in_len(&c), sizeof want);
    OK(memcmp(fgw_conn_in(&c), want, sizeof want) == 0);
    fgw_conn_take(&c, 123);
    OK(memcmp(fgw_conn_in(&c), want + 123, sizeof want - 123) == 0);
    OK(fgw_conn_room(&c, 60000));
    OK(memcmp(fgw_conn_in(&c), want + 123, sizeof want - 123) == 0);
    OK(c.in_b->cap - c.in_off >= 60000);
    OK(!fgw_conn_room(&c, FGW_BLOCK_MAX + 1));
    end();
}

TEST(a_head_that_is_kept_is_not_overwritten)
{
    begin_wired();
    wire_say(w, "first"), OK(wires_turn(&l));
    struct fgw_block *kept = fgw_block_ref(c.in_b);
    const char *at = fgw_conn_in(&c);
    fgw_conn_take(&c, 5);
    for (int i = 0; i < 2000; i++) wire_say(w, "0123456789012345678901234567890123456789"), OK(wires_turn(&l)), fgw_conn_take(&c, fgw_conn_in_len(&c));
    OK(memcmp(at, "first", 5) == 0);
    fgw_block_unref(kept);
    end();
}

TEST(idle_connections_hold_no_block)
{
    begin_wired();
    greedy = true;
    wire_say(w, "abc"), OK(wires_turn(&l));
    OK(!c.in_b);
    EQ(l.blocks.live, 1);                /* the loop's own */
    end();
}

TEST(an_end_is_told_once_and_reading_stops)
{
    begin_wired();
    w->eof = true;
    OK(wires_turn(&l));
    OK(c.eof && inputs == 1 && !(c.watch.events & EPOLLIN));
    fgw_conn_want_read(&c, true);
    OK(wires_turn(&l));
    EQ(inputs, 1);
    fgw_conn_copy(&c, "reply", 5), fgw_loop_settle(&l);
    EQ(w->out_n, 5);
    end();
}

TEST(not_wanting_to_read_costs_nothing_until_something_comes)
{
    begin_wired();
    fgw_conn_want_read(&c, false);
    OK(c.watch.events & EPOLLIN);        /* lazy */
    wire_say(w, "abc"), OK(wires_turn(&l));
    EQ(inputs, 0);
    OK(!(c.watch.events & EPOLLIN));
    fgw_conn_want_read(&c, true);
    OK(c.watch.events & EPOLLIN);
    OK(wires_turn(&l));
    EQ(inputs, 1);
    end();
}

TEST(a_reset_is_told_whether_or_not_we_read)
{
    for (int how = 0; how < 3; how++) {
        begin_wired();
        if (how == 1) fgw_conn_want_read(&c, false), wire_say(w, "x"), wires_turn(&l);
        if (how == 2) fgw_conn_copy(&c, "abc", 3);
        w->reset = true;
        fgw_loop_settle(&l);             /* a send finds out before an event does */
        OK(wires_turn(&l));
        EQ(fails, 1);
        EQ(c.err, how == 2 ? EPIPE : ECONNRESET);
        end();
    }
}

/* ---- memory ---- */
TEST(without_memory_the_connection_fails)
{
    begin_wired();
    l.blocks.max_bytes = 1;
    wire_say(w, "abc"), OK(wires_turn(&l));
    EQ(fails, 1);
    EQ(c.err, ENOMEM);
    end();
    begin_wired();
    l.blocks.max_bytes = 1;
    OK(!fgw_conn_copy(&c, "abc", 3));
    EQ(fails, 0);
    fgw_loop_settle(&l);
    EQ(fails, 1);
    EQ(c.err, ENOMEM);
    end();
}

/* ---- dialing, over unix sockets in a directory of its own ---- */
static char dir[] = "/tmp/fgw-conn-XXXXXX";
static struct sockaddr_un at(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", dir, name);
    return a;
}

TEST(a_dial_opens_or_says_why_not)
{
    bool connecting;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    OK(mkdtemp(dir) != NULL);
    struct sockaddr_un a = at("here"), none = at("none");
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    begin();
    OK(bind(s, (struct sockaddr *)&a, sizeof a) == 0 && listen(s, 1) == 0);
    EQ(fgw_conn_dial((struct sockaddr *)&none, sizeof none, &connecting), -1);
    EQ(errno, ENOENT);
    int fd = fgw_conn_dial((struct sockaddr *)&a, sizeof a, &connecting);
    OK(fd >= 0 && !connecting);
    EQ(fgw_conn_init(&c, &l, fd, true, &user), 0);
    EQ(c.state, FGW_CONN_CONNECTING);
    fgw_conn_copy(&c, "early", 5), fgw_loop_settle(&l);      /* what is said before it is open waits */
    EQ(c.sent, 0);
    EQ(opens, 0);
    fgw_loop_turn(&l, 1), fgw_loop_settle(&l);
    EQ(opens, 1);
    EQ(c.state, FGW_CONN_OPEN);
    EQ(c.sent, 5);
    end();
    close(s);
    unlink(a.sun_path), rmdir(dir);
}

TEST(a_refused_connect_fails_with_its_reason)
{
    bool connecting;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    OK(bind(s, (struct sockaddr *)&a, n) == 0 && getsockname(s, (struct sockaddr *)&a, &n) == 0);      /* a port where nobody listens */
    begin();
    int fd = fgw_conn_dial((struct sockaddr *)&a, sizeof a, &connecting);
    if (fd >= 0) {
        EQ(fgw_conn_init(&c, &l, fd, true, &user), 0);
        for (int i = 0; i < 100 && !fails; i++) fgw_loop_turn(&l, 10), fgw_loop_settle(&l);
        EQ(fails, 1);
        EQ(c.err, ECONNREFUSED);
    } else EQ(errno, ECONNREFUSED);
    EQ(opens, 0);
    close(s);
    end();
}

TEST(one_thing_is_said_and_the_socket_closed)
{
    int p[2];
    char got[8];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    fgw_conn_say(p[0], "busy", 4);
    EQ(recv(p[1], got, sizeof got, 0), 4);
    EQ(recv(p[1], got, sizeof got, 0), 0);
    close(p[1]);
}

/* A dialled connection and its accepted other end. */
static int dial(struct fgw_loop *l, struct fgw_conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    bool connecting;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s, (struct sockaddr *)&a, n) || listen(s, 1) || getsockname(s, (struct sockaddr *)&a, &n)) abort();
    EQ(fgw_conn_init(c, l, fgw_conn_dial((struct sockaddr *)&a, n, &connecting), true, &user), 0);
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

TEST(moved_it_goes_on_elsewhere_with_all_it_had)
{
    static struct fgw_conn to;
    int p[2];
    char got[8];
    begin();
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
    EQ(fgw_conn_init(&c, &l, p[0], false, &user), 0);
    EQ(send(p[1], "abc", 3, 0), 3);
    fgw_loop_turn(&l, 1);
    OK(fgw_conn_copy(&c, "xyz", 3));
    EQ(fgw_conn_move(&to, &c, &user), 0);
    EQ(c.state, FGW_CONN_CLOSED);
    fgw_conn_event(&c, EPOLLIN);                       /* the rest of the batch */
    EQ_BYTES(fgw_conn_in(&to), fgw_conn_in_len(&to), "abc");
    fgw_conn_take(&to, 3);
    fgw_loop_settle(&l);
    EQ(recv(p[1], got, sizeof got, 0), 3);
    EQ(send(p[1], "de", 2, 0), 2);
    fgw_loop_turn(&l, 1), fgw_loop_settle(&l);
    EQ_BYTES(fgw_conn_in(&to), fgw_conn_in_len(&to), "de");
    close(p[1]);
    fgw_loop_turn(&l, 1), fgw_loop_settle(&l);
    OK(to.eof && inputs == 3);
    fgw_conn_close(&to, false);
    end();
}

TEST(what_the_peers_kernel_has_is_acknowledged_and_what_waits_in_ours_is_not)
{
    static char bytes[1 << 20];
    struct fgw_loop l;
    struct fgw_conn c;
    OK(fgw_loop_init(&l, NULL, 0) == 0);
    int peer = dial(&l, &c), few = 4096;
    setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    opens = 0;
    while (!opens) fgw_loop_turn(&l, 100);
    EQ(fgw_conn_acked(&c), 0);
    OK(fgw_conn_copy(&c, bytes, sizeof bytes));
    fgw_loop_settle(&l);
    uint64_t first = fgw_conn_acked(&c);
    OK(c.sent > first && first <= 64 << 10);
    for (uint64_t n = 0, max = 256 << 10; n < max;) {
        ssize_t r = recv(peer, bytes, 4096, MSG_DONTWAIT);
        if (r > 0) n += (uint64_t)r;
        else fgw_loop_turn(&l, 10);
    }
    OK(fgw_conn_acked(&c) >= 256 << 10 && fgw_conn_acked(&c) <= c.sent);
    fgw_conn_close(&c, false);
    close(peer);
    fgw_loop_fini(&l);
}

TEST_MAIN()

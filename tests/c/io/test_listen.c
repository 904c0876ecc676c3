#include "io/listen.c"
#include "http/wire.h"
#include "test.h"
#include <time.h>

static const char GOOD[] = "PROXY TCP4 192.0.2.1 192.0.2.2 10 20\r\n";

TEST(proxy_lines)
{
    struct fgw_addr a;
    static const char good[] = "PROXY TCP4 192.0.2.1 192.0.2.2 10 20\r\nGET";
    EQ(fgw_proxy_v1_parse(good, sizeof good - 1, &a), (int)sizeof good - 4);
    EQ(strcmp(a.text, "192.0.2.1"), 0);
    EQ(a.port, 10);
    for (uint32_t n = 1; n < sizeof good - 4; n++) EQ(fgw_proxy_v1_parse(good, n, &a), 0);
    static const char six[] = "PROXY TCP6 2001:db8::1 ::1 65535 0\r\n";
    EQ(fgw_proxy_v1_parse(six, sizeof six - 1, &a), (int)sizeof six - 1);
    EQ(a.hi, 0x20010db800000000);
    EQ(a.port, 65535);
    static const char unknown[] = "PROXY UNKNOWN ffff::1 ::1 1 2\r\n";
    EQ(fgw_proxy_v1_parse(unknown, sizeof unknown - 1, &a), (int)sizeof unknown - 1);
    EQ(a.len, 0);                        /* keep the socket's */
    EQ(fgw_proxy_v1_parse("PROXY UNKNOWN\r\n", 15, &a), 15);
}

TEST(any_deviation_in_a_proxy_line_is_bad)
{
    static const char *const bad[] = {"GET / HTTP/1.1\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY TCP4 1.2.3.4\r 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n", "PROXY TCP6 ::1 [::1] 1 2\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n", "\n"};
    struct fgw_addr a;
    for (size_t i = 0; i < FGW_COUNT(bad); i++) {
        char *p = at_edge(bad[i], strlen(bad[i]));
        EQ(fgw_proxy_v1_parse(p, (uint32_t)strlen(bad[i]), &a), -1);
        if (fgw_proxy_v1_parse(p, (uint32_t)strlen(bad[i]), &a) != -1) fprintf(stderr, "%s", bad[i]);
        at_edge_free(p, strlen(bad[i]));
    }
    char lengthy[200];
    memset(lengthy, 'x', sizeof lengthy), memcpy(lengthy, "PROXY UNKNOWN ", 14);
    EQ(fgw_proxy_v1_parse(lengthy, 106, &a), 0);
    EQ(fgw_proxy_v1_parse(lengthy, 107, &a), -1);
}

TEST(addresses)
{
    struct fgw_addr a;
    OK(fgw_addr_parse(FGW_STR("[2001:db8::1]"), &a));
    EQ(strcmp(a.text, "2001:db8::1"), 0);
    OK(fgw_addr_parse(FGW_STR("127.0.0.1"), &a));
    EQ(a.lo, 0xffff7f000001);
    OK(fgw_addr_parse(FGW_STR("::ffff:127.0.0.1"), &a));     /* the same client however it came */
    EQ(a.lo, 0xffff7f000001);
    EQ(strcmp(a.text, "127.0.0.1"), 0);
    OK(!fgw_addr_parse(FGW_STR("127.0.0.1x"), &a));
    OK(!fgw_addr_parse(FGW_STR(""), &a) && !fgw_addr_parse(FGW_STR("[]"), &a) && !fgw_addr_parse(fgw_str("1.2.3.4\0", 8), &a));
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(7), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    fgw_addr_of((struct sockaddr *)&six, &a);
    OK(a.hi == 0 && a.lo == 1 && a.port == 7 && strcmp(a.text, "::1") == 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    fgw_addr_of((struct sockaddr *)&un, &a);
    OK(a.hi == 0 && a.lo == 0 && strcmp(a.text, "unix") == 0);
}

/* ---- accepting ---- */
static struct fgw_loop l;
static int took, full;
static void on_conn(struct fgw_accept *a, int fd, const struct sockaddr *sa) { (void)a, (void)sa; took++, close(fd); }
static void on_full(struct fgw_accept *a) { (void)a; full++; }

static int listening(struct sockaddr_in *a)
{
    socklen_t n = sizeof *a;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    OK(bind(s, (struct sockaddr *)a, n) == 0 && !fgw_listen_open(s) && listen(s, 64) == 0 && getsockname(s, (struct sockaddr *)a, &n) == 0);
    OK(fgw_listen_open(s) && !fgw_listen_open(-1));
    return s;
}

TEST(so_many_at_a_time_and_none_while_paused)
{
    struct sockaddr_in at;
    struct fgw_accept a = {.on_conn = on_conn, .on_full = on_full};
    int c[FGW_ACCEPT_BURST + 4];
    for (int shared = 0; shared < 2; shared++) {
        int s = listening(&at);
        took = 0;
        OK(fgw_loop_init(&l, NULL, 0) == 0);
        EQ(fgw_accept_init(&a, &l, s, shared), 0);
        close(s);                        /* it has its own */
        fgw_accept_pause(&a, true), fgw_accept_pause(&a, true);
        for (size_t i = 0; i < FGW_COUNT(c); i++) c[i] = socket(AF_INET, SOCK_STREAM, 0), OK(connect(c[i], (struct sockaddr *)&at, sizeof at) == 0);
        EQ(fgw_loop_turn(&l, 0), 0);
        fgw_accept_pause(&a, false);
        fgw_loop_turn(&l, 10);
        EQ(took, FGW_ACCEPT_BURST);
        fgw_accept_refuse(&a);
        fgw_loop_turn(&l, 10);
        EQ(took, FGW_ACCEPT_BURST + 3);
        fgw_accept_fini(&a), fgw_accept_fini(&a);
        for (size_t i = 0; i < FGW_COUNT(c); i++) close(c[i]);
        fgw_loop_settle(&l), fgw_loop_fini(&l);
    }
    EQ(full, 0);
}

/* ---- the stage ---- */
static int done_fd, dones;
static bool done_ok;
static struct fgw_addr done_src;
static void done(struct fgw_proxy_stage *s, int fd, enum fgw_err why, const struct fgw_addr *src)
{
    (void)s;
    dones++, done_fd = fd, done_ok = !why;
    if (src) done_src = *src;
}

static int stage(struct fgw_proxy_stage *s)
{
    int p[2];
    struct timespec t;
    dones = 0, done_fd = -2, done_ok = false;
    clock_gettime(CLOCK_MONOTONIC, &t);                      /* the clock stands still, but near the kernel's: its timerfd is quiet */
    wires_now = (uint64_t)t.tv_sec * 1000;
    OK(fgw_loop_init(&l, &wires_clock, 0) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
    *s = (struct fgw_proxy_stage){.done = done};
    EQ(fgw_proxy_stage_init(s, &l, p[0], 5000), 0);
    return p[1];
}
static void turn(int times) { for (int i = 0; i < times; i++) fgw_loop_turn(&l, 0), fgw_loop_settle(&l); }

TEST(the_stage_takes_its_line_and_nothing_behind_it)
{
    struct fgw_proxy_stage s;
    char got[8];
    int c = stage(&s);
    for (size_t i = 0; i < sizeof GOOD - 1; i++) {
        EQ(dones, 0);
        OK(send(c, GOOD + i, 1, 0) == 1);
        if (i == sizeof GOOD - 2) OK(send(c, "GET", 3, 0) == 3);
        turn(2);
    }
    EQ(dones, 1);
    OK(done_ok && strcmp(done_src.text, "192.0.2.1") == 0 && done_src.port == 10);
    EQ(recv(done_fd, got, sizeof got, 0), 3);
    EQ(l.wheel.armed, 0);
    close(done_fd), close(c);
    fgw_loop_fini(&l);
}

TEST(a_partial_line_does_not_spin_and_has_its_time)
{
    struct fgw_proxy_stage s;
    char got[8];
    int c = stage(&s);
    OK(send(c, "PROXY", 5, 0) == 5);
    turn(2);
    EQ(fgw_loop_turn(&l, 0), 0);         /* the peeked bytes are still there, and wake nobody */
    wires_now += 4999, turn(2);
    EQ(dones, 0);
    wires_now += 1, turn(2);
    OK(dones == 1 && !done_ok && done_fd == -1);
    EQ(recv(c, got, sizeof got, 0) > 0, 0);
    close(c);
    fgw_loop_fini(&l);
}

TEST(a_bad_line_or_an_end_closes)
{
    for (int how = 0; how < 3; how++) {
        struct fgw_proxy_stage s;
        char got[8];
        int c = stage(&s);
        if (how == 0) OK(send(c, "GET / HTTP", 10, 0) == 10);
        if (how == 1) shutdown(c, SHUT_WR);
        if (how < 2) turn(2), OK(dones == 1 && !done_ok && done_fd == -1);
        else fgw_proxy_stage_fini(&s), fgw_proxy_stage_fini(&s), OK(dones == 0);     /* given up: nobody is told */
        OK(recv(c, got, sizeof got, 0) <= 0);
        EQ(l.wheel.armed, 0);
        close(c);
        fgw_loop_settle(&l), fgw_loop_fini(&l);
    }
}

TEST_MAIN()

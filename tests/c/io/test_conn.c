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

TEST_MAIN()

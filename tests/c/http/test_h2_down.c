/* What is sent: forms of answers, flow, trailers, ends. */
#include "http/h2_down.c"
#include "http/h2_play.h"

static void get(void) { h2_start(), ask(1, ES, GET), forget(); }
static void credits(size_t n, uint32_t id) { number(F_WINDOW, id, (uint32_t)n); }

/* Bytes of frames of this type in what was sent, which is forgotten; with `take` also what is in them. */
static size_t sum_of(int type, void (*take)(const uint8_t *b, size_t n, bool end))
{
    const uint8_t *o = (const uint8_t *)p.w->out;
    size_t sum = 0, at = 0;
    while (at + 9 <= p.w->out_n) {
        size_t n = (size_t)o[at] << 16 | (size_t)o[at + 1] << 8 | o[at + 2];
        OK(o[at + 3] <= F_CONT && n <= 16384);
        if (o[at + 3] == type) sum += n;
        if (take && (o[at + 3] == F_HEADERS || o[at + 3] == F_CONT)) take(o + at + 9, n, o[at + 4] & EH);
        at += 9 + n;
    }
    EQ(at, p.w->out_n);
    wire_forget(p.w);
    return sum;
}

TEST(trailers_end_the_stream)
{
    static const struct fgw_out_field f[] = {{"X-T", "1", 1, 3, 0, 0}};
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    get();
    play_head(&p, &o), play_body(&p, "abc"), p.side->down->send_trailers(p.side, f, 1), play_finish(&p), play_release(&p), play_turn(&p);
    SAID("HEADERS 1 :status=200|DATA 1 abc|HEADERS 1 x-t=1 END|");
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(a_window_stops_one_stream_and_not_another)
{
    get();
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body_n(&p, 100000, 'x'), play_turn(&p);
    EQ(p.room, 65535);
    said();
    struct fgw_side *first = p.side;
    credits(1 << 20, 0), ask(3, ES, GET);
    reply(200, "abc");
    SAID("HEADERS 3 :status=200 content-length=3|DATA 3 abc END|");
    p.side = first;
    credits(40000, 1), play_turn(&p);
    EQ(p.room, 100000);
    play_finish(&p), play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(output_waits_in_the_stream_while_the_socket_takes_nothing)
{
    get();
    credits(1 << 24, 0), credits(1 << 24, 1), play_turn(&p);
    p.w->room = 0;
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body_n(&p, 400000, 'x'), play_turn(&p);
    OK(q.server->h.conn.out.bytes < 64 << 10 || q.server->h.conn.out.bytes < (64 << 10) + 17000);
    OK(p.room < 90000);
    p.w->room = SIZE_MAX, play_turn(&p);
    EQ(p.room, 400000);
    EQ(sum_of(F_DATA, NULL), 400000);                /* no frame's head was lost in the buffer that all sessions write to */
    play_finish(&p), play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

enum { LONG = 50000 };
static size_t long_value;

static void inflate(const uint8_t *b, size_t n, bool end)
{
    for (int flags = 0; n || (end && !(flags & NGHTTP2_HD_INFLATE_FINAL)); ) {
        nghttp2_nv nv;
        ssize_t r = nghttp2_hd_inflate_hd2(q.inf, &nv, &flags, b, n, end);
        OK(r >= 0);
        if (r < 0) return;
        b += r, n -= (size_t)r;
        if (flags & NGHTTP2_HD_INFLATE_EMIT && nv.valuelen == LONG) for (size_t i = 0; i < LONG; i++) long_value += nv.value[i] == '$';
    }
    if (end) nghttp2_hd_inflate_end_headers(q.inf);
}

TEST(a_long_head_that_waits_half_sent_is_not_lost)
{
    static char value[LONG];
    memset(value, '$', LONG);
    const struct fgw_out_field f = {"x", value, LONG, 1, 0, 0};
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN}, with = {.status = 200, .len = FGW_LEN_UNKNOWN, .fields = &f, .nfields = 1};
    get();
    credits(1 << 24, 0), credits(1 << 24, 1), play_turn(&p);
    struct fgw_side *first = p.side;
    p.w->room = 0;
    play_head(&p, &o), play_body_n(&p, 60000, 'x'), play_turn(&p);
    ask(3, ES, GET);
    play_head(&p, &with), play_turn(&p);
    OK(q.server->h.conn.out.bytes >= FGW_H2_OUT_HIGH && q.server->h.conn.out.bytes < 60000 + LONG);      /* it waits in its middle */
    p.w->room = SIZE_MAX, long_value = 0, play_turn(&p);
    OK(sum_of(F_CONT, inflate) > 16384);
    EQ(long_value, LONG);
    play_finish(&p), play_release(&p);
    p.side = first, play_finish(&p), play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(credit_gives_the_streams_window_back_and_the_connections_is_given_at_once)
{
    static char body[1000];
    h2_start();
    q.windows = true;
    ask(1, 0, POST);
    frame(F_DATA, 0, 1, body, 1000), play_turn(&p);
    SAID("");
    p.side->down->credit(p.side, 400), play_turn(&p);
    SAID("");                                        /* less than half is not worth a frame */
    p.side->down->credit(p.side, 600), play_turn(&p);
    SAID("WINDOW 1 1000|");
    frame(F_DATA, 0, 1, body, 1000), frame(F_DATA, 0, 1, body, 1), play_turn(&p);
    OK(strstr(said(), "3|") != NULL);                /* FLOW_CONTROL_ERROR */
    OK(p.given <= 2000);
    h2_stop();
}

TEST(a_length_that_is_not_kept_is_a_reset)
{
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_KNOWN, .length = 3};
    get();
    play_head(&p, &o), play_body(&p, "ab"), play_finish(&p), play_release(&p), play_turn(&p);
    OK(strstr(said(), "RST 1 2|") != NULL);
    h2_stop();
    get();
    play_head(&p, &o), play_body(&p, "abcd"), play_release(&p), play_turn(&p);
    OK(strstr(said(), "RST 1 2|") != NULL);
    h2_stop();
}

TEST_MAIN()

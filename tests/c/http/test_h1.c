#include "http/h1.c"
#include "http/wire.h"
#include "test.h"

TEST(framing_of_replies)
{
    struct fgw_h1_writer w;
    char hop[FGW_H1_HOP_MAX];
    struct fgw_out o = {.status = 200, .len = FGW_LEN_KNOWN, .length = 5};
    EQ_BYTES(hop, fgw_h1_reply_framing(&w, &o, false, true, hop), "Content-Length: 5\r\n");
    EQ(w.left, 5);
    o.status = 204;
    EQ(fgw_h1_reply_framing(&w, &o, false, true, hop), 0);
    o.status = 200, o.len = FGW_LEN_UNKNOWN;
    EQ_BYTES(hop, fgw_h1_reply_framing(&w, &o, false, true, hop), "Transfer-Encoding: chunked\r\n");
    EQ(fgw_h1_reply_framing(&w, &o, false, false, hop), 0);
    EQ(w.framing, FGW_BODY_CLOSE);
}

TEST(what_has_left_is_told_once)
{
    struct fgw_h1_writer w = {.unacked = 10};
    EQ(fgw_h1_writer_acked(&w, 4), 6);
    EQ(fgw_h1_writer_acked(&w, 4), 0);
    EQ(fgw_h1_writer_acked(&w, 0), 4);
}

TEST(framing_of_requests)
{
    struct fgw_h1_writer w;
    char hop[FGW_H1_HOP_MAX];
    struct fgw_out o = {.len = FGW_LEN_NONE};
    EQ(fgw_h1_request_framing(&w, &o, hop), 0);
    EQ(w.framing, FGW_BODY_NONE);
    o.len = FGW_LEN_KNOWN, o.length = UINT64_MAX;
    EQ_BYTES(hop, fgw_h1_request_framing(&w, &o, hop), "Content-Length: 18446744073709551615\r\n");
    o.len = FGW_LEN_UNKNOWN;
    EQ_BYTES(hop, fgw_h1_request_framing(&w, &o, hop), "Transfer-Encoding: chunked\r\n");
    EQ(w.framing, FGW_BODY_CHUNKED);
}

TEST(replies_that_have_no_body)
{
    struct fgw_h1_writer w;
    char hop[FGW_H1_HOP_MAX];
    struct fgw_out o = {.status = 200, .len = FGW_LEN_KNOWN, .length = 9};
    EQ_BYTES(hop, fgw_h1_reply_framing(&w, &o, true, true, hop), "Content-Length: 9\r\n");     /* HEAD: told, not sent */
    EQ(w.framing, FGW_BODY_NONE);
    o.len = FGW_LEN_UNKNOWN;
    EQ(fgw_h1_reply_framing(&w, &o, true, true, hop), 0);
    o.status = 103;
    EQ(fgw_h1_reply_framing(&w, &o, false, true, hop), 0);
    o.status = 200, o.len = FGW_LEN_NONE;
    EQ_BYTES(hop, fgw_h1_reply_framing(&w, &o, false, true, hop), "Content-Length: 0\r\n");
}

TEST(connection_lines)
{
    char hop[FGW_H1_HOP_MAX], lengthy[FGW_H1_UPGRADE_MAX + 1];
    struct fgw_out o = {.upgrade = FGW_STR("x")};
    EQ_BYTES(hop, fgw_h1_connection(&o, true, true, 1, hop), "Connection: Upgrade\r\nUpgrade: x\r\n");
    EQ(fgw_h1_connection(&o, false, true, 1, hop), 0);
    EQ_BYTES(hop, fgw_h1_connection(&o, false, true, 0, hop), "Connection: keep-alive\r\n");
    EQ_BYTES(hop, fgw_h1_connection(&o, false, false, 0, hop), "Connection: close\r\n");
    memset(lengthy, 'x', sizeof lengthy);
    o.upgrade = fgw_str(lengthy, FGW_H1_UPGRADE_MAX);
    OK(fgw_h1_connection(&o, true, true, 1, hop) < FGW_H1_HOP_MAX - 60);
    o.upgrade.n++;
    EQ(fgw_h1_connection(&o, true, true, 1, hop), 0);
}

/* ---- the body written into a connection ---- */
static struct fgw_loop l;
static struct fgw_conn c;
static struct wire *wire;
static void nothing(struct fgw_conn *x) { (void)x; }
static void sent(struct fgw_conn *x, uint64_t n) { (void)x, (void)n; }
static const struct fgw_conn_user user = {nothing, nothing, sent, nothing};
static void begin(void)
{
    OK(fgw_loop_init(&l, &wires_clock, 0) == 0);
    fgw_conn_init_memory(&c, &l, &wire_transport, &user);
    wire = wire_attach(&c);
}
static void end(void)
{
    fgw_conn_close(&c, false), wire_free(wire);
    fgw_loop_settle(&l), fgw_loop_fini(&l);
}
static bool body(struct fgw_h1_writer *w, size_t n)
{
    struct fgw_block *b = fgw_block_get(&l.blocks, n + 1);
    memset(b->data, 'x', n);
    bool ok = fgw_h1_writer_body(w, &c, (struct fgw_span){b, 0, (uint32_t)n});
    fgw_block_unref(b);
    return ok;
}

TEST(bodies_by_framing)
{
    static const struct { uint8_t framing; uint64_t left; const char *want; } of[] = {
        {FGW_BODY_NONE, 0, ""}, {FGW_BODY_LENGTH, 5, "xxxxx"}, {FGW_BODY_CHUNKED, 0, "3\r\nxxx\r\n2\r\nxx\r\n0\r\n\r\n"}, {FGW_BODY_CLOSE, 0, "xxxxx"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct fgw_h1_writer w = {.framing = of[i].framing, .left = of[i].left};
        begin();
        OK(body(&w, 3) && body(&w, 0) && body(&w, 2));       /* an empty piece must not end a chunked body */
        OK(fgw_h1_writer_end(&w, &c));
        fgw_loop_settle(&l);
        EQ_STR(fgw_str(wire_heard(wire), wire->out_n), of[i].want);
        end();
    }
}

TEST(a_length_is_kept_to)
{
    struct fgw_h1_writer w = {.framing = FGW_BODY_LENGTH, .left = 5};
    begin();
    OK(body(&w, 3));
    OK(!fgw_h1_writer_end(&w, &c));
    OK(!body(&w, 3));
    OK(body(&w, 2));
    OK(fgw_h1_writer_end(&w, &c));
    end();
}

TEST(trailers_only_behind_chunks)
{
    const struct fgw_out_field f = {"T", "1", 1, 1, 0, 0};
    struct fgw_h1_writer w = {.framing = FGW_BODY_CHUNKED};
    begin();
    fgw_h1_writer_trailers(&w, &c, &f, 1);
    OK(fgw_h1_writer_end(&w, &c));
    fgw_loop_settle(&l);
    EQ_BYTES(wire->out, wire->out_n, "0\r\nT: 1\r\n\r\n");
    wire_forget(wire);
    w = (struct fgw_h1_writer){.framing = FGW_BODY_LENGTH};
    fgw_h1_writer_trailers(&w, &c, &f, 1);
    OK(fgw_h1_writer_end(&w, &c));
    fgw_loop_settle(&l);
    EQ(wire->out_n, 0);
    end();
}

TEST(big_pieces_are_shared_and_big_heads_have_a_block_of_their_own)
{
    struct fgw_h1_writer w = {.framing = FGW_BODY_CLOSE};
    begin();
    wire->room = 0;
    struct fgw_block *b = fgw_block_get(&l.blocks, 4000);
    memset(b->data, 'x', 4000);
    OK(fgw_h1_writer_body(&w, &c, (struct fgw_span){b, 0, COPY_MAX}));
    EQ(b->refs, 1);
    OK(fgw_h1_writer_body(&w, &c, (struct fgw_span){b, 0, COPY_MAX + 1}));
    EQ(b->refs, 2);
    EQ(w.unacked, 2 * COPY_MAX + 1);
    wire->room = SIZE_MAX, fgw_loop_settle(&l), wires_turn(&l), wire_forget(wire);
    fgw_block_unref(b);
    char *value = malloc(70000);
    memset(value, 'v', 70000);
    struct fgw_out_field f = {"V", value, 70000, 1, 0, 0};
    struct fgw_out o = {.status = 200, .fields = &f, .nfields = 1};
    OK(fgw_h1_send_reply(&c, &o, FGW_STR("Content-Length: 0\r\n")));
    wires_turn(&l);
    EQ(wire->out_n, 70000 + strlen("HTTP/1.1 200 OK\r\nV: \r\nContent-Length: 0\r\n\r\n"));
    l.blocks.max_bytes = 1;
    OK(!fgw_h1_send_reply(&c, &o, FGW_STR("")));
    free(value);
    end();
}

TEST_MAIN()

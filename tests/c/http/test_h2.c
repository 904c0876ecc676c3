/* Memory for nghttp2, the preface, fields. */
#include "http/h2.c"
#include "http/h2_play.h"

static uint64_t taken(size_t n)
{
    for (int c = 0; c < FGW_H2_SIZES; c++) if (n <= SIZES[c]) return SIZES[c] + 16;
    return n + 16;
}

TEST(memory_is_counted_and_comes_back)
{
    h2_set();
    nghttp2_mem m = fgw_h2_mem(&q.env);
    static const size_t sizes[] = {0, 1, 32, 33, 64, 65, 80, 224, 225, 1023, 1024, 1025, 16384, FRAME_BYTES, 100000};
    void *got[FGW_COUNT(sizes)];
    uint64_t sum = 0;
    for (size_t i = 0; i < FGW_COUNT(sizes); i++) {
        got[i] = m.malloc(sizes[i], m.mem_user_data);
        OK(got[i] != NULL && (uintptr_t)got[i] % 16 == 0);
        memset(got[i], 7, sizes[i]), sum += taken(sizes[i]);
        EQ(q.env.memory.bytes, sum);
    }
    for (size_t i = 0; i < FGW_COUNT(sizes); i++) {
        got[i] = m.realloc(got[i], sizes[i] * 2 + 1, m.mem_user_data);
        for (size_t k = 0; k < sizes[i]; k++) OK(((char *)got[i])[k] == 7);
        sum += taken(sizes[i] * 2 + 1) - taken(sizes[i]);
        EQ(q.env.memory.bytes, sum);
        m.free(got[i], m.mem_user_data), sum -= taken(sizes[i] * 2 + 1);
    }
    char *z = m.calloc(10, 10, m.mem_user_data);
    for (int i = 0; i < 100; i++) OK(z[i] == 0);
    z = m.realloc(z, 20, m.mem_user_data);
    EQ(q.env.memory.bytes, taken(100));              /* a piece stays where it is when it shrinks */
    m.free(z, m.mem_user_data), m.free(NULL, m.mem_user_data);
    OK(m.calloc(SIZE_MAX / 2, 4, m.mem_user_data) == NULL);
    EQ(q.env.memory.bytes, 0);
    q.env.memory.max = 79;
    OK(m.malloc(64, m.mem_user_data) == NULL && m.realloc(NULL, 64, m.mem_user_data) == NULL && m.malloc(2000, m.mem_user_data) == NULL);
    q.env.memory.max = 0;
    h2_come();
    h2_stop();
}

TEST(classes_hold_what_they_are_asked_for_and_not_much_more)
{
    h2_set();
    for (size_t n = 1; n <= SMALL_MAX; n++) {
        uint32_t c = q.env.memory.class_of[(n + 15) / 16];
        OK(c < FGW_H2_SIZES && SIZES[c] >= n && (c == 0 || SIZES[c - 1] < n));
    }
    h2_come(), h2_stop();
}

TEST(sessions_share_their_output_buffer)
{
    h2_set(), h2_come();
    OK(q.env.memory.bytes > 2000 && q.env.memory.bytes < 12000);
    nghttp2_mem m = fgw_h2_mem(&q.env);
    char *own = m.malloc(FRAME_BYTES, m.mem_user_data), *frame = q.env.memory.frame;
    OK(own + FRAME_BYTES <= frame || own >= frame + FRAME_BYTES);        /* further pieces of a long head: not lent */
    m.free(own, m.mem_user_data);
    h2_stop();
}

TEST(no_memory_for_a_connection_leaves_nothing)
{
    h2_set(), h2_come();
    for (uint64_t max = 1; max < 40000; max = max * 3 / 2 + 1) {
        q.env.memory.max = q.env.memory.bytes + max;
        struct fgw_demux *d = fgw_h2_server_new_memory(&q.env, &wire_transport, &p.lim, &q.lim, &h2_user, &p, &q.server->demux.peer);
        if (!d) continue;
        struct wire *w = wire_attach(fgw_h2_server_conn(d));
        d->ops->cut(d);
        wire_free(w);
        fgw_loop_settle(&p.loop);
        q.server = fgw_container(p.w->c, struct fgw_h2_server, h.conn);    /* gone() took it for the other one */
    }
    q.env.memory.max = 0;
    h2_stop();
}

TEST(a_worker_with_streams_out_of_memory_ends_them_and_lives)
{
    h2_start();
    for (uint64_t room = 0; room < 4000 && p.w->c; room += 200) {
        q.env.memory.max = q.env.memory.bytes + room;
        ask(1 + (uint32_t)room / 100, ES, GET);
        if (p.side) reply(200, "abc");
    }
    q.env.memory.max = 0;
    h2_stop();
}

TEST(the_preface_is_known_from_its_first_bytes)
{
    for (uint32_t n = 1; n <= NGHTTP2_CLIENT_MAGIC_LEN; n++) EQ(fgw_h2_preface(NGHTTP2_CLIENT_MAGIC, n), n == NGHTTP2_CLIENT_MAGIC_LEN);
    EQ(fgw_h2_preface("PRI * HTTP/2.1", 14), -1);
    EQ(fgw_h2_preface("POST", 4), -1);
}

TEST(codes_of_resets)
{
    EQ(fgw_h2_code(FGW_E_NONE), NGHTTP2_NO_ERROR);
    EQ(fgw_h2_code(FGW_E_CANCELLED), NGHTTP2_CANCEL);
    EQ(fgw_h2_code(FGW_E_UPSTREAM_RESET), NGHTTP2_INTERNAL_ERROR);
    EQ(fgw_h2_code(FGW_E_BAD_FIELD), NGHTTP2_PROTOCOL_ERROR);
    EQ(fgw_h2_code(FGW_E_HEAD_TOO_LONG), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_MAIN()

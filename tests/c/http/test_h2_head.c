/* Header blocks: what is too long, what comes in pieces. */
#include "http/h2_head.c"
#include "http/h2_play.h"

TEST(heads_beyond_their_bounds_are_told_so_and_the_connection_goes_on)
{
    static char big[9000];
    h2_set();
    p.lim.head = (struct fgw_head_limits){.line_max = 100, .field_max = 200, .head_max = 1000, .max_fields = 8};
    h2_come(), h2_hello();
    static const struct { const char *name; int n, count; const char *why, *status; } of[] = {
        {"x", 300, 1, "refused field_too_long|", "431"}, {"x", 1, 9, "refused too_many_fields|", "431"},
        {"x", 190, 6, "refused head_too_long|", "431"}, {":path", 200, 0, "refused line_too_long|", "414"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        char value[512];
        memset(value, 'v', sizeof value), value[0] = '/', value[of[i].n] = 0;
        int n = snprintf(big, sizeof big, ":method=GET|:scheme=http|:authority=h|:path=%s", of[i].count ? "/" : value);
        for (int k = 0; k < of[i].count; k++) n += snprintf(big + n, sizeof big - (size_t)n, "|%s=%s", of[i].name, value);
        ask(1 + 2 * (uint32_t)i, ES, big);
        SAW(&p, of[i].why);
        const char *s = said();
        OK(strstr(s, of[i].status) != NULL && strstr(s, "END|") != NULL);
    }
    ask(99, ES, GET);
    SAW(&p, "head GET /a|end|");
    h2_stop();
}

/* Heads are put together in blocks that connections share. */
TEST(heads_that_come_piece_by_piece_on_two_connections_stay_apart)
{
    static char a[200], b[200], want[512], piece[512];
    memset(a, 'a', sizeof a - 1), memset(b, 'b', sizeof b - 1);
    h2_start();
    struct wire *one = p.w;
    h2_come(), h2_hello();
    struct wire *two = p.w;
    for (uint32_t id = 1; id < 200; id += 2) {         /* on through several of the blocks */
        p.w = one, headers(id, ES, GET), play_turn(&p);
        p.w = two, headers(id, ES, ":method=PUT|:scheme=http|:path=/b|:authority=h"), play_turn(&p);
        char bytes[512];
        snprintf(piece, sizeof piece, "x=%s", a);
        p.w = one, frame(F_CONT, EH, id, bytes, block(bytes, piece)), play_turn(&p);
        snprintf(want, sizeof want, "head GET /a x=%s|end|", a);
        SAW(&p, want);
        reply(204, "");
        forget();
        wire_forget(one);
        snprintf(piece, sizeof piece, "x=%s", b);
        p.w = two, frame(F_CONT, EH, id, bytes, block(bytes, piece)), play_turn(&p);
        snprintf(want, sizeof want, "head PUT /b x=%s|end|", b);
        SAW(&p, want);
        reply(204, "");
        forget();
        wire_forget(two);
    }
    one->reset = true, p.w = one, play_turn(&p);
    p.w = two;
    h2_stop();
}

TEST(trailers_come_up_and_are_bounded)
{
    h2_start();
    p.eager = true;
    headers(1, EH, POST), frame(F_DATA, 0, 1, "abc", 3), headers(1, EH | ES, "x-t=1"), play_turn(&p);
    SAW(&p, "head POST /a|body abc|trailers x-t=1|end|");
    reply(204, "");
    headers(3, EH, POST), headers(3, EH | ES, ":path=/b"), play_turn(&p);
    OK(strstr(p.log, "abort") != NULL);
    h2_stop();
    h2_set();
    p.lim.body.trailer_fields = 1;
    h2_come(), h2_hello();
    headers(1, EH, POST), headers(1, EH | ES, "a=1|b=2"), play_turn(&p);
    SAW(&p, "head POST /a|abort too_many_fields|");
    OK(strstr(said(), "431") != NULL);
    h2_stop();
}

TEST(a_head_in_many_frames_grows_its_block)
{
    static char b[40000];
    h2_start();
    size_t n = block(b, GET);
    for (int i = 0; i < 20; i++) {
        char v[1000];
        memset(v, 'a' + i, sizeof v);
        n += literal(b + n, "x", v, sizeof v);
    }
    frame(F_HEADERS, ES, 1, b, 10000), frame(F_CONT, 0, 1, b + 10000, 5000), frame(F_CONT, EH, 1, b + 15000, n - 15000), play_turn(&p);
    OK(!strncmp(p.log, "head GET /a x=aaa", 17));
    h2_stop();
}

TEST(bytes_that_stand_for_megabytes_end_the_connection)
{
    static char b[40000];
    h2_start();
    size_t n = block(b, GET);
    char v[3900];
    memset(v, 'v', sizeof v);
    n += literal(b + n, "x", v, sizeof v), b[n - sizeof v - 6] = 0x40;   /* into the dynamic table */
    memset(b + n, 0x80 | 62, 3000), n += 3000;
    frame(F_HEADERS, EH | ES, 1, b, n), play_turn(&p);
    SAW(&p, "refused header_bomb|");
    OK(strstr(said(), "GOAWAY 1 11|") != NULL);
    p.w->eof = true, play_turn(&p);
    h2_stop();
}

TEST_MAIN()

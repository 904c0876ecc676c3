/* Framing decisions and the chunked coding, spelling by spelling. */
#include "http/body.c"
#include "test.h"

/* ---- framing ---- */

static const struct fgw_head_limits WIDE = {16384, 16384, 65536, 64};

struct decision { enum fgw_err e; enum fgw_framing f; uint64_t length; };

static struct decision decide(bool reply, bool head_request, const char *first, const char *fields)
{
    char s[2048];
    struct fgw_field list[64];
    struct fgw_head h = {.fields = list};
    fgw_head_reset(&h);
    int n = snprintf(s, sizeof s, "%s\r\n%s%s\r\n", first, fields, *fields ? "\r\n" : "");
    int r = reply ? fgw_head_parse_reply(&h, s, (uint32_t)n, &WIDE) : fgw_head_parse_request(&h, s, (uint32_t)n, &WIDE);
    if (r != n) fprintf(stderr, "%s: %s\n", fields, fgw_err_word(h.err)), test_failures_++;
    struct decision d = {0, FGW_BODY_CLOSE, 77};
    d.e = reply ? fgw_framing_reply(&h, head_request, &d.f, &d.length) : fgw_framing_request(&h, &d.f, &d.length);
    return d;
}
static struct decision request(const char *fields) { return decide(false, false, "POST / HTTP/1.1", fields); }
static struct decision reply(const char *fields) { return decide(true, false, "HTTP/1.1 200 OK", fields); }

#define IS(d, err, framing, len)          \
    do {                                  \
        struct decision d_ = d;           \
        EQ(d_.e, FGW_E_##err);            \
        EQ(d_.f, FGW_BODY_##framing);     \
        EQ(d_.length, len);               \
    } while (0)

TEST(good_framing)
{
    IS(request(""), NONE, NONE, 0);
    IS(request("Content-Length: 0"), NONE, LENGTH, 0);
    IS(request("content-length:\t 42 "), NONE, LENGTH, 42);
    IS(request("Content-Length: 007"), NONE, LENGTH, 7);
    IS(request("Content-Length: 9223372036854775807"), NONE, LENGTH, INT64_MAX);
    IS(request("Transfer-Encoding: chunked"), NONE, CHUNKED, 0);
    IS(request("TRANSFER-ENCODING:CHUNKED"), NONE, CHUNKED, 0);
    IS(request("X-Content-Length: 3\r\nContent_Length: 4"), NONE, NONE, 0);
    IS(reply(""), NONE, CLOSE, 0);
    IS(reply("Content-Length: 5"), NONE, LENGTH, 5);
    IS(reply("Transfer-Encoding: Chunked"), NONE, CHUNKED, 0);
    IS(decide(true, false, "HTTP/1.0 200 OK", ""), NONE, CLOSE, 0);
}

static const char *const BAD_FRAMING[] = {
    /* both, in every order and number */
    "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 0\r\nTransfer-Encoding: chunked", "Content-Length: x\r\nTransfer-Encoding: x",
    "Content-Length: 5\r\nA: b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    /* lengths */
    "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\nX: y\r\ncontent-length: 6", "Content-Length: 5, 5", "Content-Length: 5,",
    "Content-Length: ,5", "Content-Length: +5", "Content-Length: -5", "Content-Length: 0x5", "Content-Length: 5 5", "Content-Length: 5;",
    "Content-Length:", "Content-Length: \t", "Content-Length: 5.0", "Content-Length: 5e1", "Content-Length: 0_5", "Content-Length: a",
    "Content-Length: \"5\"", "Content-Length: 5\x80", "Content-Length: 9223372036854775808", "Content-Length: 18446744073709551616",
    "Content-Length: 18446744073709551621", "Content-Length: 9999999999999999999", "Content-Length: 00000000000000000005",
    "Content-Length: 99999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999",
    "Content-Length: \xd9\xa5", "Content-Length: 5\t6", "Content-Length: 5h",
    /* codings */
    "Transfer-Encoding:", "Transfer-Encoding: \t", "Transfer-Encoding: identity", "Transfer-Encoding: gzip", "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx", "Transfer-Encoding: chunked,", "Transfer-Encoding: ,chunked", "Transfer-Encoding: , chunked",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked;", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked; a=b", "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'", "Transfer-Encoding: chunk ed", "Transfer-Encoding: chunked chunked", "Transfer-Encoding: \xa0""chunked",
    "Transfer-Encoding: chunked\x80", "Transfer-Encoding: ch\xc3\xbcnked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked\r\ntransfer-encoding:", "Transfer-Encoding: gzip, , chunked", "Transfer-Encoding: gzip;q=1, chunked",
    "Transfer-Encoding: gzip chunked", "Transfer-Encoding: (c) chunked", "Transfer-Encoding: chunked/1, chunked", "Transfer-Encoding: =chunked",
    "Transfer-Encoding: gzip, chunked, chunked", "Transfer-Encoding: \"a, chunked\"", "Transfer-Encoding: chun\xe2\x80\x8bked", "Transfer-Encoding: c",
    "Transfer-Encoding: x\r\nTransfer-Encoding: y",
};
static const char *const BAD_CODING[] = {"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity,chunked", "Transfer-Encoding: a ,\tb, CHUNKED"};

TEST(bad_framing)
{
    for (size_t i = 0; i < FGW_COUNT(BAD_FRAMING); i++) {
        int before = test_failures_;
        IS(request(BAD_FRAMING[i]), BAD_FRAMING, NONE, 0);
        IS(reply(BAD_FRAMING[i]), UPSTREAM_BAD, NONE, 0);
        if (test_failures_ != before) fprintf(stderr, "  by %s\n", BAD_FRAMING[i]);
    }
    for (size_t i = 0; i < FGW_COUNT(BAD_CODING); i++) {
        IS(request(BAD_CODING[i]), BAD_CODING, NONE, 0);
        IS(reply(BAD_CODING[i]), UPSTREAM_BAD, NONE, 0);
    }
    IS(decide(false, false, "POST / HTTP/1.0", "Transfer-Encoding: chunked"), BAD_FRAMING, NONE, 0);
    IS(decide(true, false, "HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), UPSTREAM_BAD, NONE, 0);
    IS(decide(false, false, "POST / HTTP/1.0", "Content-Length: 3"), NONE, LENGTH, 3);
}

TEST(replies_without_a_body)
{
    static const char *const FIRST[] = {"HTTP/1.1 100 X", "HTTP/1.1 103 X", "HTTP/1.1 101 X", "HTTP/1.1 204 X", "HTTP/1.1 304 X"};
    for (size_t i = 0; i < FGW_COUNT(FIRST); i++) {
        IS(decide(true, false, FIRST[i], ""), NONE, NONE, 0);
        IS(decide(true, false, FIRST[i], "Content-Length: 12"), NONE, NONE, 0);
        IS(decide(true, false, FIRST[i], "Transfer-Encoding: chunked"), NONE, NONE, 0);
        IS(decide(true, false, FIRST[i], "Content-Length: 1x"), UPSTREAM_BAD, NONE, 0);
        IS(decide(true, false, FIRST[i], "Content-Length: 1\r\nContent-Length: 1"), UPSTREAM_BAD, NONE, 0);
    }
    IS(decide(true, true, "HTTP/1.1 200 OK", ""), NONE, NONE, 0);
    IS(decide(true, true, "HTTP/1.1 200 OK", "Content-Length: 12"), NONE, NONE, 0);
    IS(decide(true, true, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), NONE, NONE, 0);
    IS(decide(true, true, "HTTP/1.1 200 OK", "Content-Length: -1"), UPSTREAM_BAD, NONE, 0);
    IS(decide(true, false, "HTTP/1.1 205 X", ""), NONE, CLOSE, 0);
    IS(decide(true, false, "HTTP/1.1 304 X", "Content-Length: 3\r\nTransfer-Encoding: chunked"), UPSTREAM_BAD, NONE, 0);
}

TEST(framing_names)
{
    OK(strcmp(fgw_framing_name(FGW_BODY_CHUNKED), "chunked") == 0);
    OK(strcmp(fgw_framing_name(FGW_BODY_NONE), "none") == 0);
    OK(strcmp(fgw_framing_name((enum fgw_framing)9), "?") == 0);
}

/* ---- bodies ---- */

static const struct fgw_body_limits LIM = {256, 16384, 8192, 32};
struct read_ { enum fgw_body_event ev; uint32_t used; size_t n; char data[512]; };

/* Feed p[0..n) in steps of `by`, each step on its own copy at an edge, as a connection whose buffer is emptied each time. */
static struct read_ feed(struct fgw_body *b, const struct fgw_body_limits *lim, const char *p, uint32_t n, uint32_t first, uint32_t by)
{
    struct read_ r = {.ev = FGW_BODY_MORE};
    for (uint32_t at = 0, len = first; r.ev == FGW_BODY_MORE && at < n; at += len, len = by) {
        if (len > n - at) len = n - at;
        char *edge = at_edge(p + at, len);
        uint32_t pos = 0, off = 0, got = 0;
        while ((r.ev = fgw_body_next(b, lim, edge, len, &pos, &off, &got)) == FGW_BODY_DATA) {
            OK(got > 0 && off + got == pos && r.n + got <= sizeof r.data);
            memcpy(r.data + r.n, edge + off, got);
            r.n += got;
        }
        OK(r.ev != FGW_BODY_MORE || pos == len);
        r.used = at + pos;
        at_edge_free(edge, len);
    }
    return r;
}

/* The whole at once; then every cut in two, and byte by byte, which must agree. */
static struct read_ every_way(enum fgw_framing f, uint64_t length, const struct fgw_body_limits *lim, const char *p, uint32_t n)
{
    struct fgw_body b;
    fgw_body_start(&b, f, length);
    struct read_ want = feed(&b, lim, p, n, n, n);
    EQ(b.total, want.n);
    EQ(b.err, want.ev == FGW_BODY_BAD ? FGW_E_BAD_CHUNK : 0);
    for (uint32_t first = 1; first <= n; first++) {
        fgw_body_start(&b, f, length);
        struct read_ got = feed(&b, lim, p, n, first, first == n ? 1 : n);
        if (got.ev != want.ev || got.used != want.used || got.n != want.n || memcmp(got.data, want.data, got.n)) {
            fprintf(stderr, "cut at %u: %.*s\n", first, (int)n, p), test_failures_++;
            break;
        }
    }
    return want;
}
static struct read_ chunks(const char *s) { return every_way(FGW_BODY_CHUNKED, 0, &LIM, s, (uint32_t)strlen(s)); }

TEST(good_chunks)
{
    static const struct { const char *s, *data; uint32_t used; } T[] = {
        {"5\r\nhello\r\n0\r\n\r\nGET", "hello", 13}, {"5\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n", "hello!", 19}, {"0\r\n\r\n", "", 3},
        {"00000\r\n", "", 7}, {"0000000000000005\r\nhello\r\n000\r\n", "hello", 30}, {"a\r\n0123456789\r\n0\r\n", "0123456789", 18},
        {"A;x\r\n0123456789\r\n0;y=z;\"q\"\r\n", "0123456789", 28}, {"1;a=\"\\\"\xff\t\"\r\nx\r\n0\r\n", "x", 18}, {"1 \t;a\r\nx\r\n0 ;\r\n", "x", 15},
        {"2\r\n\r\n\r\n0\r\n", "\r\n", 10}, {"3;\r\n0\r\n\r\n0\r\n", "0\r\n", 12},
    };
    for (size_t i = 0; i < FGW_COUNT(T); i++) {
        struct read_ r = chunks(T[i].s);
        EQ(r.ev, FGW_BODY_TRAILERS);
        EQ_STR(fgw_str(r.data, r.n), T[i].data);
        EQ(r.used, T[i].used);
    }
}

TEST(bad_chunks)
{
    static const char *const BAD[] = {
        "\r\n", "\n", " 5\r\nhello\r\n", "\t5\r\n", "0x5\r\nhello\r\n", "+5\r\n", "-5\r\n", "5_0\r\n", "5h\r\n", "g\r\n", ";a\r\n", "5 \r\nhello\r\n", "5\t\r\nhello\r\n",
        "5 5\r\n", "5\nhello\r\n", "5\r\rhello", "5\rhello", "5;a\nhello", "5;a\rhello", "5;\x01\r\n", "5;\x7f\r\n", "5; \n", "5 ;\x02",
        "5\r\nhello0\r\n", "5\r\nhello\n0\r\n", "5\r\nhello\r0\r\n", "5\r\nhello\r\r\n", "5\r\nhello\r\n\r\n", "5\r\nhello\r\n 0\r\n",
        "00000000000000005\r\n", "10000000000000000\r\n", "fffffffffffffffff\r\n", "ffffffffffffffffff", "0\n\n", "0\n\r\n", "0 \r\n", "5,5\r\n", "5.\r\n",
        "\"5\"\r\n", "\xd9\xa5\r\n", "5\x80\r\n", "5\x0b\r\n", "5\x0c\r\n", "1\r\nxx\r\n", "1\r\nx\r\n1\r\n\r\n\r\nx", "5\"\r\n", "5=\r\n",
    };
    for (size_t i = 0; i < FGW_COUNT(BAD); i++) {
        struct read_ r = chunks(BAD[i]);
        if (r.ev != FGW_BODY_BAD) fprintf(stderr, "taken: %s\n", BAD[i]), test_failures_++;
    }
    EQ(every_way(FGW_BODY_CHUNKED, 0, &LIM, "5;a\0\r\n", 6).ev, FGW_BODY_BAD);
    EQ(every_way(FGW_BODY_CHUNKED, 0, &LIM, "5\0\r\n", 4).ev, FGW_BODY_BAD);
    EQ(every_way(FGW_BODY_CHUNKED, 0, &LIM, "\0\r\n", 3).ev, FGW_BODY_BAD);
}

/* Every byte value in every place of "12 ;ab\r\n(18 bytes)\r\n0\r\n" by the grammar. */
TEST(every_byte_in_every_place)
{
    static const char SAMPLE[] = "12 ;ab\r\n0123456789abcdefgh\r\n0\r\n";
    char in[sizeof SAMPLE];
    for (uint32_t at = 0; at < sizeof SAMPLE - 1; at++)
        for (int c = 0; c < 256; c++) {
            memcpy(in, SAMPLE, sizeof in);
            in[at] = (char)c;
            struct fgw_body b;
            fgw_body_start(&b, FGW_BODY_CHUNKED, 0);
            struct read_ r = feed(&b, &LIM, in, at + 1, at + 1, 1);
            bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'), ws = c == ' ' || c == '\t';
            bool text = c == 9 || (c >= 32 && c != 127), ok;
            switch (at) {
            case 0: case 28: ok = hex; break;
            case 1: case 29: ok = hex || ws || c == ';' || c == '\r'; break;
            case 2: ok = hex || ws || c == ';' || c == '\r'; break;
            case 3: ok = ws || c == ';'; break;
            case 4: case 5: case 6: ok = text || c == '\r'; break;
            case 7: case 27: case 30: ok = c == '\n'; break;
            case 26: ok = c == '\r'; break;
            default: ok = true;
            }
            if ((r.ev != FGW_BODY_BAD) != ok) fprintf(stderr, "byte %02x at %u: event %d\n", c, at, r.ev), test_failures_++;
        }
}

TEST(huge_chunks_do_not_wrap)
{
    struct fgw_body b;
    fgw_body_start(&b, FGW_BODY_CHUNKED, 0);
    struct read_ r = feed(&b, &LIM, "ffffffffffffffff\r\nabc", 21, 21, 1);
    EQ(r.ev, FGW_BODY_MORE);
    EQ(r.n, 3);
    EQ(b.left, UINT64_MAX - 3);
    OK(!fgw_body_eof(&b));
}

TEST(extension_limits)
{
    static const struct fgw_body_limits tight = {4, 7, 0, 0};
    EQ(every_way(FGW_BODY_CHUNKED, 0, &tight, "1;abc\r\nx\r\n1 ;a\r\nx\r\n0\r\n", 22).ev, FGW_BODY_TRAILERS);
    EQ(every_way(FGW_BODY_CHUNKED, 0, &tight, "1;abcd\r\n", 8).ev, FGW_BODY_BAD);
    EQ(every_way(FGW_BODY_CHUNKED, 0, &tight, "1    ;\r\n", 8).ev, FGW_BODY_BAD);
    EQ(every_way(FGW_BODY_CHUNKED, 0, &tight, "1;abc\r\nx\r\n1;abc\r\n", 17).ev, FGW_BODY_BAD);
    EQ(every_way(FGW_BODY_CHUNKED, 0, &tight, "1;a\r\nx\r\n1;a\r\nx\r\n1;a\r\nx\r\n1;a\r\nx\r\n", 32).ev, FGW_BODY_BAD);
}

TEST(bodies_of_known_length_and_none)
{
    struct read_ r = every_way(FGW_BODY_LENGTH, 5, &LIM, "helloGET", 8);
    EQ(r.ev, FGW_BODY_END);
    EQ(r.used, 5);
    EQ(r.n, 5);
    EQ(every_way(FGW_BODY_LENGTH, 9, &LIM, "hello", 5).ev, FGW_BODY_MORE);
    EQ(every_way(FGW_BODY_LENGTH, 0, &LIM, "GET", 3).used, 0);
    EQ(every_way(FGW_BODY_NONE, 0, &LIM, "GET", 3).ev, FGW_BODY_END);
    EQ(every_way(FGW_BODY_CLOSE, 0, &LIM, "0\r\n\r\nx", 6).n, 6);
    struct fgw_body b;
    uint32_t pos = 0, off, len;
    fgw_body_start(&b, FGW_BODY_LENGTH, 0);
    EQ(fgw_body_next(&b, &LIM, "", 0, &pos, &off, &len), FGW_BODY_END);
    fgw_body_start(&b, FGW_BODY_LENGTH, 1);
    EQ(fgw_body_next(&b, &LIM, "", 0, &pos, &off, &len), FGW_BODY_MORE);
    EQ(fgw_body_next(&b, &LIM, "x", 1, &pos, &off, &len), FGW_BODY_DATA);
    EQ(fgw_body_next(&b, &LIM, "x", 1, &pos, &off, &len), FGW_BODY_END);
    EQ(fgw_body_next(&b, &LIM, "x", 1, &pos, &off, &len), FGW_BODY_END);
    EQ(b.total, 1);
}

TEST(outcomes_stay)
{
    struct fgw_body b;
    uint32_t pos = 0, off, len;
    fgw_body_start(&b, FGW_BODY_CHUNKED, 0);
    EQ(fgw_body_next(&b, &LIM, "x", 1, &pos, &off, &len), FGW_BODY_BAD);
    pos = 0;
    EQ(fgw_body_next(&b, &LIM, "0\r\n", 3, &pos, &off, &len), FGW_BODY_BAD);
    EQ(pos, 0);
    fgw_body_start(&b, FGW_BODY_CHUNKED, 0);
    EQ(fgw_body_next(&b, &LIM, "0\r\n", 3, &pos, &off, &len), FGW_BODY_TRAILERS);
    EQ(fgw_body_next(&b, &LIM, "0\r\n", 3, &pos, &off, &len), FGW_BODY_TRAILERS);
    EQ(pos, 3);
}

TEST(end_of_file)
{
    struct fgw_body b;
    uint32_t pos = 0, off, len;
    fgw_body_start(&b, FGW_BODY_CLOSE, 0);
    OK(fgw_body_eof(&b));
    EQ(fgw_body_next(&b, &LIM, "", 0, &pos, &off, &len), FGW_BODY_END);
    fgw_body_start(&b, FGW_BODY_NONE, 0);
    OK(fgw_body_eof(&b));
    fgw_body_start(&b, FGW_BODY_LENGTH, 3);
    OK(!fgw_body_eof(&b));
    fgw_body_start(&b, FGW_BODY_CHUNKED, 0);
    OK(!fgw_body_eof(&b));
    fgw_body_next(&b, &LIM, "0\r\n", 3, &pos, &off, &len);
    OK(!fgw_body_eof(&b));
}

TEST(chunk_heads)
{
    static const struct { uint64_t n; const char *s; } T[] = {{1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {0x1a2b, "1a2b\r\n"},
        {0x10000, "10000\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}, {1ull << 60, "1000000000000000\r\n"}};
    for (size_t i = 0; i < FGW_COUNT(T); i++) {
        char out[18];
        EQ_STR(fgw_str(out, (size_t)fgw_chunk_head(out, T[i].n)), T[i].s);
    }
}

TEST_MAIN()

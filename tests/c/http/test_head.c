/* The head parser: what it accepts, what it refuses and with which word, however the bytes are cut. */
#include "http/head.c"
#include "heads.h"

/* Parse every way there is; they must agree. The outcome of the whole. */
static struct outcome *every_way(enum kind k, const char *p, size_t n, const struct fgw_head_limits *lim)
{
    static struct outcome o;
    int bad_ways = disagreements(&o, k, p, (uint32_t)n, lim);
    if (bad_ways) fprintf(stderr, "%d ways differ on: %.*s\n", bad_ways, (int)(n > 200 ? 200 : n), p), test_failures_++;
    return &o;
}
static struct outcome *text(enum kind k, const char *s) { return every_way(k, s, strlen(s), &WIDE); }

#define FIELD(o, i, want_name, want_value)                                \
    do {                                                                  \
        EQ_STR(fgw_head_name(&(o)->h, &(o)->fields[i]), want_name);       \
        EQ_STR(fgw_head_value(&(o)->h, &(o)->fields[i]), want_value);     \
    } while (0)

TEST(a_request)
{
    const char *s = "POST /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nX-Empty:\r\nX-Blank: \t \r\naccept:*/* \t\r\n"
                    "Content-Length:\t 5\r\nx: a b\tc\x80\xff \"\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n";
    struct outcome *o = text(REQUEST, s);
    EQ(o->r, (long long)(strstr(s, "hello") - s));
    EQ(o->h.len, o->r);
    EQ_STR(fgw_head_method(&o->h), "POST");
    EQ(o->h.method, FGW_M_POST);
    EQ_STR(fgw_head_target(&o->h), "/a/b?c=d");
    EQ(o->h.minor, 1);
    EQ(o->h.nfields, 6);
    FIELD(o, 0, "Host", "example.org");
    FIELD(o, 1, "X-Empty", "");
    FIELD(o, 2, "X-Blank", "");
    FIELD(o, 3, "accept", "*/*");
    FIELD(o, 4, "Content-Length", "5");
    FIELD(o, 5, "x", "a b\tc\x80\xff \"");
    EQ(o->fields[0].id, FGW_H_HOST);
    EQ(o->fields[4].id, FGW_H_CONTENT_LENGTH);
    EQ(o->h.known, FGW_H_BIT(HOST) | FGW_H_BIT(CONTENT_LENGTH) | FGW_H_BIT(OTHER));
}

TEST(smallest_messages)
{
    EQ(text(REQUEST, "A / HTTP/1.0\r\n\r\n")->r, 16);
    EQ(text(REQUEST, "A / HTTP/1.0\r\n\r\n")->h.minor, 0);
    EQ(text(REPLY, "HTTP/1.1 200\r\n\r\n")->r, 16);
    EQ(text(TRAILERS, "\r\n")->r, 2);
    EQ(text(REQUEST, "")->r, 0);
    EQ(text(REPLY, "")->r, 0);
    EQ(text(TRAILERS, "")->r, 0);
}

TEST(one_empty_line_before_a_request)
{
    struct outcome *o = text(REQUEST, "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EQ(o->r, 29);
    EQ(o->h.method_off, 2);
    EQ_STR(fgw_head_method(&o->h), "GET");
    EQ_STR(fgw_head_target(&o->h), "/");
    EQ(text(REQUEST, "\r\n")->r, 0);
    EQ(text(REQUEST, "\r\n\r\nGET / HTTP/1.1\r\n\r\n")->h.err, FGW_E_BAD_LINE);
    EQ(text(REQUEST, "\nGET / HTTP/1.1\r\n\r\n")->h.err, FGW_E_BAD_LINE);
    EQ(text(REQUEST, "\rGET / HTTP/1.1\r\n\r\n")->h.err, FGW_E_BAD_LINE);
    EQ(text(REPLY, "\r\nHTTP/1.1 200 OK\r\n\r\n")->h.err, FGW_E_BAD_LINE);
}

TEST(replies)
{
    struct outcome *o = text(REPLY, "HTTP/1.0 404 Not \xc3\xa4 Found\r\nServer: x\r\n\r\nbody");
    EQ(o->r, 40);
    EQ(o->h.status, 404);
    EQ(o->h.minor, 0);
    EQ_STR(fgw_str(o->h.base + o->h.reason, o->h.reason_len), "Not \xc3\xa4 Found");
    FIELD(o, 0, "Server", "x");
    o = text(REPLY, "HTTP/1.1 999 \r\n\r\n");
    EQ(o->h.status, 999);
    EQ(o->h.reason_len, 0);
    EQ(text(REPLY, "HTTP/1.1 100\r\n\r\n")->h.status, 100);
    static const char *const BAD[] = {
        "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 000\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 X\r\n\r\n", "HTTP/1.1  200 X\r\n\r\n",
        "HTTP/1.1\t200 X\r\n\r\n", "HTTP/1.1 200\tX\r\n\r\n", "HTTP/1.1 200 O\nK\r\n\r\n", "HTTP/1.1 200 OK\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 \x7f\r\n\r\n", "HTTP/1.1 200 \x01\r\n\r\n", "HTTP/1.1 +20 X\r\n\r\n", "HTTP/1.1 20x X\r\n\r\n", "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 \r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/11 200 OK\r\n\r\n", "SSH-2.0-x\r\n", "<html>", "HTTP/1.1 200\n\r\n", " HTTP/1.1 200\r\n",
        "HTTP/1.10 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        EQ(text(REPLY, BAD[i])->r, -1);
        EQ(text(REPLY, BAD[i])->h.err, FGW_E_BAD_LINE);
    }
    EQ(text(REPLY, "HTTP/2.0 200 OK\r\n\r\n")->h.err, FGW_E_BAD_VERSION);
    EQ(text(REPLY, "HTTP/1.2 200 OK\r\n\r\n")->h.err, FGW_E_BAD_VERSION);
}

TEST(trailers)
{
    struct outcome *o = text(TRAILERS, "X-Sum: 1\r\nY:2\r\n\r\nGET");
    EQ(o->r, 17);
    EQ(o->h.nfields, 2);
    FIELD(o, 0, "X-Sum", "1");
    FIELD(o, 1, "Y", "2");
    EQ(text(TRAILERS, "\n")->h.err, FGW_E_BAD_FIELD);
    EQ(text(TRAILERS, "\rX")->h.err, FGW_E_BAD_FIELD);
    EQ(text(TRAILERS, " a: b\r\n\r\n")->h.err, FGW_E_BAD_FIELD);
}

TEST(bad_request_lines)
{
    static const struct { const char *s; enum fgw_err e; } T[] = {
        {"GET /\r\n", FGW_E_BAD_LINE}, {"GET / \r\n", FGW_E_BAD_LINE}, {"GET\r\n", FGW_E_BAD_LINE}, {"GET  HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET  / HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET /  HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE}, {"GET / HTTP/1.1 \r\n\r\n", FGW_E_BAD_LINE}, {" GET / HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET\t/ HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE}, {"GET /\tHTTP/1.1\r\n\r\n", FGW_E_BAD_LINE}, {"GET /a b HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET /#a HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE}, {"GET /\x80 HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE}, {"G:T / HTTP/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET / HTTP/1.1\n\r\n", FGW_E_BAD_LINE}, {"GET / HTTP/1.1\r\r\n", FGW_E_BAD_LINE}, {"GET / HTTP/1.10\r\n\r\n", FGW_E_BAD_LINE},
        {"GET / HTTP/1,1\r\n\r\n", FGW_E_BAD_LINE}, {"GET / HTTP/11\r\n\r\n", FGW_E_BAD_LINE}, {"GET / http/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET / HTTP/ 1.1\r\n\r\n", FGW_E_BAD_LINE}, {"GET / HTTP/+1.1\r\n\r\n", FGW_E_BAD_LINE}, {"GET / HTTPS/1.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET / FTP/1.1\r\n\r\n", FGW_E_BAD_LINE}, {"\x16\x03\x01\x02", FGW_E_BAD_LINE}, {"GET / HTTP/01.1\r\n\r\n", FGW_E_BAD_LINE},
        {"GET / HTTP/2.0\r\n\r\n", FGW_E_BAD_VERSION}, {"GET / HTTP/1.2\r\n\r\n", FGW_E_BAD_VERSION}, {"GET / HTTP/0.9\r\n\r\n", FGW_E_BAD_VERSION},
        {"GET / HTTP/9.9\r\n\r\n", FGW_E_BAD_VERSION}, {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FGW_E_BAD_VERSION}, {"GET / HTTP/3.0", FGW_E_BAD_VERSION},
        {"GET / HTTP/1.1\r\nX\n", FGW_E_BAD_FIELD},
    };
    for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
        EQ(text(REQUEST, T[i].s)->r, -1);
        EQ(text(REQUEST, T[i].s)->h.err, T[i].e);
    }
}

TEST(bad_fields)
{
    static const char *const BAD[] = {
        "A : b\r\n\r\n", "A\t: b\r\n\r\n", ": b\r\n\r\n", "A\r\n\r\n", "A b: c\r\n\r\n", " A: b\r\n\r\n", "\tA: b\r\n\r\n",
        "A: b\r\n c\r\n\r\n", "A: b\r\n\tc\r\n\r\n", "A: b\n\r\n", "A: b\rc\r\n\r\n", "A: b\r\r\n\r\n", "A: b\r\n\n", "A: b\r\n\rX",
        "A:\n\r\n", "A: \x01\r\n\r\n", "A: b\x7f\r\n\r\n", "A\xa0: b\r\n\r\n", "A\x01: b\r\n\r\n", "A(: b\r\n\r\n", "\"A\": b\r\n\r\n", "A: b\r\n \r\n\r\n",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        for (enum kind k = REQUEST; k <= TRAILERS; k++) {
            char s[128];
            snprintf(s, sizeof s, "%s%s", k == REQUEST ? "GET / HTTP/1.1\r\n" : k == REPLY ? "HTTP/1.1 200 OK\r\n" : "", BAD[i]);
            struct outcome *o = text(k, s);
            EQ(o->r, -1);
            EQ(o->h.err, FGW_E_BAD_FIELD);
        }
    EQ(every_way(TRAILERS, "A: b\0c\r\n\r\n", 10, &WIDE)->h.err, FGW_E_BAD_FIELD);
    EQ(every_way(TRAILERS, "A\0: bc\r\n\r\n", 10, &WIDE)->h.err, FGW_E_BAD_FIELD);
    EQ(every_way(REQUEST, "GET /\0 HTTP/1.1\r\n\r\n", 20, &WIDE)->h.err, FGW_E_BAD_LINE);
}

/* ---- every byte value in every kind of place ---- */

/* Put each byte at offset `at` of s; ok(c) says whether the head stays good; otherwise the code must be e. Each level, and
 * with `pad` letters before it so that it stands in another lane. */
static void bytes_at(enum kind k, const char *s, uint32_t at, int (*ok)(int c), enum fgw_err e)
{
    char in[512];
    uint32_t n = (uint32_t)strlen(s);
    memcpy(in, s, n);
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        for (int c = 0; c < 256; c++) {
            struct outcome o;
            in[at] = (char)c;
            whole(&o, k, in, n, &WIDE);
            if (ok(c) ? o.r != (int)n : o.r != -1 || o.h.err != e) {
                fprintf(stderr, "%s: byte %02x at %u gives %d, %s\n", fgw_simd_name((enum fgw_simd)level), c, at, o.r, fgw_err_word(o.h.err));
                test_failures_++;
            }
            in_steps(&o, k, in, n, 1, &WIDE);
            if (ok(c) ? o.r != (int)n : o.r != -1 || o.h.err != e) test_failures_++, fprintf(stderr, "by bytes: %02x at %u\n", c, at);
        }
    }
}

static int token(int c) { return c != 0 && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c) != NULL; }
static int token_or_colon(int c) { return token(c) || c == ':'; }
static int target_byte(int c) { return c > 32 && c < 127 && c != '#'; }
static int value_byte(int c) { return c == 9 || (c >= 32 && c != 127); }
static int colon_only(int c) { return c == ':'; }
static int cr_only(int c) { return c == '\r'; }
static int lf_only(int c) { return c == '\n'; }
static int sp_only(int c) { return c == ' '; }
static int is_h(int c) { return c == 'H'; }
static int is_dot(int c) { return c == '.'; }

TEST(every_byte_in_a_request_line)
{
    const char *s = "GET /path HTTP/1.1\r\nHost: x\r\n\r\n";
    bytes_at(REQUEST, s, 1, token, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 3, sp_only, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 4, target_byte, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 6, target_byte, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 8, target_byte, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 10, is_h, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 16, is_dot, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 18, cr_only, FGW_E_BAD_LINE);
    bytes_at(REQUEST, s, 19, lf_only, FGW_E_BAD_LINE);
}

TEST(every_byte_in_fields)
{
    char s[512];
    for (int pad = 0; pad < 70; pad += 23) {
        int at = snprintf(s, sizeof s, "GET /%.*s HTTP/1.1\r\n", pad, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        snprintf(s + at, sizeof s - (size_t)at, "Name: value\r\nb:c\r\n\r\n");
        uint32_t a = (uint32_t)at;
        bytes_at(REQUEST, s, a, token, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 2, token_or_colon, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 3, token_or_colon, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 4, colon_only, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 5, value_byte, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 6, value_byte, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 8, value_byte, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 10, value_byte, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 11, cr_only, FGW_E_BAD_FIELD);
        bytes_at(REQUEST, s, a + 12, lf_only, FGW_E_BAD_FIELD);
    }
}

TEST(every_byte_in_replies)
{
    const char *s = "HTTP/1.1 234 Text\r\nA: b\r\n\r\n";
    bytes_at(REPLY, s, 0, is_h, FGW_E_BAD_LINE);
    bytes_at(REPLY, s, 6, is_dot, FGW_E_BAD_LINE);
    bytes_at(REPLY, s, 8, sp_only, FGW_E_BAD_LINE);
    bytes_at(REPLY, s, 12, sp_only, FGW_E_BAD_LINE);
    bytes_at(REPLY, s, 14, value_byte, FGW_E_BAD_LINE);
    bytes_at(REPLY, s, 17, cr_only, FGW_E_BAD_LINE);
    bytes_at(REPLY, s, 18, lf_only, FGW_E_BAD_LINE);
}

static void digit_at(enum kind k, const char *s, uint32_t at, const char *good, enum fgw_err digit_error)
{
    char in[128];
    uint32_t n = (uint32_t)strlen(s);
    memcpy(in, s, n);
    for (int c = 0; c < 256; c++) {
        in[at] = (char)c;
        struct outcome *o = every_way(k, in, n, &WIDE);
        if (c != 0 && strchr(good, c)) EQ(o->r, n);
        else EQ(o->h.err, c >= '0' && c <= '9' ? digit_error : FGW_E_BAD_LINE);
    }
}

TEST(every_byte_for_every_digit)
{
    const char *s = "GET / HTTP/1.1\r\n\r\n", *t = "HTTP/1.1 200 X\r\n\r\n";
    digit_at(REQUEST, s, 11, "1", FGW_E_BAD_VERSION);
    digit_at(REQUEST, s, 13, "01", FGW_E_BAD_VERSION);
    digit_at(REPLY, t, 5, "1", FGW_E_BAD_VERSION);
    digit_at(REPLY, t, 7, "01", FGW_E_BAD_VERSION);
    digit_at(REPLY, t, 9, "123456789", FGW_E_BAD_LINE);
    digit_at(REPLY, t, 10, "0123456789", FGW_E_BAD_LINE);
    digit_at(REPLY, t, 11, "0123456789", FGW_E_BAD_LINE);
}

/* ---- real heads, cut everywhere ---- */

TEST(real_heads_cut_everywhere)
{
    struct outcome *o = text(REQUEST,
        "GET /search?q=a%20b&hl=en HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
        "sec-ch-ua: \"Chromium\";v=\"126\", \"Not/A)Brand\";v=\"8\"\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: sid=0123456789abcdef; theme=dark\r\n\r\n");
    OK(o->r > 500);
    EQ(o->h.nfields, 10);
    o = text(REPLY, "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\n"
                    "Transfer-Encoding: chunked\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    EQ(o->h.nfields, 5);
    EQ(text(REQUEST, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")->h.method, FGW_M_OPTIONS);
    EQ(text(REQUEST, "GET / HTTP/1.1\r\nHost: x\r\nA: b")->r, 0);
}

TEST(names_at_every_length_and_lane)
{
    char s[512];
    struct outcome o;
    for (uint32_t name = 1; name < 140; name++) {
        uint32_t value = name * 5 % 131, n = (uint32_t)sprintf(s, "%0*d: %0*d\r\n\r\n", (int)name, 0, (int)value, 1);
        for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
            if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
            whole(&o, TRAILERS, s, n, &WIDE);
            EQ(o.r, n);
            EQ(o.fields[0].name_len, name);
            EQ(o.fields[0].value_len, value ? value : 1);
        }
    }
}

/* ---- limits ---- */

/* The limit that lets s pass by a byte, then the one that is passed; then only the bytes up to the one that passes it. */
#define AT_LIMIT(k, s, limit, value, code, first_too_many)                              \
    do {                                                                               \
        struct fgw_head_limits lim_ = WIDE;                                            \
        lim_.limit = (value);                                                          \
        OK(every_way(k, s, strlen(s), &lim_)->r > 0);                                  \
        lim_.limit = (value) - 1;                                                      \
        EQ(every_way(k, s, strlen(s), &lim_)->r, -1);                                  \
        EQ(every_way(k, s, strlen(s), &lim_)->h.err, FGW_E_##code);                    \
        EQ(every_way(k, s, first_too_many, &lim_)->r, -1);                             \
        EQ(every_way(k, s, first_too_many, &lim_)->h.err, FGW_E_##code);               \
        EQ(every_way(k, s, (first_too_many) - 1, &lim_)->r, 0);                        \
    } while (0)

TEST(limits_by_the_byte)
{
    const char *s = "GET /abc HTTP/1.1\r\nA: b\r\nCC: dddd  \r\nE:\r\n\r\n", *t = "HTTP/1.1 200 OK then\r\nA: b\r\n\r\n";
    AT_LIMIT(REQUEST, s, line_max, 17, LINE_TOO_LONG, 17);
    AT_LIMIT(REQUEST, s, field_max, 10, FIELD_TOO_LONG, 35);
    AT_LIMIT(REQUEST, s, head_max, 43, HEAD_TOO_LONG, 43);
    AT_LIMIT(REQUEST, s, max_fields, 3, TOO_MANY_FIELDS, 38);
    AT_LIMIT(REPLY, t, line_max, 20, LINE_TOO_LONG, 20);
    AT_LIMIT(REPLY, t, field_max, 4, FIELD_TOO_LONG, 26);
    AT_LIMIT(REPLY, t, head_max, 30, HEAD_TOO_LONG, 30);
    AT_LIMIT(TRAILERS, "A: b\r\nC: d\r\n\r\n", max_fields, 2, TOO_MANY_FIELDS, 7);
    AT_LIMIT(TRAILERS, "A: b\r\nC: d\r\n\r\n", head_max, 14, HEAD_TOO_LONG, 14);
    AT_LIMIT(REQUEST, "\r\nGET / HTTP/1.1\r\n\r\n", line_max, 14, LINE_TOO_LONG, 16);
}

TEST(the_byte_that_passes_a_limit_is_not_judged)
{
    struct fgw_head_limits lim = {5, 3, 64, 4};
    EQ(every_way(REQUEST, "GET /\x01 HTTP/1.1\r\n", 17, &lim)->h.err, FGW_E_LINE_TOO_LONG);
    EQ(every_way(TRAILERS, "A:b\x01\r\n", 6, &lim)->h.err, FGW_E_FIELD_TOO_LONG);
    lim.line_max = 6, lim.field_max = 4;
    EQ(every_way(REQUEST, "GET /\x01 HTTP/1.1\r\n", 17, &lim)->h.err, FGW_E_BAD_LINE);
    EQ(every_way(TRAILERS, "A:b\x01\r\n", 6, &lim)->h.err, FGW_E_BAD_FIELD);
}

TEST(limits_and_bad_bytes_together_depend_on_no_cut)
{
    static const char *const HEADS[] = {
        "GET /abc HTTP/1.1\r\nA: b\r\nCC : d\r\n\r\n", "GET /a\x01""bc HTTP/1.1\r\n", "GET /abc HTTP/2.0\r\n", "\r\nGET /abc\r\n",
        "G ET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nAAAA: b\rc\r\n\r\n", "GET / HTTP/1.1\nA: b\r\n\r\n", "METHODMETHODMETHODMETHODMETHODMETHOD / HTTP/1.1\r\n",
    };
    for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++)
        for (uint32_t l = 0; l < 48; l++) {
            struct fgw_head_limits a = WIDE, b = WIDE, c = WIDE, d = {l, l, 2 * l, 2};
            a.line_max = l, b.field_max = l, c.head_max = l;
            EQ(every_way(REQUEST, HEADS[i], strlen(HEADS[i]), &a)->r, -1);
            EQ(every_way(REQUEST, HEADS[i], strlen(HEADS[i]), &b)->r, -1);
            EQ(every_way(REQUEST, HEADS[i], strlen(HEADS[i]), &c)->r, -1);
            EQ(every_way(REQUEST, HEADS[i], strlen(HEADS[i]), &d)->r, -1);
        }
}

TEST(methods)
{
    for (enum fgw_method m = FGW_M_GET; m < FGW_M_COUNT; m++) {
        struct fgw_str name = fgw_method_name(m);
        char lower[16];
        EQ(fgw_method_id(name), m);
        for (uint32_t i = 0; i < name.n; i++) lower[i] = (char)(name.p[i] | 0x20);
        EQ(fgw_method_id(fgw_str(lower, name.n)), FGW_M_OTHER);
        EQ(fgw_method_id(fgw_str(name.p, name.n - 1)), FGW_M_OTHER);
    }
    EQ_STR(fgw_method_name(FGW_M_OTHER), "");
    struct outcome *o = text(REQUEST, "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&' / HTTP/1.1\r\n\r\n");
    EQ(o->h.method_len, 32);
    EQ(o->h.method, FGW_M_OTHER);
    EQ(text(REQUEST, "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'* / HTTP/1.1\r\n\r\n")->h.err, FGW_E_BAD_LINE);
    EQ(text(REQUEST, "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*")->h.err, FGW_E_BAD_LINE);
    EQ(text(REQUEST, "get / HTTP/1.1\r\n\r\n")->h.method, FGW_M_OTHER);
}

TEST(a_name_does_not_outgrow_its_16_bits)
{
    enum { LONG = 70000 };
    static char s[LONG + 8];
    static struct outcome o;
    struct fgw_head_limits lim = {1 << 20, 1 << 20, 1 << 20, 4};
    for (uint32_t name = 65535; name <= 65536; name++) {
        memset(s, 'a', name);
        memcpy(s + name, ": v\r\n\r\n", 7);
        whole(&o, TRAILERS, s, name + 7, &lim);
        EQ(o.r, name == 65535 ? (int)name + 7 : -1);
        EQ(name == 65535 ? o.fields[0].name_len == 65535 : o.h.err == FGW_E_FIELD_TOO_LONG, 1);
        begin(&o);
        EQ(fgw_head_parse_trailers(&o.h, s, name, &lim), name == 65535 ? 0 : -1);
        whole(&o, TRAILERS, s, name, &lim);
        EQ(o.r, name == 65535 ? 0 : -1);
    }
    memcpy(s + 65536, "a b", 3);                             /* a bad byte behind the limit does not change the word */
    whole(&o, TRAILERS, s, 65540, &lim);
    EQ(o.h.err, FGW_E_FIELD_TOO_LONG);
}

/* ---- cost ---- */

/* What the state machine scans. The loop over ordinary lines has its finders inside and begins at line starts only. */
static uint64_t scanned;
static const struct fgw_scanner *real_scanner;
static size_t counted(size_t pos, size_t stop) { scanned += stop - pos + 1; return stop; }
static size_t counting_token(const char *b, size_t pos, size_t end) { return counted(pos, real_scanner->token(b, pos, end)); }
static size_t counting_value(const char *b, size_t pos, size_t end) { return counted(pos, real_scanner->value(b, pos, end)); }
static size_t counting_target(const char *b, size_t pos, size_t end) { return counted(pos, real_scanner->target(b, pos, end)); }

static uint64_t scanned_in_steps(const char *s, uint32_t n, uint32_t by)
{
    static const struct fgw_head_limits lim = {16384, 16384, 65536, 100};
    struct fgw_scanner counting = {0, counting_token, counting_value, counting_target};
    struct outcome o;
    real_scanner = fgw_scanner_;
    counting.level = real_scanner->level;
    fgw_scanner_ = &counting;
    begin(&o);
    scanned = 0;
    for (uint32_t i = by; o.r == 0; i = n - i > by ? i + by : n) o.r = parse_more(&o, REQUEST, s, i, &lim);
    EQ(o.r, n);
    fgw_scanner_ = real_scanner;
    return scanned;
}

TEST(bytes_one_by_one_are_classified_at_most_twice)
{
    static char s[60000];
    memcpy(s, "GET /", 5);
    memset(s + 5, 'x', 9995);
    memcpy(s + 10000, " HTTP/1.1\r\n", 11);
    uint32_t n = 10011;
    for (int i = 0; i < 3; i++) n += (uint32_t)sprintf(s + n, "%05000d:%*s%05000d\r\n", i, 3000, "", 7);
    n += (uint32_t)sprintf(s + n, "\r\n");
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        OK(scanned_in_steps(s, n, 1) <= 2 * n);
        OK(scanned_in_steps(s, n, 7) <= n + n / 2);
        OK(scanned_in_steps(s, n, 1460) <= n + 100);
        OK(scanned_in_steps(s, n, n) <= n + 100);
    }
}

TEST(an_ordinary_head_never_meets_the_state_machine)
{
    char s[1024];
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        for (int pad = 0; pad < 100; pad++) {
            uint32_t n = (uint32_t)sprintf(s, "%s /%0*d HTTP/1.1\r\nHost: example.org\r\nX-%0*d:%0*d\r\nA: b c\r\n\r\n", pad % 2 ? "GET" : "POST",
                                           pad + 1, 0, pad + 1, 0, 100 - pad, 0);
            EQ(scanned_in_steps(s, n, n), 0);
        }
    }
}

/* ---- use ---- */

TEST(finding_fields)
{
    struct outcome *o = text(REQUEST, "GET / HTTP/1.1\r\nX-A: 1\r\nhOST: h\r\nx-a: 2\r\nCookie: c\r\nCookie: d\r\n\r\n");
    EQ_STR(fgw_head_value(&o->h, fgw_head_find(&o->h, FGW_H_COOKIE)), "c");
    EQ_STR(fgw_head_value(&o->h, fgw_head_find(&o->h, FGW_H_HOST)), "h");
    OK(!fgw_head_find(&o->h, FGW_H_EXPECT));
    EQ_STR(fgw_head_value(&o->h, fgw_head_find_name(&o->h, FGW_STR("X-a"))), "1");
    EQ_STR(fgw_head_value(&o->h, fgw_head_find_name(&o->h, FGW_STR("HOST"))), "h");
    OK(!fgw_head_find_name(&o->h, FGW_STR("x-b")));
    OK(!fgw_head_find_name(&o->h, FGW_STR("server")));
    o = text(REQUEST, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    OK(!fgw_head_find_name(&o->h, FGW_STR("x-b")));
}

TEST(one_state_parses_many_heads)
{
    const char *s = "GET /1 HTTP/1.1\r\nA: b\r\n\r\nGET /22 HTTP/1.0\r\n\r\n";
    struct outcome o;
    begin(&o);
    EQ(parse_more(&o, REQUEST, s, (uint32_t)strlen(s), &WIDE), 25);
    fgw_head_reset(&o.h);
    EQ(parse_more(&o, REQUEST, s + 25, (uint32_t)strlen(s) - 25, &WIDE), 20);
    EQ(o.h.nfields, 0);
    EQ(o.h.minor, 0);
    EQ_STR(fgw_head_target(&o.h), "/22");
    fgw_head_reset(&o.h);
    EQ(parse_more(&o, REQUEST, "\n", 1, &WIDE), -1);
    fgw_head_reset(&o.h);
    EQ(o.h.err, FGW_E_NONE);
    EQ(parse_more(&o, REQUEST, s, (uint32_t)strlen(s), &WIDE), 25);
}

TEST_MAIN()

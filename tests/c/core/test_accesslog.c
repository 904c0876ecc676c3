#include "core/accesslog.c"
#include "io/shm.h"
#include "test.h"

static char line_[1 << 20];

/* One line, through a ring, without its newline. */
static struct fgw_str line_of(int format, const struct fgw_log_facts *f)
{
    struct fgw_ring *r = aligned_alloc(64, sizeof *r + FGW_SHM_RING);
    fgw_ring_init(r, FGW_SHM_RING);
    fgw_accesslog_write(r, format, f);
    size_t n = fgw_ring_read(r, line_, sizeof line_);
    free(r);
    OK(n == 0 || line_[n - 1] == '\n');
    OK(n < 2 || !memchr(line_, '\n', n - 1));
    return fgw_str(line_, n ? n - 1 : 0);
}

static bool has(struct fgw_str s, const char *part) { return memmem(s.p, s.n, part, strlen(part)) != NULL; }

/* A whole request: every fact set. */
static struct fgw_log_facts typical(void)
{
    return (struct fgw_log_facts){
        .wall_ns = 1767323045678901234u, .duration_us = 1234, .upstream_us = 987, .bytes_in = 0, .bytes_out = 5120,
        .client = FGW_STR("203.0.113.77"), .method = FGW_STR("GET"), .target = FGW_STR("/users/42?page=3"), .host = FGW_STR("api.example.com"),
        .user_agent = FGW_STR("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"), .referer = FGW_STR("https://example.com/"),
        .request_id = FGW_STR("0193a1b2c3d4e5f60718293a4b5c6d7e"), .listener = FGW_STR("web"), .route = FGW_STR("users"),
        .upstream = FGW_STR("users"), .endpoint = FGW_STR("127.0.0.1:9001"), .status = 200, .minor = 1, .tries = 1,
    };
}

TEST(json_of_a_whole_request)
{
    struct fgw_log_facts f = typical();
    EQ_STR(line_of(FGW_LOG_JSON, &f),
           "{\"time\":\"2026-01-02T03:04:05.678Z\",\"client\":\"203.0.113.77\",\"method\":\"GET\",\"target\":\"/users/42?page=3\","
           "\"host\":\"api.example.com\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes_in\":0,\"bytes_out\":5120,\"duration_ms\":1.234,"
           "\"route\":\"users\",\"listener\":\"web\",\"upstream\":\"users\",\"endpoint\":\"127.0.0.1:9001\",\"upstream_ms\":0.987,\"tries\":1,"
           "\"request_id\":\"0193a1b2c3d4e5f60718293a4b5c6d7e\","
           "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\",\"referer\":\"https://example.com/\"}");
}

TEST(json_of_a_refused_request)
{
    struct fgw_log_facts f = {.client = FGW_STR("::1"), .fail = fgw_fail(FGW_E_BAD_LINE, FGW_BY_CLIENT), .status = 400, .duration_us = 7};
    EQ_STR(line_of(FGW_LOG_JSON, &f),
           "{\"time\":\"1970-01-01T00:00:00.000Z\",\"client\":\"::1\",\"protocol\":\"HTTP/1.0\",\"status\":400,\"bytes_in\":0,\"bytes_out\":0,"
           "\"duration_ms\":0.007,\"reason\":\"bad_request_line\",\"by\":\"client\"}");
    f.status = 0;                     /* nothing was sent: still a valid number */
    OK(has(line_of(FGW_LOG_JSON, &f), "\"status\":0,"));
}

TEST(the_status_of_a_call)
{
    struct fgw_log_facts f = typical();
    OK(!has(line_of(FGW_LOG_JSON, &f), "grpc_status"));
    f.grpc = 1;
    OK(has(line_of(FGW_LOG_JSON, &f), "\"status\":200,\"grpc_status\":0,\"bytes_in\":0,"));
    f.grpc = 1 + 16;
    OK(has(line_of(FGW_LOG_JSON, &f), "\"grpc_status\":16,"));
}

TEST(a_line_that_needs_escaping)
{
    struct fgw_log_facts f = typical();
    f.user_agent = FGW_STR("x\",\"status\":500,\"y\":\"");
    f.target = FGW_STR("/a\n{\"status\":500}");
    struct fgw_str l = line_of(FGW_LOG_JSON, &f);
    OK(has(l, "\"target\":\"/a\\n{\\\"status\\\":500}\","));
    OK(has(l, "\"user_agent\":\"x\\\",\\\"status\\\":500,\\\"y\\\":\\\"\","));
    OK(has(l, "\"referer\":\"https://example.com/\"}"));
    l = line_of(FGW_LOG_COMBINED, &f);
    OK(has(l, "\"GET /a\\x0A{\\x22status\\x22:500} HTTP/1.1\" 200"));
}

TEST(a_plain_string_is_cut_too_and_escaped_once_anything_is)
{
    static char host[FGW_LOG_TEXT + 100];
    memset(host, 'h', sizeof host);
    struct fgw_log_facts f = typical();
    f.host = fgw_str(host, sizeof host);
    struct fgw_str l = line_of(FGW_LOG_JSON, &f);
    OK(has(l, "hhh...\",\"protocol\""));
    OK(!has(l, "\\"));
    f = typical();
    f.user_agent = FGW_STR("\""), f.route = FGW_STR("a\"b");     /* no segment has such a name; if one had, that line would be right */
    OK(has(line_of(FGW_LOG_JSON, &f), "\"route\":\"a\\\"b\""));
}

TEST(the_kept_second_changes_nothing)
{
    struct fgw_log_time kept = {0};
    struct fgw_log_facts f = typical(), g = f;
    f.time = &kept;
    for (uint64_t t = 0; t < 5000; t += 333) {
        f.wall_ns = g.wall_ns = t * 1000000;
        char want[2048];
        struct fgw_str l = line_of(FGW_LOG_JSON, &g);
        memcpy(want, l.p, l.n);
        OK(fgw_str_eq(line_of(FGW_LOG_JSON, &f), fgw_str(want, l.n)));
    }
}

TEST(combined_of_a_whole_request)
{
    struct fgw_log_facts f = typical();
    EQ_STR(line_of(FGW_LOG_COMBINED, &f),
           "203.0.113.77 - - [02/Jan/2026:03:04:05 +0000] \"GET /users/42?page=3 HTTP/1.1\" 200 5120 \"https://example.com/\" "
           "\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"");
    f = (struct fgw_log_facts){.wall_ns = 951782400000000000u};
    EQ_STR(line_of(FGW_LOG_COMBINED, &f), "- - - [29/Feb/2000:00:00:00 +0000] \"- - HTTP/1.0\" 000 0 \"-\" \"-\"");
}

TEST(off_writes_nothing)
{
    struct fgw_log_facts f = typical();
    EQ(line_of(FGW_LOG_OFF, &f).n, 0);
}

/* Some bytes as they stand in a line, by the road a line takes. They end at an unmapped page. */
static struct fgw_str escaped(const void *s, size_t n, escape_one *one)
{
    static char out[8 * FGW_LOG_TEXT];
    bytes16 bad = {0};
    char *edge = at_edge(s, n), *end = copy(out, fgw_str(edge, n), &bad);
    if (any(bad)) end = escape(out, fgw_str(edge, n), one);
    at_edge_free(edge, n);
    OK((size_t)(end - out) <= 6 * n + 3);
    return fgw_str(out, (size_t)(end - out));
}
#define JSON_IS(in, out) EQ_STR(escaped(in, sizeof(in) - 1, json_special), out)
#define COMBINED_IS(in, out) EQ_STR(escaped(in, sizeof(in) - 1, combined_special), out)

TEST(json_escapes)
{
    JSON_IS("", "");
    JSON_IS("plain text, longer than a word", "plain text, longer than a word");
    JSON_IS("a\"b\\c", "a\\\"b\\\\c");
    JSON_IS("\n\r\t\b\x7f\x1f", "\\n\\r\\t\\u0008\\u007f\\u001f");
    JSON_IS("a\0b", "a\\u0000b");
    JSON_IS("\",\"status\":200,\"x\":\"", "\\\",\\\"status\\\":200,\\\"x\\\":\\\"");
}

TEST(json_utf8)
{
    JSON_IS("gr\xc3\xbc\xc3\x9f dich", "gr\xc3\xbc\xc3\x9f dich");
    JSON_IS("\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80");
    JSON_IS("\xff\xfe", "\\u00ff\\u00fe");
    JSON_IS("\xc0\xaf", "\\u00c0\\u00af");                      /* overlong */
    JSON_IS("\xe0\x80\xaf", "\\u00e0\\u0080\\u00af");
    JSON_IS("\xed\xa0\x80", "\\u00ed\\u00a0\\u0080");           /* surrogate */
    JSON_IS("\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080");/* above U+10FFFF */
    JSON_IS("cut \xe2\x82", "cut \\u00e2\\u0082");
    JSON_IS("\xc2\x9b" "31m", "\\u009b31m");                    /* C1 control sequence introducer */
    JSON_IS("\xc2\xa0", "\xc2\xa0");
}

TEST(combined_escapes)
{
    COMBINED_IS("a\"b\\c\r\n", "a\\x22b\\x5Cc\\x0D\\x0A");
    COMBINED_IS("\x7f\xc3\xbc ~", "\\x7F\\xC3\\xBC ~");
}

/* Every byte at every place of every length up to 40: special exactly when it must be, and nothing around it changes. */
TEST(every_byte_everywhere)
{
    for (unsigned n = 1; n <= 40; n++)
        for (unsigned at = 0; at < n; at++)
            for (unsigned c = 0; c < 256; c++) {
                char in[40], want[64];
                memset(in, 'x', n);
                in[at] = (char)c;
                bool same = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
                struct fgw_str got = escaped(in, n, combined_special);
                int w = same ? snprintf(want, sizeof want, "%.*s", n, in) : snprintf(want, sizeof want, "%.*s\\x%02X%.*s", at, in, c, n - at - 1, in + at + 1);
                if (got.n != (unsigned)w || memcmp(got.p, want, got.n)) { OK(!"escape"); fprintf(stderr, "byte %02x at %u of %u\n", c, at, n); return; }
                got = escaped(in, n, json_special);
                if ((got.n == n && !memcmp(got.p, in, n)) != same) { OK(!"json"); fprintf(stderr, "byte %02x at %u of %u\n", c, at, n); return; }
            }
}

TEST(long_strings_are_cut)
{
    static char big[3 * FGW_LOG_TEXT];
    memset(big, 'a', sizeof big);
    EQ(escaped(big, FGW_LOG_TEXT, json_special).n, FGW_LOG_TEXT);
    struct fgw_str cut = escaped(big, FGW_LOG_TEXT + 1, json_special);
    EQ(cut.n, FGW_LOG_TEXT + 3);
    EQ_BYTES(cut.p + cut.n - 4, 4, "a...");
}

TEST(the_worst_line_fits_the_ring)
{
    static char bad[8 * FGW_LOG_TEXT];
    memset(bad, 1, sizeof bad);
    struct fgw_str s = fgw_str(bad, sizeof bad);
    struct fgw_log_facts f = {
        .wall_ns = UINT64_MAX, .duration_us = UINT64_MAX, .upstream_us = UINT64_MAX, .bytes_in = UINT64_MAX, .bytes_out = UINT64_MAX,
        .client = s, .method = s, .target = s, .host = s, .user_agent = s, .referer = s, .request_id = s, .listener = s, .route = s,
        .upstream = s, .endpoint = s, .subject = s,
        .limit = s, .limit_dry = s, .plugin = s, .plugin_open = s,
        .fail = fgw_fail(FGW_E_UPSTREAM_HEAD_LONG, FGW_BY_UPSTREAM), .status = UINT16_MAX, .minor = 255, .tries = 255,
    };
    OK(line_of(FGW_LOG_JSON, &f).n > 16 * 6 * FGW_LOG_TEXT);
    OK(line_of(FGW_LOG_COMBINED, &f).n > 5 * 4 * FGW_LOG_TEXT);
}

TEST(tags_are_escaped_and_fit_however_long)
{
    static char bad[8 * FGW_LOG_TEXT];
    memset(bad, 1, sizeof bad);
    struct fgw_out_field tags[4];
    struct fgw_log_facts f = typical();
    for (int i = 0; i < 4; i++) tags[i] = (struct fgw_out_field){.name = bad, .name_len = 8 * FGW_LOG_TEXT, .value = bad, .value_len = 8 * FGW_LOG_TEXT};
    f.tags = tags, f.ntags = 4;
    OK(line_of(FGW_LOG_JSON, &f).n > 8 * 6 * FGW_LOG_TEXT);
    tags[0] = (struct fgw_out_field){.name = "a", .name_len = 1, .value = "gone", .value_len = 4, .flags = FGW_FIELD_DROP};
    tags[1] = (struct fgw_out_field){.name = "b\"", .name_len = 2, .value = "\n", .value_len = 1};
    tags[2] = (struct fgw_out_field){.name = "c", .name_len = 1, .value = "", .value_len = 0};
    f.ntags = 3;
    struct fgw_str l = line_of(FGW_LOG_JSON, &f);
    EQ_BYTES(l.p + l.n - 28, 28, ",\"tags\":{\"b\\\"\":\"\\n\",\"c\":\"\"}}");
    f.ntags = 1;
    OK(!memmem(line_of(FGW_LOG_JSON, &f).p, line_of(FGW_LOG_JSON, &f).n, "tags", 4));
    f.plugin = FGW_STR("auth"), f.plugin_open = FGW_STR("geo");
    l = line_of(FGW_LOG_JSON, &f);
    OK(memmem(l.p, l.n, ",\"plugin\":\"auth\",\"plugin_failed_open\":\"geo\"}", 44));
    f.subject = FGW_STR("CN=\"a\"");
    l = line_of(FGW_LOG_JSON, &f);
    OK(memmem(l.p, l.n, ",\"client_subject\":\"CN=\\\"a\\\"\",\"plugin\"", 37));
}

TEST(a_full_ring_drops_and_counts)
{
    struct fgw_ring *r = aligned_alloc(64, sizeof *r + 4096);
    fgw_ring_init(r, 4096);
    struct fgw_log_facts f = typical();
    f.user_agent = f.referer = f.request_id = f.target = FGW_STR("-");
    for (int i = 0; i < 20; i++) fgw_accesslog_write(r, FGW_LOG_JSON, &f);
    OK(atomic_load(&r->dropped) > 0 && atomic_load(&r->dropped) < 20);
    free(r);
}
TEST(http_2_has_no_minor_version)
{
    struct fgw_log_facts f = typical();
    f.h = 2;
    OK(has(line_of(FGW_LOG_JSON, &f), "\"protocol\":\"HTTP/2\","));
    OK(has(line_of(FGW_LOG_COMBINED, &f), " HTTP/2\" 200"));
    f.h = 1, f.minor = 0;
    OK(has(line_of(FGW_LOG_JSON, &f), "\"protocol\":\"HTTP/1.0\","));
}

TEST_MAIN()

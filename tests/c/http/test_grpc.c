#include "http/grpc.c"
#include "test.h"

/* ---- which requests are calls ---- */
static bool call(const char *method, const char *type)
{
    static const struct fgw_head_limits lim = {4096, 4096, 8192, 16};
    struct fgw_field fields[16];
    struct fgw_head h = {.fields = fields};
    char text[512];
    int n = snprintf(text, sizeof text, "%s /s/M HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n", method, type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "");
    fgw_head_reset(&h);
    OK(fgw_head_parse_request(&h, text, (uint32_t)n, &lim) == n);
    return fgw_grpc_is(&h);
}

TEST(calls)
{
    static const char *const yes[] = {"application/grpc", "application/grpc+proto", "application/grpc+json", "Application/gRPC", "application/grpc;charset=utf-8",
                                      "application/grpc ; a=b"};
    static const char *const no[] = {"application/grpc-web", "application/grpc-web+proto", "application/grpcx", "application/grp", "application/json", "", NULL};
    for (size_t i = 0; i < FGW_COUNT(yes); i++) OK(call("POST", yes[i]));
    for (size_t i = 0; i < FGW_COUNT(no); i++) OK(!call("POST", no[i]));
    OK(!call("GET", "application/grpc"));
    OK(!call("PUT", "application/grpc"));
}

/* ---- status ---- */
TEST(codes_have_their_names_and_numbers)
{
    EQ_STR(fgw_str(fgw_grpc_name(FGW_GRPC_OK), 2), "OK");
    EQ(strcmp(fgw_grpc_name((enum fgw_grpc_code)8), "RESOURCE_EXHAUSTED"), 0);
    EQ(strcmp(fgw_grpc_name((enum fgw_grpc_code)16), "UNAUTHENTICATED"), 0);
    OK(fgw_grpc_name(FGW_GRPC_CODES) == NULL);
    for (int i = 0; i < FGW_GRPC_CODES; i++) EQ(fgw_grpc_status(fgw_str(CODES[i].number, strlen(CODES[i].number))), i);
}

TEST(a_status_field)
{
    static const struct { const char *text; int code; } of[] = {
        {"0", 0}, {"00", 0}, {"16", 16}, {"17", 2}, {"999999999", 2}, {"", 255}, {"-1", 255}, {"1 ", 255}, {"x", 255}, {"4294967296", 255}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) EQ(fgw_grpc_status(fgw_str(of[i].text, strlen(of[i].text))), of[i].code);
}

TEST(what_the_gateway_answers)
{
    static const struct { enum fgw_err why; int code; } of[] = {
        {FGW_E_BAD_FIELD, FGW_GRPC_INTERNAL}, {FGW_E_NO_ROUTE, FGW_GRPC_UNIMPLEMENTED}, {FGW_E_METHOD_NOT_ALLOWED, FGW_GRPC_UNIMPLEMENTED},
        {FGW_E_DENIED, FGW_GRPC_PERMISSION_DENIED}, {FGW_E_RATE_LIMITED, FGW_GRPC_RESOURCE_EXHAUSTED}, {FGW_E_CONCURRENCY, FGW_GRPC_RESOURCE_EXHAUSTED},
        {FGW_E_BODY_TOO_LONG, FGW_GRPC_RESOURCE_EXHAUSTED}, {FGW_E_HEAD_TOO_LONG, FGW_GRPC_RESOURCE_EXHAUSTED},
        {FGW_E_REQUEST_TIMEOUT, FGW_GRPC_DEADLINE_EXCEEDED}, {FGW_E_FIRST_BYTE_TIMEOUT, FGW_GRPC_DEADLINE_EXCEEDED},
        {FGW_E_BODY_TIMEOUT, FGW_GRPC_DEADLINE_EXCEEDED}, {FGW_E_CONNECT_TIMEOUT, FGW_GRPC_UNAVAILABLE}, {FGW_E_CONNECT_REFUSED, FGW_GRPC_UNAVAILABLE},
        {FGW_E_NO_UPSTREAM, FGW_GRPC_UNAVAILABLE}, {FGW_E_OVERLOAD, FGW_GRPC_UNAVAILABLE}, {FGW_E_DRAINING, FGW_GRPC_UNAVAILABLE},
        {FGW_E_UPSTREAM_REFUSED, FGW_GRPC_UNAVAILABLE}, {FGW_E_CLIENT_GONE, FGW_GRPC_CANCELLED}, {FGW_E_CANCELLED, FGW_GRPC_CANCELLED},
        {FGW_E_SEND_TIMEOUT, FGW_GRPC_CANCELLED}, {FGW_E_PLUGIN_FAILED, FGW_GRPC_INTERNAL}, {FGW_E_INTERNAL, FGW_GRPC_INTERNAL},
        {FGW_E_H2_PROTOCOL, FGW_GRPC_INTERNAL}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) EQ(fgw_grpc_of(of[i].why, fgw_err_status(of[i].why)), of[i].code);
    EQ(fgw_grpc_of(FGW_E_DENIED, 401), FGW_GRPC_UNAUTHENTICATED);        /* a plugin says with which status it denies */
    EQ(fgw_grpc_of(FGW_E_DENIED, 409), FGW_GRPC_ABORTED);
    EQ(fgw_grpc_of(FGW_E_DENIED, 412), FGW_GRPC_FAILED_PRECONDITION);
    EQ(fgw_grpc_of(FGW_E_NONE, 200), FGW_GRPC_UNKNOWN);
    EQ(fgw_grpc_of(FGW_E_NONE, 302), FGW_GRPC_UNKNOWN);
}

TEST(every_failure_has_a_code_that_is_no_success)
{
    for (int e = 1; e < FGW_ERR_COUNT; e++) {
        enum fgw_grpc_code c = fgw_grpc_of((enum fgw_err)e, fgw_err_status((enum fgw_err)e));
        OK(c > FGW_GRPC_OK && c < FGW_GRPC_CODES);
    }
}

/* ---- time-outs ---- */
TEST(timeouts)
{
    static const struct { const char *text; uint64_t ns; } of[] = {
        {"1n", 1}, {"0n", 0}, {"1u", 1000}, {"100m", 100000000}, {"2S", 2000000000}, {"3M", 180000000000}, {"1H", 3600000000000}, {"00000001S", 1000000000},
        {"99999999n", 99999999}, {"99999999S", 99999999000000000}, {"99999999H", UINT64_MAX}};
    static const char *const bad[] = {"", "1", "S", "1s", "1h", "1 S", " 1S", "1S ", "-1S", "+1S", "1.5S",
                                      "123456789n", "1000000000n", "1SS", "0x1S", "1\xc2\xb5", "1ms"};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        uint64_t ns = 7;
        size_t n = strlen(of[i].text);
        char *p = at_edge(of[i].text, n);
        OK(fgw_grpc_timeout(fgw_str(p, n), &ns));
        OK(ns == of[i].ns);
        at_edge_free(p, n);
    }
    for (size_t i = 0; i < FGW_COUNT(bad); i++) {
        uint64_t ns = 7;
        size_t n = strlen(bad[i]);
        char *p = at_edge(bad[i], n);
        if (fgw_grpc_timeout(fgw_str(p, n), &ns)) fprintf(stderr, "taken: %s\n", bad[i]), OK(false);
        EQ(ns, 7);
        at_edge_free(p, n);
    }
}

TEST(what_is_written_is_the_finest_and_never_more)
{
    static const struct { uint64_t ns; const char *text; } of[] = {
        {0, "1n"}, {1, "1n"}, {99999999, "99999999n"}, {100000000, "100000u"}, {1500000000, "1500000u"}, {99999999999, "99999999u"}, {100000000000, "100000m"},
        {3600000000000, "3600000m"}, {360000000000000000, "6000000M"}, {UINT64_MAX, "5124095H"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        char p[FGW_GRPC_TIMEOUT_MAX];
        uint64_t back = 0;
        uint32_t n = fgw_grpc_timeout_write(of[i].ns, p);
        EQ_STR(fgw_str(p, n), of[i].text);
        OK(fgw_grpc_timeout(fgw_str(p, n), &back) && (back <= of[i].ns || of[i].ns == 0));
    }
}

/* ---- messages ---- */
static struct fgw_str told(const char *text, size_t n)
{
    static char out[3 * FGW_GRPC_MESSAGE_MAX];
    return fgw_str(out, fgw_grpc_message(fgw_str(text, n), out));
}

TEST(messages_are_percent_encoded)
{
    EQ_STR(told("plain text, as it is: ~", 23), "plain text, as it is: ~");
    EQ_STR(told("100%", 4), "100%25");
    EQ_STR(told("a\nb\r\n", 5), "a%0Ab");
    EQ_STR(told("\0\x7f\t", 3), "%00%7F%09");
    EQ_STR(told("gr\xc3\xbc\xc3\x9f" "e  \n\n", 11), "gr%C3%BC%C3%9Fe");
    EQ_STR(told("", 0), "");
}

TEST(long_messages_are_cut_between_characters)
{
    char text[1026];
    memset(text, 'x', sizeof text);
    EQ(told(text, sizeof text).n, 1024);
    memcpy(text + 1023, "\xe2\x82\xac", 3);
    EQ(told(text, sizeof text).n, 1023);
    memset(text, 0x80, sizeof text);                   /* no UTF-8 at all */
    EQ(told(text, sizeof text).n, 0);
}

TEST(fields)
{
    struct fgw_out_field f[FGW_GRPC_FIELDS];
    EQ(fgw_grpc_fields(FGW_GRPC_UNAVAILABLE, FGW_STR("gone"), f), 3);
    EQ_STR(fgw_str(f[1].value, f[1].value_len), "14");
    EQ_STR(fgw_str(f[2].value, f[2].value_len), "gone");
    EQ(fgw_grpc_fields(FGW_GRPC_OK, FGW_STR(""), f), 2);
    EQ_STR(fgw_str(f[0].value, f[0].value_len), "application/grpc");
    for (int i = 0; i < 3; i++) EQ(fgw_field_id(f[i].name, f[i].name_len), f[i].id);
}
TEST_MAIN()

/* Header blocks: what becomes a request, what is malformed, what is too long. */
#include "http/h2_head.c"
#include "http/h2_play.h"

TEST(authority_becomes_host_and_a_host_beside_it_must_agree)
{
    static const struct { const char *fields, *came, *said; } of[] = {
        {":method=GET|:scheme=http|:path=/a|:authority=H:8|host=h:8", "head GET /a|end|", ""},
        {":method=GET|:scheme=http|:path=/a|host=h", "head GET /a|end|", ""},
        {":method=GET|:scheme=http|:path=/a|:authority=h|host=i", "refused bad_host|", "400"},
        {":method=OPTIONS|:scheme=https|:path=*|:authority=h", "head OPTIONS *|end|", ""}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        h2_start();
        ask(1, ES, of[i].fields);
        SAW(&p, of[i].came);
        const char *s = said();
        OK(of[i].said[0] ? strstr(s, of[i].said) != NULL : !s[0]);
        h2_stop();
    }
}

TEST(malformed_requests_are_reset)
{
    static const char *const of[] = {
        ":method=GET|:scheme=http|:authority=h", ":scheme=http|:path=/|:authority=h", ":method=GET|:path=/|:authority=h",
        ":method=GET|:scheme=http|:path=|:authority=h", GET "|:path=/b", ":method=GET|:method=GET|:scheme=http|:path=/a|:authority=h",
        GET "|x=1|:extra=1", GET "|connection=close", GET "|transfer-encoding=chunked", GET "|keep-alive=1", GET "|upgrade=h2c",
        GET "|proxy-connection=x", GET "|te=gzip", GET "|X-Upper=1", GET "|x y=1", GET "|x=a\nb", GET "|content-length=x",
        GET "|content-length=1|content-length=2", GET "|content-length=3", ":status=200|" GET, ":method=GET|:scheme=http|:path=/a|:protocol=websocket|:authority=h",
        ":method=GET|:scheme=http|:path=/a b|:authority=h", "x=1|" GET};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        h2_start();
        ask(1, ES, of[i]);
        const char *s = said();
        if (strcmp(s, "RST 1 1|")) {
            OK(strstr(s, ":status=400") != NULL);
            if (!strstr(s, ":status=400")) fprintf(stderr, "%s: %s\n", of[i], s);
        }
        OK(!strncmp(p.log, "refused ", 8));
        OK(strstr(p.log, "head") == NULL);
        forget();
        ask(3, ES, GET);                             /* the connection goes on */
        SAW(&p, "head GET /a|end|");
        h2_stop();
    }
}

TEST(what_is_well_formed_is_taken_as_it_is)
{
    static const char *const of[][2] = {
        {GET "|te=trailers", "head GET /a|end|"}, {GET "|cookie=a=1|x=1|cookie=b=2|cookie=c", "head GET /a cookie=a=1; b=2; c x=1|end|"},
        {GET "|cookie=a=1", "head GET /a cookie=a=1|end|"}, {GET "|x=|y=2", "head GET /a x= y=2|end|"},
        {GET "|x_y=1|z=1", "head GET /a z=1|end|"}, {GET "|content-length=0", "head GET /a|end|"},
        {":method=PROPFIND|:scheme=http|:path=/a?b=%20|:authority=h", "head PROPFIND /a?b=%20|end|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        h2_start();
        ask(1, ES, of[i][0]);
        SAW(&p, of[i][1]);
        h2_stop();
    }
}

TEST(connect_is_refused)
{
    h2_start();
    ask(1, 0, ":method=CONNECT|:authority=h:443");
    SAW(&p, "refused method_not_allowed|");
    OK(strstr(said(), ":status=405") != NULL);
    h2_stop();
}

TEST(the_body_is_counted_against_its_length)
{
    static const struct { const char *len; const char *data; } of[] = {{"2", "abc"}, {"4", "abc"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        char f[128];
        h2_start();
        snprintf(f, sizeof f, POST "|content-length=%s", of[i].len);
        headers(1, EH, f), frame(F_DATA, ES, 1, of[i].data, strlen(of[i].data)), play_turn(&p);
        OK(strstr(p.log, "abort bad_framing|") != NULL);
        OK(strstr(p.log, "end|") == NULL);
        SAID("RST 1 1|");
        h2_stop();
    }
}

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

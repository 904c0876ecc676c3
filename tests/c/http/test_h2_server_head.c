/* Heads of requests: what becomes one, and what is malformed. */
#include "http/h2_server_head.c"
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

TEST_MAIN()

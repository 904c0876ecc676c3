/* The handshake's key and digest: by RFC 6455's own example, and what must not count as an answer. */
#include "http/websocket.c"
#include "base/str.h"
#include "test.h"

static struct fgw_slab slab;
static struct fgw_blocks blocks;

/* A message with these fields, from "name: value\n" lines. */
static struct fgw_msg *message(const char *lines, uint16_t status)
{
    struct fgw_msg *m = fgw_msg_get(&slab);
    char head[512], *p = head;
    p += sprintf(p, status ? "HTTP/1.1 101 S\r\n" : "GET / HTTP/1.1\r\n");
    for (const char *l = lines; *l; l++) *l == '\n' ? (*p++ = '\r', *p++ = '\n') : (*p++ = *l);
    p += sprintf(p, "\r\n");
    uint32_t n = (uint32_t)(p - head);
    m->b = fgw_block_get(&blocks, n);
    memcpy(m->b->data, head, n);
    const struct fgw_head_limits lim = {1000, 1000, 4000, 20};
    OK((status ? fgw_head_parse_reply : fgw_head_parse_request)(&m->head, m->b->data, n, &lim) == (int)n);
    EQ(fgw_msg_connection(m, !status), FGW_E_NONE);
    return m;
}
static void begin(void) { fgw_slab_init(&slab, "msg", sizeof(struct fgw_msg)), fgw_blocks_init(&blocks, 0); }
static void over(void) { EQ(slab.live, 0); fgw_slab_fini(&slab), fgw_blocks_fini(&blocks); }

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

TEST(the_digest_is_that_of_the_rfc)
{
    char accept[FGW_WS_ACCEPT];
    fgw_ws_accept(KEY, accept);
    OK(memcmp(accept, ACCEPT, sizeof accept) == 0);
}

TEST(base64_has_its_three_endings)
{
    static const struct { const char *in, *out; } of[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xff\xfe", "///+"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        char out[16] = "";
        base64((const unsigned char *)of[i].in, strlen(of[i].in), out);
        OK(strcmp(out, of[i].out) == 0);
    }
}

TEST(keys_are_new_each_time_and_well_formed)
{
    char a[FGW_WS_KEY], b[FGW_WS_KEY];
    OK(fgw_ws_key(a) && fgw_ws_key(b));
    OK(memcmp(a, b, sizeof a) != 0);
    OK(a[22] == '=' && a[23] == '=' && a[21] != '=');
}

TEST(a_key_counts_once_and_at_its_length)
{
    static const struct { const char *lines; bool has; } of[] = {
        {"Sec-WebSocket-Key: " KEY "\n", true}, {"", false}, {"Sec-WebSocket-Key: short\n", false}, {"Sec-WebSocket-Key: " KEY "=\n", false},
        {"Sec-WebSocket-Key: " KEY "\nsec-websocket-key: " KEY "\n", false}};
    begin();
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct fgw_msg *m = message(of[i].lines, 0);
        char key[FGW_WS_KEY];
        EQ(fgw_ws_key_of(m, key), of[i].has);
        if (of[i].has) OK(memcmp(key, KEY, sizeof key) == 0);
        fgw_msg_put(m);
    }
    over();
}

TEST(a_key_is_asked_only_where_none_comes_along)
{
    struct fgw_out_field f = {"Sec-WebSocket-Key", KEY, FGW_WS_KEY, 17, FGW_H_SEC_WEBSOCKET_KEY, 0};
    char hop[FGW_WS_LINE] = "", accept[FGW_WS_ACCEPT], want[FGW_WS_ACCEPT];
    struct fgw_out o = {.fields = &f, .nfields = 1, .upgrade = FGW_STR("WebSocket"), .upgrade_only = true};
    EQ(fgw_ws_ask(&o, hop, accept), 0);
    f.flags |= FGW_FIELD_DROP;           /* a step took it away */
    EQ(fgw_ws_ask(&o, hop, accept), 19 + FGW_WS_KEY + 2);
    OK(memcmp(hop, "Sec-WebSocket-Key: ", 19) == 0 && memcmp(hop + 19 + FGW_WS_KEY, "\r\n", 2) == 0);
    fgw_ws_accept(hop + 19, want);
    OK(memcmp(accept, want, sizeof want) == 0);
    o.upgrade = FGW_STR("echo");
    EQ(fgw_ws_ask(&o, hop, accept), 0);
    o.upgrade = FGW_STR("websocket"), o.upgrade_only = false;            /* HTTP/1.1's own, without one: the upstream will say so */
    EQ(fgw_ws_ask(&o, hop, accept), 0);
}

TEST(only_the_right_digest_agrees_and_it_goes_no_further)
{
    static const struct { const char *lines; bool agreed; } of[] = {
        {"Sec-WebSocket-Accept: " ACCEPT "\n", true}, {"Sec-WebSocket-Accept:  " ACCEPT "  \n", true}, {"", false},
        {"Sec-WebSocket-Accept: s3pplmbitxaq9kygzzhzrbk+xoo=\n", false}, {"Sec-WebSocket-Accept: " ACCEPT "=\n", false},
        {"Sec-WebSocket-Accept: " ACCEPT "\nSec-WebSocket-Accept: " ACCEPT "\n", false}};
    begin();
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct fgw_out_field out[8];
        struct fgw_msg *m = message(of[i].lines, 101);
        EQ(fgw_ws_agreed(m, ACCEPT), of[i].agreed);
        if (of[i].agreed) EQ(fgw_msg_fields(m, out), 0);
        fgw_msg_put(m);
    }
    over();
}

TEST(an_agreement_gets_the_digest_it_lacks)
{
    struct fgw_out_field f = {"Sec-WebSocket-Accept", "x", 1, 20, FGW_H_SEC_WEBSOCKET_ACCEPT, 0};
    struct fgw_out o = {.fields = &f, .status = 101, .upgrade = FGW_STR("websocket")};
    char hop[FGW_WS_LINE];
    static const char want[] = "Sec-WebSocket-Accept: " ACCEPT "\r\n";
    EQ(fgw_ws_agree(&o, KEY, hop), sizeof want - 1);
    OK(memcmp(hop, want, sizeof want - 1) == 0);
    o.nfields = 1;
    EQ(fgw_ws_agree(&o, KEY, hop), 0);
    o.nfields = 0, o.upgrade = FGW_STR("echo");
    EQ(fgw_ws_agree(&o, KEY, hop), 0);
    o.upgrade = FGW_STR("websocket"), o.status = 200;
    EQ(fgw_ws_agree(&o, KEY, hop), 0);
}

TEST_MAIN()

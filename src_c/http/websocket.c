#include "http/websocket.h"
#include <openssl/rand.h>
#include <openssl/sha.h>

static void base64(const unsigned char *in, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) | (i + 2 < n ? in[i + 2] : 0);
        *out++ = digits[v >> 18], *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
}

bool fgw_ws_key(char key[FGW_WS_KEY])
{
    unsigned char random[16];
    if (RAND_bytes(random, sizeof random) != 1) return false;
    base64(random, sizeof random, key);
    return true;
}

void fgw_ws_accept(const char key[FGW_WS_KEY], char accept[FGW_WS_ACCEPT])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";      /* RFC 6455 section 1.3 */
    unsigned char text[FGW_WS_KEY + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];
    memcpy(text, key, FGW_WS_KEY);
    memcpy(text + FGW_WS_KEY, guid, sizeof guid - 1);
    SHA1(text, sizeof text, digest);
    base64(digest, sizeof digest, accept);
}

/* The only field with this id; NULL: none, or several. */
static struct fgw_field *only(struct fgw_msg *m, enum fgw_field_id id)
{
    struct fgw_field *found = NULL;
    if (!(m->head.known & 1ull << id)) return NULL;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        if (m->fields[i].id != id) continue;
        if (found) return NULL;
        found = &m->fields[i];
    }
    return found;
}

bool fgw_ws_key_of(const struct fgw_msg *m, char key[FGW_WS_KEY])
{
    const struct fgw_field *f = only((struct fgw_msg *)m, FGW_H_SEC_WEBSOCKET_KEY);
    if (!f || f->value_len != FGW_WS_KEY) return false;
    memcpy(key, m->head.base + f->value, FGW_WS_KEY);
    return true;
}

static bool says(const struct fgw_out *o, enum fgw_field_id id)
{
    for (uint32_t i = 0; i < o->nfields; i++)
        if (o->fields[i].id == id && !(o->fields[i].flags & FGW_FIELD_DROP)) return true;
    return false;
}

static uint32_t line(char *hop, struct fgw_str name, const char *value, uint32_t n)
{
    char *p = hop;
    memcpy(p, name.p, name.n), p += name.n;
    memcpy(p, value, n), p += n;
    *p++ = '\r', *p++ = '\n';
    return (uint32_t)(p - hop);
}

int fgw_ws_ask(const struct fgw_out *o, char *hop, char accept[FGW_WS_ACCEPT])
{
    char key[FGW_WS_KEY];
    if (!o->upgrade_only || !fgw_ws_is(o->upgrade) || says(o, FGW_H_SEC_WEBSOCKET_KEY)) return 0;
    if (!fgw_ws_key(key)) return -1;
    fgw_ws_accept(key, accept);
    return (int)line(hop, FGW_STR("Sec-WebSocket-Key: "), key, FGW_WS_KEY);
}

bool fgw_ws_agreed(struct fgw_msg *m, const char accept[FGW_WS_ACCEPT])
{
    struct fgw_field *f = only(m, FGW_H_SEC_WEBSOCKET_ACCEPT);
    if (!f || !fgw_str_eq(fgw_head_value(&m->head, f), fgw_str(accept, FGW_WS_ACCEPT))) return false;
    f->flags |= FGW_FIELD_DROP;
    return true;
}

uint32_t fgw_ws_agree(const struct fgw_out *o, const char key[FGW_WS_KEY], char *hop)
{
    char accept[FGW_WS_ACCEPT];
    if (o->status != 101 || !fgw_ws_is(o->upgrade) || says(o, FGW_H_SEC_WEBSOCKET_ACCEPT)) return 0;
    fgw_ws_accept(key, accept);
    return line(hop, FGW_STR("Sec-WebSocket-Accept: "), accept, FGW_WS_ACCEPT);
}

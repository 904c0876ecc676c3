#include "http/h1.h"
#include "base/num.h"
#include "http/h1_impl.h"

enum { COPY_MAX = 1024 };      /* up to here a copy behind the head is cheaper than a second piece of the send */

void fgw_h1_env_init(struct fgw_h1_env *e, struct fgw_loop *loop)
{
    e->loop = loop;
    fgw_slab_init(&e->msgs, "msg", sizeof(struct fgw_msg));
    fgw_slab_init(&e->servers, "h1_server", fgw_h1_server_size());
    fgw_slab_init(&e->clients, "h1_client", fgw_h1_client_size());
}

void fgw_h1_env_fini(struct fgw_h1_env *e)
{
    fgw_slab_fini(&e->msgs);
    fgw_slab_fini(&e->servers);
    fgw_slab_fini(&e->clients);
}

static char *put(char *p, struct fgw_str s)
{
    if (s.n) memcpy(p, s.p, s.n);
    return p + s.n;
}

static uint32_t length_line(char *hop, uint64_t n)
{
    char *p = put(hop, FGW_STR("Content-Length: "));
    p += fgw_u64_dec(p, n);
    p = put(p, FGW_STR("\r\n"));
    return (uint32_t)(p - hop);
}

static uint32_t chunked_line(char *hop) { return (uint32_t)(put(hop, FGW_STR("Transfer-Encoding: chunked\r\n")) - hop); }

uint32_t fgw_h1_request_framing(struct fgw_h1_writer *w, const struct fgw_out *o, char *hop)
{
    *w = (struct fgw_h1_writer){.framing = FGW_BODY_NONE};
    if (o->len == FGW_LEN_KNOWN) {
        w->framing = FGW_BODY_LENGTH, w->left = o->length;
        return length_line(hop, o->length);
    }
    if (o->len == FGW_LEN_NONE) return 0;
    w->framing = FGW_BODY_CHUNKED;
    return chunked_line(hop);
}

uint32_t fgw_h1_reply_framing(struct fgw_h1_writer *w, const struct fgw_out *o, bool bodyless, bool chunked_ok, char *hop)
{
    *w = (struct fgw_h1_writer){.framing = FGW_BODY_NONE};
    if (o->status < 200 || o->status == 204) return 0;             /* RFC 9110 section 8.6: no length in these */
    if (bodyless) return o->len == FGW_LEN_KNOWN ? length_line(hop, o->length) : 0;
    if (o->len != FGW_LEN_UNKNOWN) {
        w->framing = FGW_BODY_LENGTH, w->left = o->len == FGW_LEN_KNOWN ? o->length : 0;
        return length_line(hop, w->left);
    }
    w->framing = chunked_ok ? FGW_BODY_CHUNKED : FGW_BODY_CLOSE;
    return chunked_ok ? chunked_line(hop) : 0;
}

uint32_t fgw_h1_connection(const struct fgw_out *o, bool upgrade, bool keep, int minor, char *hop)
{
    char *p = hop;
    if (upgrade && o->upgrade.n <= FGW_H1_UPGRADE_MAX) {
        p = put(p, FGW_STR("Connection: Upgrade\r\nUpgrade: "));
        p = put(p, o->upgrade);
        p = put(p, FGW_STR("\r\n"));
    } else if (!keep) p = put(p, FGW_STR("Connection: close\r\n"));
    else if (minor == 0) p = put(p, FGW_STR("Connection: keep-alive\r\n"));
    return (uint32_t)(p - hop);
}

static bool send_message(struct fgw_conn *c, const struct fgw_out *o, struct fgw_str hop, size_t (*write)(const struct fgw_out *, struct fgw_str, char *, size_t))
{
    size_t size = fgw_out_size(o) + hop.n + 64;
    if (size > 60 << 10) {                             /* longer than a shared block takes: a block of its own */
        struct fgw_block *b = fgw_block_get(&c->loop->blocks, size);
        if (!b) return false;
        struct fgw_span s = {b, 0, (uint32_t)write(o, hop, b->data, size)};
        bool ok = fgw_conn_push(c, s);
        fgw_block_unref(b);
        return ok;
    }
    char *p = fgw_buf_room(&c->loop->bufs, size);
    if (!p || c->state == FGW_CONN_CLOSED) return p != NULL;
    size_t n = write(o, hop, p, size);
    fgw_conn_dirty(c);
    return fgw_buf_commit(&c->loop->bufs, &c->out, n);
}

bool fgw_h1_send_request(struct fgw_conn *c, const struct fgw_out *o, struct fgw_str hop) { return send_message(c, o, hop, fgw_out_write_request); }
bool fgw_h1_send_reply(struct fgw_conn *c, const struct fgw_out *o, struct fgw_str hop) { return send_message(c, o, hop, fgw_out_write_reply); }

static bool body_bytes(struct fgw_conn *c, struct fgw_span s)
{
    return s.len <= COPY_MAX ? fgw_conn_copy(c, fgw_span_p(s), s.len) : fgw_conn_push(c, s);
}

bool fgw_h1_writer_body(struct fgw_h1_writer *w, struct fgw_conn *c, struct fgw_span s)
{
    if (s.len == 0 || w->framing == FGW_BODY_NONE) return true;    /* a body where none may be: the answer to HEAD */
    w->unacked += s.len;
    if (w->framing == FGW_BODY_LENGTH) {
        if (s.len > w->left) return false;
        w->left -= s.len;
        return body_bytes(c, s);
    }
    if (w->framing == FGW_BODY_CLOSE) return body_bytes(c, s);
    char head[24];
    int n = fgw_chunk_head(head, s.len);
    return fgw_conn_copy(c, head, (size_t)n) && body_bytes(c, s) && fgw_conn_copy(c, "\r\n", 2);
}

void fgw_h1_writer_trailers(struct fgw_h1_writer *w, struct fgw_conn *c, const struct fgw_out_field *f, uint32_t n)
{
    if (w->framing != FGW_BODY_CHUNKED) return;        /* no place for them: dropped, as RFC 9110 section 6.5.1 allows */
    size_t size = fgw_out_fields_size(f, n) + 8;
    char *p = size <= 60 << 10 ? fgw_buf_room(&c->loop->bufs, size) : NULL;
    if (!p || c->state == FGW_CONN_CLOSED) return;
    memcpy(p, "0\r\n", 3);
    size_t k = 3 + fgw_out_write_fields(f, n, p + 3);
    memcpy(p + k, "\r\n", 2);
    fgw_conn_dirty(c);
    w->ended_trailers = fgw_buf_commit(&c->loop->bufs, &c->out, k + 2);
}

bool fgw_h1_writer_end(struct fgw_h1_writer *w, struct fgw_conn *c)
{
    if (w->framing == FGW_BODY_CHUNKED && !w->ended_trailers) return fgw_conn_copy(c, "0\r\n\r\n", 5);
    return w->framing != FGW_BODY_LENGTH || w->left == 0;
}

uint64_t fgw_h1_writer_acked(struct fgw_h1_writer *w, uint64_t queued)
{
    uint64_t still = queued < w->unacked ? queued : w->unacked, n = w->unacked - still;
    w->unacked = still;
    return n;
}

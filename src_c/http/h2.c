/* What belongs to no one connection: memory for nghttp2, codes, fields. */
#include "http/h2_server_impl.h"
#include <stdlib.h>

/* ---- memory ---- */
struct owned { uint64_t taken; uint32_t cls; uint32_t unused; };         /* before each piece; taken: with this */
enum { LENT = FGW_H2_SIZES, MALLOCED,                                    /* other classes than slabs */
       FRAME_MIN = 16 << 10, FRAME_BYTES = FRAME_MIN + 16, SMALL_MAX = 1024 };
_Static_assert(sizeof(struct owned) == 16, "what follows is aligned as malloc aligns");

/* As nghttp2 asks for them: fields and texts of HPACK tables, a queued frame, a stream, the fields of a message, the rings of the tables. */
static const uint16_t SIZES[FGW_H2_SIZES] = {32, 48, 64, 80, 112, 160, 224, 320, 512, SMALL_MAX};

static void classes_init(struct fgw_h2_memory *m)
{
    uint8_t c = 0;
    for (uint32_t i = 0; i < FGW_COUNT(m->class_of); i++) {
        if (i * 16 > SIZES[c]) c++;
        m->class_of[i] = c;
    }
    for (c = 0; c < FGW_H2_SIZES; c++) fgw_slab_init(&m->small[c], "nghttp2", sizeof(struct owned) + SIZES[c]);
}

static void *mem_get(size_t n, void *ctx)
{
    struct fgw_h2_memory *m = ctx;
    if (m->lends && n > FRAME_MIN && n <= FRAME_BYTES) return m->lends = false, (struct owned *)m->frame + 1;
    if (n > SIZE_MAX / 2) return NULL;
    uint32_t c = n <= SMALL_MAX ? m->class_of[(n + 15) / 16] : (uint32_t)MALLOCED;
    size_t taken = c == MALLOCED ? sizeof(struct owned) + n : m->small[c].size;
    if (m->max && m->bytes + taken > m->max) return NULL;
    struct owned *o = c == MALLOCED ? malloc(taken) : fgw_slab_get(&m->small[c]);
    if (!o) return NULL;
    *o = (struct owned){taken, c, 0};
    m->bytes += taken;
    return o + 1;
}

static void mem_put(void *p, void *ctx)
{
    struct fgw_h2_memory *m = ctx;
    if (!p) return;
    struct owned *o = (struct owned *)p - 1;
    if (o->cls == LENT) return;
    m->bytes -= o->taken;
    if (o->cls == MALLOCED) free(o);
    else fgw_slab_put(&m->small[o->cls], o);
}

static void *mem_zeroed(size_t n, size_t size, void *ctx)
{
    if (size && n > SIZE_MAX / size) return NULL;
    void *p = mem_get(n * size, ctx);
    return p ? memset(p, 0, n * size) : NULL;
}

static void *mem_again(void *p, size_t n, void *ctx)
{
    if (!p) return mem_get(n, ctx);
    struct owned *o = (struct owned *)p - 1;
    size_t has = o->taken - sizeof *o;
    if (n <= has && o->cls < FGW_H2_SIZES) return p;
    void *q = mem_get(n, ctx);
    if (!q) return NULL;
    memcpy(q, p, has < n ? has : n);
    mem_put(p, ctx);
    return q;
}

nghttp2_mem fgw_h2_mem(struct fgw_h2_env *e) { return (nghttp2_mem){&e->memory, mem_get, mem_put, mem_zeroed, mem_again}; }

/* Only what a session asks for at first is lent: further pieces of a long header block are read when other sessions have written. */
bool fgw_h2_session(struct fgw_h2_conn *h, bool server, const nghttp2_settings_entry *iv, size_t n)
{
    struct fgw_h2_env *e = h->env;
    nghttp2_mem mem = fgw_h2_mem(e);
    const uint8_t *preface;
    e->memory.lends = true;
    int r = server ? nghttp2_session_server_new3(&h->ng, e->callbacks, h, e->option, &mem) : nghttp2_session_client_new3(&h->ng, e->client_callbacks, h, e->option, &mem);
    e->memory.lends = false;
    if (r) return false;
    if (!server) nghttp2_session_mem_send(h->ng, &preface);              /* is in the lent buffer already; on_open says it */
    return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, iv, n) == 0 &&
           nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)h->h2->connection_window) == 0;
}

void fgw_h2_frame_over(struct fgw_h2_env *e)
{
#ifdef FGW_DEBUG
    memset((struct owned *)e->memory.frame + 1, 0xdb, FRAME_BYTES);      /* as another session might leave it */
#else
    (void)e;
#endif
}

/* ---- the worker's ---- */
bool fgw_h2_env_init(struct fgw_h2_env *e, struct fgw_loop *loop, struct fgw_h1_env *h1)
{
    *e = (struct fgw_h2_env){.loop = loop, .h1 = h1};
    classes_init(&e->memory);
    fgw_slab_init(&e->servers, "h2_server", fgw_h2_server_size());
    fgw_slab_init(&e->clients, "h2_client", fgw_h2_client_size());
    fgw_slab_init(&e->streams, "h2_stream", sizeof(struct fgw_h2_stream));
    e->callbacks = fgw_h2_server_callbacks(), e->client_callbacks = fgw_h2_client_callbacks();
    struct owned *frame = e->memory.frame = malloc(sizeof *frame + FRAME_BYTES);
    if (!frame || !e->callbacks || !e->client_callbacks || nghttp2_option_new(&e->option)) return false;
    *frame = (struct owned){sizeof *frame + FRAME_BYTES, LENT, 0};
    nghttp2_option_set_no_auto_window_update(e->option, 1);
    nghttp2_option_set_no_closed_streams(e->option, 1);
    nghttp2_option_set_max_outbound_ack(e->option, 256);
    nghttp2_option_set_builtin_recv_extension_type(e->option, NGHTTP2_PRIORITY_UPDATE);
    return true;
}

void fgw_h2_env_fini(struct fgw_h2_env *e)
{
    FGW_CHECK(e->memory.bytes == 0);
    if (e->heads) fgw_block_unref(e->heads), e->heads = NULL;
    nghttp2_session_callbacks_del(e->callbacks), nghttp2_session_callbacks_del(e->client_callbacks);
    nghttp2_option_del(e->option);
    for (int i = 0; i < FGW_H2_SIZES; i++) fgw_slab_fini(&e->memory.small[i]);
    free(e->memory.frame), e->memory.frame = NULL;
    fgw_slab_fini(&e->servers), fgw_slab_fini(&e->clients);
    fgw_slab_fini(&e->streams);
}

/* ---- words ---- */
int fgw_h2_preface(const char *p, uint32_t n)
{
    uint32_t k = n < NGHTTP2_CLIENT_MAGIC_LEN ? n : NGHTTP2_CLIENT_MAGIC_LEN;
    if (memcmp(p, NGHTTP2_CLIENT_MAGIC, k) != 0) return -1;
    return k == NGHTTP2_CLIENT_MAGIC_LEN;
}

/* Section 7. After an answer has begun there is no status left to say it with. */
uint32_t fgw_h2_code(enum fgw_err why)
{
    switch (why) {
    case FGW_E_NONE: return NGHTTP2_NO_ERROR;
    case FGW_E_CANCELLED: case FGW_E_CLIENT_GONE: case FGW_E_REQUEST_TIMEOUT: case FGW_E_BODY_TIMEOUT: case FGW_E_BODY_TOO_SLOW:
    case FGW_E_SEND_TIMEOUT: case FGW_E_SEND_TOO_SLOW: case FGW_E_CLIENT_STALLED: case FGW_E_BODY_TOO_LONG: case FGW_E_DRAINING: return NGHTTP2_CANCEL;
    case FGW_E_BAD_REQUEST: case FGW_E_BAD_FIELD: case FGW_E_BAD_FRAMING: case FGW_E_BAD_TARGET: case FGW_E_BAD_HOST: return NGHTTP2_PROTOCOL_ERROR;
    case FGW_E_HEAD_TOO_LONG: case FGW_E_FIELD_TOO_LONG: case FGW_E_TOO_MANY_FIELDS: case FGW_E_RATE_LIMITED: return NGHTTP2_ENHANCE_YOUR_CALM;
    default: return NGHTTP2_INTERNAL_ERROR;
    }
}

size_t fgw_h2_fields(const struct fgw_out_field *f, uint32_t n, nghttp2_nv *v)
{
    const uint64_t none = (fgw_field_hop_bits() | FGW_H_BIT(HOST) | FGW_H_BIT(CONTENT_LENGTH) | FGW_H_BIT(SEC_WEBSOCKET_KEY) |
                           FGW_H_BIT(SEC_WEBSOCKET_ACCEPT)) & ~FGW_H_BIT(TE) & ~FGW_H_BIT(TRAILER) & ~FGW_H_BIT(OTHER);
    size_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].flags & FGW_FIELD_DROP || (none >> f[i].id & 1)) continue;
        struct fgw_str name = fgw_field_name((enum fgw_field_id)f[i].id);
        FGW_CHECK(f[i].id == FGW_H_OTHER || fgw_str_ieq(name, fgw_str(f[i].name, f[i].name_len)));
        v[k] = fgw_h2_nv(name, fgw_str(f[i].value, f[i].value_len));
        if (f[i].id == FGW_H_OTHER) v[k].name = (uint8_t *)f[i].name, v[k].namelen = f[i].name_len, v[k].flags = NGHTTP2_NV_FLAG_NONE;
        if (f[i].flags & FGW_FIELD_NEVER) v[k].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
        k++;
    }
    return k;
}

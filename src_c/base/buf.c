#include "base/buf.h"
#include "base/check.h"

/* The tail is a 4 KiB block: a slow reader that holds on to a small head then pins no more than that. */
enum { TAIL_BYTES = (4 << 10) - sizeof(struct fgw_block), PIECE_MAX = (64 << 10) - sizeof(struct fgw_block) };

void fgw_bufs_init(struct fgw_bufs *h, struct fgw_blocks *blocks)
{
    *h = (struct fgw_bufs){.blocks = blocks};
    fgw_slab_init(&h->nodes, "buf_node", sizeof(struct fgw_buf_node));
}

void fgw_bufs_fini(struct fgw_bufs *h)
{
    if (h->tail) fgw_block_unref(h->tail);
    h->tail = NULL;
    h->fill = 0;
    fgw_slab_fini(&h->nodes);
}

/* If s begins where the last node ends, the node can grow instead. */
static inline bool joins(const struct fgw_buf_node *last, struct fgw_span s)
{
    return last && last->s.b == s.b && last->s.off + last->s.len == s.off;
}

static bool append(struct fgw_bufs *h, struct fgw_buf *b, struct fgw_span s)
{
    struct fgw_buf_node *n = fgw_slab_get(&h->nodes);
    if (fgw_unlikely(!n)) return false;
    *n = (struct fgw_buf_node){.s = s};
    if (b->last) b->last->next = n;
    else b->first = n;
    b->last = n;
    b->bytes += s.len;
    return true;
}

bool fgw_buf_push(struct fgw_bufs *h, struct fgw_buf *b, struct fgw_span s)
{
    if (fgw_unlikely(s.len == 0)) {
        fgw_span_drop(&s);
        return true;
    }
    FGW_CHECK(s.b && (uint64_t)s.off + s.len <= s.b->cap);
    if (!joins(b->last, s)) return append(h, b, s);
    b->last->s.len += s.len;
    b->bytes += s.len;
    fgw_block_unref(s.b);         /* the node has one already */
    return true;
}

static FGW_RARE char *renew_tail(struct fgw_bufs *h, size_t n)
{
    struct fgw_block *fresh = fgw_block_get(h->blocks, n > TAIL_BYTES ? n : (size_t)TAIL_BYTES);
    if (!fresh) return NULL;
    if (h->tail) fgw_block_unref(h->tail);
    h->tail = fresh;
    h->fill = 0;
    return fresh->data;
}

char *fgw_buf_room(struct fgw_bufs *h, size_t n)
{
    struct fgw_block *tail = h->tail;
    FGW_CHECK(n <= 64 << 10);
    if (fgw_unlikely(!tail)) return renew_tail(h, n);
    if (tail->refs == 1) h->fill = 0;             /* all that was copied into it has left */
    return fgw_likely(n <= tail->cap - h->fill) ? tail->data + h->fill : renew_tail(h, n);
}

bool fgw_buf_commit(struct fgw_bufs *h, struct fgw_buf *b, size_t n)
{
    if (n == 0) return true;
    FGW_CHECK(h->tail && n <= h->tail->cap - h->fill);
    struct fgw_span s = {h->tail, h->fill, (uint32_t)n};
    if (joins(b->last, s)) {
        b->last->s.len += s.len;
        b->bytes += s.len;
    } else {
        if (!append(h, b, s)) return false;
        fgw_block_ref(s.b);
    }
    h->fill += s.len;
    return true;
}

/* Blocks of their own, not the tail; all or nothing. */
static FGW_RARE bool copy_large(struct fgw_bufs *h, struct fgw_buf *b, const char *p, size_t n)
{
    struct fgw_buf whole = {0};
    while (n) {
        uint32_t len = n < PIECE_MAX ? (uint32_t)n : PIECE_MAX;
        struct fgw_span s = {fgw_block_get(h->blocks, len), 0, len};
        if (!s.b || !append(h, &whole, s)) {
            fgw_span_drop(&s);
            fgw_buf_clear(h, &whole);
            return false;
        }
        memcpy(s.b->data, p, len);
        p += len;
        n -= len;
    }
    fgw_buf_move(b, &whole);
    return true;
}

bool fgw_buf_copy(struct fgw_bufs *h, struct fgw_buf *b, const void *p, size_t n)
{
    if (n == 0) return true;
    if (n > TAIL_BYTES) return copy_large(h, b, p, n);
    char *to = fgw_buf_room(h, n);
    if (fgw_unlikely(!to)) return false;
    memcpy(to, p, n);
    return fgw_buf_commit(h, b, n);
}

static inline void drop_first(struct fgw_bufs *h, struct fgw_buf *b)
{
    struct fgw_buf_node *n = b->first;
    b->first = n->next;
    if (!b->first) b->last = NULL;
    fgw_block_unref(n->s.b);
    fgw_slab_put(&h->nodes, n);
}

void fgw_buf_consume(struct fgw_bufs *h, struct fgw_buf *b, size_t n)
{
    FGW_CHECK(n <= b->bytes);
    b->bytes -= n;
    while (n) {
        struct fgw_span *s = &b->first->s;
        if (n < s->len) {
            s->off += (uint32_t)n;
            s->len -= (uint32_t)n;
            return;
        }
        n -= s->len;
        drop_first(h, b);
    }
}

void fgw_buf_clear(struct fgw_bufs *h, struct fgw_buf *b)
{
    while (b->first) drop_first(h, b);
    b->bytes = 0;
}

int fgw_buf_iov(const struct fgw_buf *b, struct iovec *iov, int max)
{
    int k = 0;
    for (const struct fgw_buf_node *n = b->first; n && k < max; n = n->next)
        iov[k++] = (struct iovec){n->s.b->data + n->s.off, n->s.len};
    return k;
}

void fgw_buf_move(struct fgw_buf *to, struct fgw_buf *from)
{
    if (!from->first) return;
    if (to->last) to->last->next = from->first;
    else to->first = from->first;
    to->last = from->last;
    to->bytes += from->bytes;
    *from = (struct fgw_buf){0};
}

#include "base/arena.h"
#include "base/check.h"
#include "base/poison.h"

enum { LINK = sizeof(struct fgw_block *), PIECE = (4 << 10) - sizeof(struct fgw_block) };

static inline uint32_t left(const struct fgw_arena *a) { return (a->max ? a->max : UINT32_MAX & ~7u) - a->used; }

/* The bump in the header compares with `end` only, so `end` is never further off than the limit allows.
 * Poisoned are the bytes from p to end, and no others: leaving a piece unpoisons the rest of it. */
static void use_piece(struct fgw_arena *a, char *p, size_t room)
{
    a->p = p;
    a->end = p + (room < left(a) ? room : left(a));
    FGW_POISON(a->p, (size_t)(a->end - a->p));
}

static void leave_piece(struct fgw_arena *a) { FGW_UNPOISON(a->p, (size_t)(a->end - a->p)); }

void fgw_arena_init(struct fgw_arena *a, struct fgw_blocks *home, void *first, size_t n, uint32_t max)
{
    size_t skew = -(uintptr_t)first & 7;
    *a = (struct fgw_arena){.home = home, .max = max};
    if (!first || n <= skew) first = a, n = skew = 0;      /* no room, yet not NULL */
    use_piece(a, (char *)first + skew, n - skew);
}

static struct fgw_block **link_of(struct fgw_block *b) { return (struct fgw_block **)(void *)b->data; }

void fgw_arena_fini(struct fgw_arena *a)
{
    leave_piece(a);
    for (struct fgw_block *b = a->blocks, *next; b; b = next) {
        next = *link_of(b);
        fgw_block_unref(b);
    }
    a->blocks = NULL;
    a->p = a->end = (char *)a;
    a->used = 0;
}

/* n bytes, rounded, do not fit in the current piece. Whichever of the old and the new piece has more room goes on. */
void *fgw_arena_more_(struct fgw_arena *a, size_t n)
{
    if (n > left(a)) return NULL;
    struct fgw_block *b = fgw_block_get(a->home, n + LINK > PIECE ? n + LINK : (size_t)PIECE);
    if (!b) return NULL;
    *link_of(b) = a->blocks;
    a->blocks = b;
    a->used += (uint32_t)n;
    char *r = b->data + LINK, *p = a->p;
    size_t old = (size_t)(a->end - p), rest = b->cap - LINK - n;
    leave_piece(a);
    if (rest > old) use_piece(a, r + n, rest);
    else use_piece(a, p, old);
    return r;
}

struct fgw_str fgw_arena_dup(struct fgw_arena *a, struct fgw_str s)
{
    if (s.n == 0) return FGW_STR("");
    char *p = fgw_arena_alloc(a, s.n);
    if (!p) return (struct fgw_str){0};
    memcpy(p, s.p, s.n);
    return fgw_str(p, s.n);
}

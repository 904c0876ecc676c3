/* base/list.h: intrusive circular doubly linked list. A node is in at most one list; an unlinked node points to itself
 * or is zeroed. All O(1), no allocation. Debug builds corrupt the links of a removed node's neighbours-to-be on misuse. */
#ifndef FGW_BASE_LIST_H
#define FGW_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>
#include "base/check.h"

struct fgw_link { struct fgw_link *next, *prev; };

static inline void fgw_list_init(struct fgw_link *l) { l->next = l->prev = l; }
static inline bool fgw_list_empty(const struct fgw_link *l) { return l->next == l; }
static inline bool fgw_link_in(const struct fgw_link *n) { return n->next != NULL && n->next != n; }  /* a member, not a lone head */
static inline void fgw_list_push(struct fgw_link *l, struct fgw_link *n)   /* at the tail */
{
    FGW_CHECK(!fgw_link_in(n));
    n->prev = l->prev; n->next = l; l->prev->next = n; l->prev = n;
}
static inline void fgw_list_push_head(struct fgw_link *l, struct fgw_link *n)
{
    FGW_CHECK(!fgw_link_in(n));
    n->next = l->next; n->prev = l; l->next->prev = n; l->next = n;
}
static inline void fgw_link_remove(struct fgw_link *n)                     /* fine on an unlinked node */
{
    if (!n->next) return;
    n->next->prev = n->prev; n->prev->next = n->next;
    n->next = n->prev = NULL;
}
static inline struct fgw_link *fgw_list_first(struct fgw_link *l) { return l->next == l ? NULL : l->next; }
static inline struct fgw_link *fgw_list_pop(struct fgw_link *l)
{
    struct fgw_link *n = fgw_list_first(l);
    if (n) fgw_link_remove(n);
    return n;
}
/* Move all of `from` to the tail of `to`; `from` is empty afterwards. */
static inline void fgw_list_splice(struct fgw_link *to, struct fgw_link *from)
{
    if (fgw_list_empty(from)) return;
    from->next->prev = to->prev; to->prev->next = from->next;
    from->prev->next = to; to->prev = from->prev;
    fgw_list_init(from);
}
#endif

#include "base/list.h"
#include "../test.h"
#include "death.h"

struct item { int v; struct fgw_link link; };

static int values(struct fgw_link *l)    /* as decimal digits, and both directions must agree */
{
    int forth = 0, back = 0, unit = 1;
    for (struct fgw_link *n = l->next; n != l; n = n->next) forth = forth * 10 + fgw_container(n, struct item, link)->v;
    for (struct fgw_link *n = l->prev; n != l; n = n->prev, unit *= 10) back += unit * fgw_container(n, struct item, link)->v;
    EQ(back, forth);
    return forth;
}

TEST(push_pop_remove)
{
    struct fgw_link l;
    struct item a = {.v = 1}, b = {.v = 2}, c = {.v = 3};
    fgw_list_init(&l);
    OK(fgw_list_empty(&l) && !fgw_list_first(&l) && !fgw_list_pop(&l));
    OK(!fgw_link_in(&a.link));
    fgw_list_push(&l, &a.link);
    fgw_list_push(&l, &b.link);
    fgw_list_push_head(&l, &c.link);
    EQ(values(&l), 312);
    OK(fgw_link_in(&a.link) && fgw_list_first(&l) == &c.link);
    fgw_link_remove(&a.link);
    fgw_link_remove(&a.link);
    OK(!fgw_link_in(&a.link));
    EQ(values(&l), 32);
    OK(fgw_list_pop(&l) == &c.link && fgw_list_pop(&l) == &b.link && fgw_list_empty(&l));
}

TEST(splice_moves_all_to_the_tail)
{
    struct fgw_link to, from;
    struct item a = {.v = 1}, b = {.v = 2}, c = {.v = 3};
    fgw_list_init(&to);
    fgw_list_init(&from);
    fgw_list_splice(&to, &from);
    OK(fgw_list_empty(&to) && fgw_list_empty(&from));
    fgw_list_push(&from, &b.link);
    fgw_list_push(&from, &c.link);
    fgw_list_splice(&to, &from);
    EQ(values(&to), 23);
    OK(fgw_list_empty(&from));
    fgw_list_push(&from, &a.link);
    fgw_list_splice(&to, &from);
    EQ(values(&to), 231);
    fgw_list_splice(&to, &from);
    EQ(values(&to), 231);
}

#ifdef FGW_DEBUG
TEST(a_member_cannot_be_pushed_again)
{
    struct fgw_link l, m;
    struct item a = {.v = 1}, b = {.v = 2};
    fgw_list_init(&l);
    fgw_list_init(&m);
    fgw_list_push(&l, &a.link);
    fgw_list_push(&l, &b.link);
    DIES(fgw_list_push(&m, &a.link));
    DIES(fgw_list_push_head(&l, &a.link));
}
#endif

TEST_MAIN()

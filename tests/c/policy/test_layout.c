#include "test.h"
#include "policy/layout.c"
#include "policy/seg.h"

#define BAD(s, text) \
    do { const char *why_ = seg_check(s); OK(why_ && strcmp(why_, (text)) == 0); \
        if (why_ && strcmp(why_, (text))) fprintf(stderr, "  said: %s\n", why_); } while (0)

TEST(fields_tell_what_the_compiler_laid_out)
{
    struct fgw_layout_field f;
    uint32_t i = 0, seen = 0;
    for (; fgw_layout_field(i, &f); i++) {
        OK(f.offset + f.size <= f.record_size && f.record_size % f.record_align == 0);
        if (strcmp(f.record, "listener") == 0 && strcmp(f.field, "route_slots") == 0) {
            EQ(f.offset, offsetof(struct fgw_l_listener, route_slots));
            EQ(f.record_size, sizeof(struct fgw_l_listener));
            OK(strcmp(f.type, "arr") == 0);
            seen++;
        }
    }
    EQ(seen, 1);
    OK(i > 100 && !fgw_layout_field(i, &f));
}

TEST(header_is_checked_first)
{
    struct seg s = seg_new(FGW_SEG_SETTINGS);
    SEG_PUT(&s, settings, {.buffer_high = 2, .buffer_low = 1});
    OK(seg_check(&s) == NULL);
    struct fgw_l_seg *h = SEG_AT(&s, seg, 0), good = *h;
    OK(fgw_seg_check(s.p, s.n - 8) && fgw_seg_check(s.p, sizeof *h - 1) && fgw_seg_check(s.p + 4, s.n));
    h->magic ^= 1; OK(strcmp(fgw_seg_check(s.p, s.n), "not a segment") == 0); *h = good;
    h->layout++; OK(strcmp(fgw_seg_check(s.p, s.n), "a segment of another layout") == 0); *h = good;
    s.p[s.n - 9] ^= 1;
    OK(strcmp(fgw_seg_check(s.p, s.n), "a segment's hash is not that of its content") == 0);
    h->kind = 77;
    BAD(&s, "a segment of no kind");
    seg_free(&s);
}

TEST(settings_and_upstream_hold_known_values)
{
    struct seg s = seg_new(FGW_SEG_SETTINGS), u = seg_new(FGW_SEG_UPSTREAM);
    uint32_t at = SEG_PUT(&s, settings, {.slashes = 3});
    BAD(&s, "a listener's slashes are unknown");
    *SEG_AT(&s, settings, at) = (struct fgw_l_settings){.buffer_low = 2, .buffer_high = 1};
    BAD(&s, "a listener's buffers are upside down");
    at = SEG_PUT(&u, upstream, {.balance = 0});
    SEG_AT(&u, upstream, at)->name = seg_text(&u, "users");
    OK(seg_check(&u) == NULL);
    SEG_AT(&u, upstream, at)->name.len = SEG_ROOM;
    BAD(&u, "a text lies outside");
    SEG_AT(&u, upstream, at)->name = (struct fgw_l_str){UINT32_MAX, 2};
    BAD(&u, "a text lies outside");
    SEG_AT(&u, upstream, at)->name.len = 0;
    BAD(&u, "a text lies outside");
    SEG_AT(&u, upstream, at)->tls = 1;
    BAD(&u, "an upstream's TLS version is unknown");
    seg_free(&s), seg_free(&u);
}

TEST(records_lie_inside_aligned_and_apart)
{
    struct seg s = seg_new(FGW_SEG_ROOT);
    uint32_t root = SEG_PUT(&s, root, {.drain_ms = 1});
    uint32_t cidrs = SEG_PUT(&s, cidr, {.bits = 128});
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){cidrs, 1};
    OK(seg_check(&s) == NULL);
    SEG_AT(&s, cidr, cidrs)->bits = 129;
    BAD(&s, "a network has too many bits");
    SEG_AT(&s, cidr, cidrs)->bits = 0;
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){cidrs, 2};
    BAD(&s, "a record lies outside");
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){cidrs, UINT32_MAX};
    BAD(&s, "a record lies outside");
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){cidrs - 4, 1};
    BAD(&s, "a record is not aligned");
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){8, 1};
    BAD(&s, "a record lies outside");
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){cidrs, 0};
    BAD(&s, "an empty list has a place");
    seg_room(&s, 256);
    SEG_AT(&s, root, root)->trusted = (struct fgw_l_arr){root, 12};
    SEG_AT(&s, root, root)->listeners = (struct fgw_l_arr){root, 1};
    OK(seg_check(&s) != NULL);
    seg_free(&s);
}

static struct seg chained(uint32_t *step)                                   /* one route with a chain of one headers step */
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), leaf = seg_leaf_of(&s, "a", 0);
    SEG_AT(&s, node, root)->ended = SEG_AT(&s, node, root)->goes_on = leaf;
    uint32_t part = SEG_PUT(&s, part, {.kind = FGW_PART_HOST});
    uint32_t edit = SEG_PUT(&s, edit, {.op = FGW_EDIT_SET, .value = {part, 1}});
    uint32_t headers = SEG_PUT(&s, headers, {.request = {edit, 1}});
    *step = SEG_PUT(&s, step, {.kind = FGW_STEP_HEADERS, .args = headers});
    SEG_AT(&s, route, seg_top(&s)->routes.off)->chain = (struct fgw_l_arr){*step, 1};
    return s;
}

TEST(routes_do_what_is_known)
{
    uint32_t step;
    struct seg s = chained(&step);
    struct fgw_l_route *r = SEG_AT(&s, route, seg_top(&s)->routes.off), good = *r;
    struct fgw_l_step *st = SEG_AT(&s, step, step);
    struct fgw_l_edit *e = SEG_AT(&s, edit, SEG_AT(&s, headers, st->args)->request.off);
    struct fgw_l_part *part = SEG_AT(&s, part, e->value.off);
    OK(seg_check(&s) == NULL);
    static const char *const names[] = {"a\"b", "a\\", "a b", "a\nb", "\x7f", "\xc3\xa4"};
    for (size_t i = 0; i < FGW_COUNT(names); i++) {
        r->name = seg_text(&s, names[i]);
        BAD(&s, "a name has bytes that names have not");
    }
    *r = good;
    r->index = 1; BAD(&s, "a route has another's index"); *r = good;
    r->to = 3; BAD(&s, "a route leads to something unknown"); *r = good;
    r->grpc_slot = FGW_SHM_STATS; BAD(&s, "a route leads to something unknown"); *r = good;
    r->nparams = 1; BAD(&s, "a route's parameters are miscounted"); *r = good;
    r->upstream = 1; BAD(&s, "a route's upstream is not there"); *r = good;
    r->to = FGW_TO_STATIC; BAD(&s, "a record lies outside"); *r = good;
    st->kind = FGW_STEP_COUNT; BAD(&s, "a step is unknown");
    st->kind = FGW_STEP_NONE; BAD(&s, "a step without arguments has some");
    st->kind = FGW_STEP_HEADERS;
    e->op = 4; BAD(&s, "an edit is unknown"); e->op = 0;
    e->to_id = FGW_H_COUNT; BAD(&s, "an edit is unknown"); e->to_id = 0;
    part->kind = FGW_PART_PARAM; BAD(&s, "a template names a parameter that is not there");
    part->kind = 99; BAD(&s, "a template has an unknown part"); part->kind = 0;
    r->to = FGW_TO_REDIRECT, r->answer = SEG_PUT(&s, redirect, {.status = 302});
    OK(seg_check(&s) == NULL);
    SEG_AT(&s, redirect, r->answer)->status = 200; BAD(&s, "a redirect has no redirecting status");
    r->to = FGW_TO_STATIC, r->answer = SEG_PUT(&s, answer, {.status = 204});
    OK(seg_check(&s) == NULL);
    SEG_AT(&s, answer, r->answer)->status = 101; BAD(&s, "an answer has no final status");
    seg_free(&s);
}

TEST(the_trie_is_a_tree)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = seg_node(&s, FGW_NODE_LITERAL, root, "a"), p = seg_node(&s, FGW_NODE_PARAM, a, "");
    uint32_t leaf = seg_leaf_of(&s, "x", 1), plain = seg_leaf_of(&s, "y", 0);
    struct fgw_l_node *n = SEG_AT(&s, node, a), *q = SEG_AT(&s, node, p), good = *n, fine = *q;
    q->leaf = leaf, fine = *q, n->ended = plain, good = *n;
    OK(seg_check(&s) == NULL);
    n->parent = p; BAD(&s, "a node stands before its parent"); *n = good;
    n->kind = 9; BAD(&s, "a node is of no kind"); *n = good;
    n->fanout = 3; BAD(&s, "a node is of no kind"); *n = good;
    n->kind = FGW_NODE_ROOT; BAD(&s, "a root is below something"); *n = good;
    n->kind = FGW_NODE_HOST; BAD(&s, "a host is below a path"); *n = good;
    n->nparams = 1; BAD(&s, "a node's parameters are miscounted"); *n = good;
    n->param = a; BAD(&s, "a child is another's"); *n = good;
    n->param = p + 4; BAD(&s, "a child is another's"); *n = good;
    n->fanout = FGW_FANOUT_ONE; BAD(&s, "a child is another's"); *n = good;
    n->leaf = leaf; BAD(&s, "a path's end has other parameters"); *n = good;
    n->rest = plain; BAD(&s, "a rest is not the last parameter"); *n = good;
    n->goes_on = leaf; BAD(&s, "a prefix has parameters"); *n = good;
    n->ended = leaf + 8; BAD(&s, "a prefix has parameters"); *n = good;
    q->parent = root; OK(seg_check(&s) != NULL); *q = fine;
    SEG_AT(&s, leaf, plain)->next = plain; BAD(&s, "a prefix has no shorter one");
    SEG_AT(&s, leaf, plain)->next = leaf; BAD(&s, "a prefix has no shorter one");
    SEG_AT(&s, leaf, plain)->next = 0;
    SEG_AT(&s, cand, SEG_AT(&s, leaf, plain)->cands.off)->route = seg_top(&s)->routes.off;
    BAD(&s, "a candidate's route has other parameters");
    SEG_AT(&s, cand, SEG_AT(&s, leaf, plain)->cands.off)->route = 8;
    BAD(&s, "a candidate's route is not there");
    SEG_AT(&s, leaf, plain)->cands = (struct fgw_l_arr){0, 0};
    BAD(&s, "a leaf has no candidate");
    seg_free(&s);
}

TEST(searches_end_and_lead_to_nodes)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), a = seg_node(&s, FGW_NODE_LITERAL, root, "a");
    SEG_AT(&s, node, a)->ended = seg_leaf_of(&s, "y", 0);
    struct fgw_l_routes *r = seg_top(&s);
    struct fgw_l_edge *e = SEG_AT(&s, edge, r->edges.off);
    OK(seg_check(&s) == NULL);
    r->edge_mask = SEG_EDGES; BAD(&s, "a search begins outside the edges"); r->edge_mask = SEG_SLOTS - 1;
    e[SEG_EDGES - 1].node = a; BAD(&s, "a search has no end");
    e[SEG_EDGES - 1].node = root; BAD(&s, "an edge leads nowhere");
    e[SEG_EDGES - 1].node = a + 1; BAD(&s, "an edge leads nowhere"); e[SEG_EDGES - 1].node = 0;
    r->any = root; BAD(&s, "the paths of any host have no root"); r->any = 0;
    r->hosts = root; BAD(&s, "the hosts are none"); r->hosts = 0;
    r->wild_labels = 4; BAD(&s, "the wildcards are none");
    seg_free(&s);
}

TEST(hooks_are_those_of_the_segment_and_plugins_those_of_the_root)
{
    uint32_t step;
    struct seg s = chained(&step);
    uint64_t keys[2] = {5, 6};
    uint32_t at = SEG_PUT(&s, hook, {.index = 1, .phases = 3, .fail = FGW_HOOK_OPEN});
    struct fgw_l_step *st = SEG_AT(&s, step, step);
    struct fgw_l_hook *h = SEG_AT(&s, hook, at), good = *h;
    *st = (struct fgw_l_step){.kind = FGW_STEP_HOOK, .args = at};
    BAD(&s, "a hook's plugin is not there");
    seg_top(&s)->hooks = (struct fgw_l_arr){seg_put(&s, keys, sizeof keys), 2};
    OK(seg_check(&s) == NULL);
    h->index = 2; BAD(&s, "a hook's plugin is not there"); *h = good;
    h->phases = 0; BAD(&s, "a hook's settings are unknown");
    h->phases = 4; BAD(&s, "a hook's settings are unknown"); *h = good;
    h->fail = 2; BAD(&s, "a hook's settings are unknown"); *h = good;
    h->slot = FGW_SHM_STATS; BAD(&s, "a hook's settings are unknown"); *h = good;
    h->name = (struct fgw_l_str){s.n, 9}; BAD(&s, "a text lies outside"); *h = good;
    seg_top(&s)->hooks.off = s.n; BAD(&s, "a record lies outside");
    seg_free(&s);

    struct seg root = seg_new(FGW_SEG_ROOT);
    uint32_t top = SEG_PUT(&root, root, {.generation = 1}), p = SEG_PUT(&root, plugin, {.key = 5});
    struct fgw_l_str path = seg_text(&root, "/p");
    SEG_AT(&root, plugin, p)->path = (struct fgw_l_arr){seg_put(&root, &path, sizeof path), 1};
    SEG_AT(&root, root, top)->plugins = (struct fgw_l_arr){p, 1};
    OK(seg_check(&root) == NULL);
    SEG_AT(&root, plugin, p)->use.len = SEG_ROOM; BAD(&root, "a text lies outside"); SEG_AT(&root, plugin, p)->use.len = 0;
    SEG_AT(&root, plugin, p)->path.count = SEG_ROOM; BAD(&root, "a record lies outside");
    seg_free(&root);
}

TEST(tls_has_certificates_and_known_rules)
{
    struct seg s = seg_new(FGW_SEG_TLS);
    uint32_t at = SEG_PUT(&s, tls, {.min_version = 2}), cert = SEG_PUT(&s, tls_cert, {.key = {0, 0}});
    BAD(&s, "a TLS listener has no certificate");
    struct fgw_l_tls *t = SEG_AT(&s, tls, at);
    t->certs = (struct fgw_l_arr){cert, 1};
    OK(seg_check(&s) == NULL);
    t->min_version = 1; BAD(&s, "a TLS listener's rules are unknown");
    t->min_version = 3, t->client_auth = 3; BAD(&s, "a TLS listener's rules are unknown");
    t->client_auth = 2; BAD(&s, "client certificates are asked for and nobody's are believed");
    t->ca = seg_text(&s, "pem");
    OK(seg_check(&s) == NULL);
    SEG_AT(&s, tls_cert, cert)->key = (struct fgw_l_str){s.n, 1}; BAD(&s, "a text lies outside");
    t->certs.count = 9999; BAD(&s, "a record lies outside");
    seg_free(&s);
}

TEST(a_snapshot_hangs_together)
{
    uint32_t step;
    struct seg routes = chained(&step), settings = seg_new(FGW_SEG_SETTINGS), up = seg_new(FGW_SEG_UPSTREAM), root = seg_new(FGW_SEG_ROOT);
    SEG_PUT(&settings, settings, {.buffer_high = 1});
    SEG_PUT(&up, upstream, {.max_idle = 1});
    OK(!seg_check(&routes) && !seg_check(&settings) && !seg_check(&up));
    const void *segs[] = {routes.p, settings.p, up.p};
    uint64_t hashes[3];
    uint32_t slot = 7, top = SEG_PUT(&root, root, {.generation = 1});
    for (int i = 0; i < 3; i++) hashes[i] = ((const struct fgw_l_seg *)segs[i])->hash;
    struct fgw_l_root *r = SEG_AT(&root, root, top);
    r->segs = (struct fgw_l_arr){seg_put(&root, hashes, sizeof hashes), 3};
    uint32_t slots = seg_put(&root, &slot, 4);
    r->listeners = (struct fgw_l_arr){SEG_PUT(&root, listener, {.routes_seg = 0, .settings_seg = 1, .route_slots = {slots, 1}}), 1};
    uint32_t ref = SEG_PUT(&root, upstream_ref, {.seg = 2});
    SEG_AT(&root, upstream_ref, ref)->name = seg_text(&root, "u");
    r->upstreams = (struct fgw_l_arr){ref, 1};
    OK(seg_check(&root) == NULL && fgw_snapshot_check(root.p, segs) == NULL);
    struct fgw_l_listener *l = SEG_AT(&root, listener, r->listeners.off);
    l->routes_seg = 3; BAD(&root, "a listener's segment is not there");
    l->routes_seg = 1; OK(strstr(fgw_snapshot_check(root.p, segs), "another kind"));
    l->routes_seg = 0, l->tls_seg = 4; BAD(&root, "a listener's TLS segment is not there");
    l->tls_seg = 2; OK(seg_check(&root) == NULL && strstr(fgw_snapshot_check(root.p, segs), "another kind"));
    l->tls_seg = 0, l->tls_slot = FGW_SHM_STATS; BAD(&root, "a listener's TLS segment is not there");
    l->tls_slot = 0, l->route_slots = (struct fgw_l_arr){0, 0};
    OK(strstr(fgw_snapshot_check(root.p, segs), "differ in number"));
    l->route_slots = (struct fgw_l_arr){slots, 1};
    uint64_t key = 9;
    seg_top(&routes)->hooks = (struct fgw_l_arr){seg_put(&routes, &key, 8), 1};
    OK(strstr(fgw_snapshot_check(root.p, segs), "plugin is not in the root"));
    r->plugins = (struct fgw_l_arr){SEG_PUT(&root, plugin, {.key = 9}), 1};
    OK(fgw_snapshot_check(root.p, segs) == NULL);
    seg_top(&routes)->hooks = (struct fgw_l_arr){0, 0};
    SEG_AT(&root, upstream_ref, ref)->name.len = 0;
    OK(strstr(fgw_snapshot_check(root.p, segs), "not in the root"));
    SEG_AT(&root, upstream_ref, ref)->seg = 3; BAD(&root, "an upstream's segment is not there");
    segs[2] = settings.p;
    OK(strstr(fgw_snapshot_check(root.p, segs), "not the one"));
    seg_free(&routes), seg_free(&settings), seg_free(&up), seg_free(&root);
}

TEST(regexes_belong_to_routes_and_hosts)
{
    struct seg s = seg_routes();
    uint32_t root = seg_any(&s), any = seg_top(&s)->any;
    struct fgw_l_rx rx = seg_regex(&s, "a", "/(?<x>.)", 1);
    seg_mixed(&s, any, root, &rx, 1);
    OK(seg_check(&s) == NULL);
    struct fgw_l_regex *regex = SEG_AT(&s, regex, seg_top(&s)->regexes.off), good = *regex;
    struct fgw_l_mixed *m = SEG_AT(&s, mixed, SEG_AT(&s, node, any)->mixed.off);
    struct fgw_l_rx *x = SEG_AT(&s, rx, m->regexes.off);
    regex->text.len = FGW_REGEX_MAX + 1; BAD(&s, "a regex is empty or too long"); *regex = good;
    regex->text.len = 0; BAD(&s, "a regex is empty or too long"); *regex = good;
    regex->route += 8; BAD(&s, "a regex's route is not there"); *regex = good;
    x->regex = 1; BAD(&s, "a regex is not there"); x->regex = 0;
    SEG_AT(&s, leaf, x->leaf)->nparams = 0; BAD(&s, "a candidate's route has other parameters"); SEG_AT(&s, leaf, x->leaf)->nparams = 1;
    x->leaf += 8; BAD(&s, "a regex's route has other parameters"); x->leaf -= 8;
    m->root = any; BAD(&s, "a host's paths have no root"); m->root = root;
    OK(seg_check(&s) == NULL);
    SEG_AT(&s, node, root)->mixed = (struct fgw_l_arr){SEG_AT(&s, node, any)->mixed.off, 1};
    BAD(&s, "a host's paths are told twice");
    SEG_AT(&s, node, root)->mixed = (struct fgw_l_arr){0, 0};
    seg_top(&s)->regexes.count = FGW_REGEXES_MAX + 1;
    BAD(&s, "too many regexes");
    seg_free(&s);
}

TEST_MAIN()

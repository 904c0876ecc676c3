/* tests/c/model.h: every interleaving of a lock-free structure, with a death at every step.
 *
 * Include this after <stdatomic.h> and before the .c under test: the atomic accesses of that file then become steps. A step belongs
 * to an actor (a function on a stack of its own); between any two steps the explorer may go on with another actor, or kill one
 * for ever: what a process killed by a signal leaves behind.
 *
 * A state of the whole is the shared memory and each actor's own: its stack (or, where that is not known, all that it has read).
 * A state that was met before is not explored again; so the search is complete, and finite. What an actor keeps elsewhere than on
 * its stack, in the shared memory and in model_result would be overlooked.
 * Steps are taken as sequentially consistent: right for x86-64 where every write that matters is a locked instruction.
 *
 *   model_run(&(struct model){.actors = 2, .actor = {f, g}, .memory = &m, .size = sizeof m, .reset = .., .check = .., .kills = 1})
 * check() is called at every end: all actors have returned, or all but `kills` of them, which are dead: model_dead(i). What actors
 * put into model_result[i] until then is there. It may use the structure: what it writes is undone. */
#ifndef FGW_TESTS_MODEL_H
#define FGW_TESTS_MODEL_H
#include <stdatomic.h>
#include <stdbool.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#include "base/hash.h"
#include "base/pair.h"
#include "base/poison.h"
#include "test.h"

enum { MODEL_ACTORS = 4, MODEL_DEPTH = 400, MODEL_STACK = 16 << 10 };

struct model {
    int actors, kills;                       /* kills: how many actors may die in one run */
    int preemptions;                         /* how often an actor that could go on is made to wait; 0: as often as can be */
    void (*actor[MODEL_ACTORS])(void);
    void *memory;                            /* all that is shared */
    size_t size;
    void (*gather)(void), (*scatter)(void);  /* what is shared is scattered: copy it into memory, and back; NULL: it is not */
    void (*reset)(void);                     /* memory as it is at the beginning; called with no actor running */
    void (*check)(void);
};

/* Switching stacks: a few moves where we know how (swapcontext makes two system calls). */
#if defined(__x86_64__)
typedef void *model_context;
__attribute__((naked, noinline)) static void model_switch(__attribute__((unused)) model_context *from, __attribute__((unused)) model_context *to)
{
    __asm__("push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
            "mov %rsp, (%rdi)\n mov (%rsi), %rsp\n"
            "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
}
static void model_make(model_context *c, char *stack, size_t size, void (*enter)(void))
{
    void **top = (void **)(((uintptr_t)stack + size) & ~(uintptr_t)15) - 2;
    *top = (void *)enter;                    /* model_switch returns into it, with the stack as after a call */
    for (int i = 1; i <= 6; i++) top[-i] = NULL;
    *c = top - 6;
}
/* Not the library's: red zones of a sanitizer lie in between. */
__attribute__((no_sanitize("address"))) static uint64_t model_hash(const uint64_t *p, const uint64_t *end)
{
    uint64_t h = 0x9e3779b97f4a7c15ull;
    for (; p < end; p++) h = (h ^ *p) * 0xbf58476d1ce4e5b9ull, h ^= h >> 29;
    return h;
}
/* What an actor is about to do is all in its stack, saved registers included. */
static uint64_t model_local(model_context *c, char *stack, uint64_t saw)
{
    (void)saw;
    return model_hash(*c, (uint64_t *)(void *)(stack + MODEL_STACK));
}
#else
typedef ucontext_t model_context;
static void model_switch(model_context *from, model_context *to) { swapcontext(from, to); }
static void model_make(model_context *c, char *stack, size_t size, void (*enter)(void))
{
    getcontext(c);
    c->uc_stack.ss_sp = stack, c->uc_stack.ss_size = size, c->uc_link = NULL;
    makecontext(c, enter, 0);
}
/* An actor is deterministic in what it has read. */
static uint64_t model_local(model_context *c, char *stack, uint64_t saw) { (void)c, (void)stack; return saw; }
#endif

static struct {
    const struct model *m;
    model_context home, context[MODEL_ACTORS];
    char *stack[MODEL_ACTORS];
    bool done[MODEL_ACTORS], dead[MODEL_ACTORS];
    uint64_t saw[MODEL_ACTORS];
    int now;                                 /* the running actor; -1: the explorer */
    int choice[MODEL_DEPTH], depth, last, used;    /* last: who made the last step; used: preemptions so far */
    unsigned possible[MODEL_DEPTH];          /* bit i: actor i could go on there */
    uint64_t *seen, seen_n, seen_cap, runs;
} model_ = {.now = -1};
static uint64_t model_result[MODEL_ACTORS];

static inline bool model_dead(int i) { return model_.dead[i]; }

static inline void model_step(void)
{
    int me = model_.now;
    if (me >= 0) model_switch(&model_.context[me], &model_.home);
}
static inline uint64_t model_saw(uint64_t v)
{
    if (model_.now >= 0) {
        uint64_t mix[2] = {model_.saw[model_.now], v};
        model_.saw[model_.now] = fgw_hash_xxh3(mix, sizeof mix);
    }
    return v;
}

/* ---- what the file under test uses ---- */
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_exchange_explicit
#define atomic_load_explicit(p, o) ({ model_step(); __typeof__(__atomic_load_n((p), (o))) v_ = __atomic_load_n((p), __ATOMIC_SEQ_CST); model_saw((uint64_t)v_); v_; })
#define atomic_store_explicit(p, v, o) ({ model_step(); __atomic_store_n((p), (v), __ATOMIC_SEQ_CST); model_saw(0); })
#define atomic_fetch_add_explicit(p, v, o) \
    ({ model_step(); __typeof__(__atomic_load_n((p), (o))) v_ = __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST); model_saw((uint64_t)v_); v_; })
#define atomic_fetch_sub_explicit(p, v, o) \
    ({ model_step(); __typeof__(__atomic_load_n((p), (o))) v_ = __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST); model_saw((uint64_t)v_); v_; })
#define atomic_fetch_or_explicit(p, v, o) \
    ({ model_step(); __typeof__(__atomic_load_n((p), (o))) v_ = __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST); model_saw((uint64_t)v_); v_; })
#define atomic_fetch_and_explicit(p, v, o) \
    ({ model_step(); __typeof__(__atomic_load_n((p), (o))) v_ = __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST); model_saw((uint64_t)v_); v_; })
#define atomic_exchange_explicit(p, v, o) \
    ({ model_step(); __typeof__(__atomic_load_n((p), (o))) v_ = __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST); model_saw((uint64_t)v_); v_; })
#define atomic_compare_exchange_strong_explicit(p, old, v, o, f)                                                       \
    ({ model_step(); bool ok_ = __atomic_compare_exchange_n((p), (old), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
       model_saw(*(old) + (uint64_t)ok_ * 0x9e3779b97f4a7c15ull); ok_; })

static inline bool model_pair_cas(struct fgw_pair *p, struct fgw_pair_value old, struct fgw_pair_value new)
{
    model_step();
    return model_saw(fgw_pair_cas(p, old, new));
}
#define fgw_pair_cas model_pair_cas

/* ---- the explorer ---- */
static void model_enter(void)
{
    int me = model_.now;
    model_.m->actor[me]();
    model_.done[me] = true;
    model_switch(&model_.context[me], &model_.home);
}

static inline void model_go(int i)
{
    model_.now = i;
    model_switch(&model_.home, &model_.context[i]);
    model_.now = -1;
}

static inline void model_begin(void)
{
    model_.m->reset();
    model_.last = -1, model_.used = 0;
    for (int i = 0; i < model_.m->actors; i++) {
        if (!model_.stack[i]) model_.stack[i] = malloc(MODEL_STACK);
        FGW_UNPOISON(model_.stack[i], MODEL_STACK);
        memset(model_.stack[i], 0, MODEL_STACK);       /* what is left in unused places would tell equal states apart */
        model_make(&model_.context[i], model_.stack[i], MODEL_STACK, model_enter);
        model_.done[i] = model_.dead[i] = false;
        model_.saw[i] = 0, model_result[i] = 0;
        model_go(i);                         /* up to its first step */
    }
}

/* true: this state is new. */
static inline bool model_new_state(void)
{
    if (model_.m->gather) model_.m->gather();
    uint64_t key[3 + MODEL_ACTORS] = {fgw_hash_xxh3(model_.m->memory, model_.m->size)};
    for (int i = 0; i < model_.m->actors; i++)
        key[1] |= (uint64_t)model_.done[i] << i,
            key[2 + i] = model_.done[i] ? 0 : model_local(&model_.context[i], model_.stack[i], model_.saw[i]);
    if (model_.m->preemptions) key[1] |= (uint64_t)(model_.last + 1) << 8 | (uint64_t)model_.used << 16;
    key[2 + MODEL_ACTORS] = fgw_hash_xxh3(model_result, sizeof model_result);
    uint64_t h = fgw_hash_xxh3(key, sizeof key) | 1;
    if (model_.seen_n * 2 >= model_.seen_cap) {
        uint64_t cap = model_.seen_cap ? model_.seen_cap * 2 : 1 << 16, *old = model_.seen;
        model_.seen = calloc(cap, sizeof *old);
        for (uint64_t i = 0; i < model_.seen_cap; i++)
            if (old[i]) {
                uint64_t at = old[i] >> 1 & (cap - 1);
                while (model_.seen[at]) at = (at + 1) & (cap - 1);
                model_.seen[at] = old[i];
            }
        free(old);
        model_.seen_cap = cap;
    }
    uint64_t at = h >> 1 & (model_.seen_cap - 1);
    for (; model_.seen[at]; at = (at + 1) & (model_.seen_cap - 1))
        if (model_.seen[at] == h) return false;
    model_.seen[at] = h, model_.seen_n++;
    return true;
}

static inline bool model_can(int c)
{
    if (model_.done[c]) return false;
    bool spent = model_.m->preemptions && model_.used == model_.m->preemptions;
    return !spent || model_.last < 0 || model_.done[model_.last] || c == model_.last;
}
/* Who can go on, from actor c upwards; -1: nobody. */
static inline int model_next(int c)
{
    for (; c < model_.m->actors; c++)
        if (model_can(c)) return c;
    return -1;
}
static inline void model_take(int c)
{
    if (model_.last >= 0 && c != model_.last && !model_.done[model_.last]) model_.used++;
    model_.last = c;
    model_go(c);
}

static inline void model_end(void)
{
    int n = model_.m->actors, left = 0;
    for (int i = 0; i < n; i++) left += model_.dead[i] = !model_.done[i];
    if (left <= model_.m->kills && left < n) {
        void *keep = memcpy(malloc(model_.m->size), model_.m->memory, model_.m->size);
        model_.m->check();
        memcpy(model_.m->memory, keep, model_.m->size);
        if (model_.m->scatter) model_.m->scatter();
        free(keep);
    }
    for (int i = 0; i < n; i++) model_.dead[i] = false;
}

/* One run: the known choices, then the first of each new state. Its length is left in depth. */
static inline void model_once(int known)
{
    int at = 0;
    model_begin();
    for (;; at++) {
        int c = at < known ? model_.choice[at] : model_next(0);
        if (at >= known) {
            if (!model_new_state()) break;
            model_end();
            if (c < 0) break;
            if (at >= MODEL_DEPTH) { OK(!"a run as long as this is a loop"); break; }
            model_.possible[at] = 0;
            for (int i = 0; i < model_.m->actors; i++) model_.possible[at] |= (unsigned)model_can(i) << i;
        }
        model_.choice[at] = c;
        model_take(c);
    }
    model_.depth = at;
    model_.runs++;
}

/* Explore everything. Returns the number of states. */
static inline uint64_t model_run(const struct model *m)
{
    int before = test_failures_;
    model_.m = m;
    free(model_.seen);
    model_.seen = NULL, model_.seen_n = model_.seen_cap = model_.runs = 0;
    int known = 0;
    do {
        model_once(known);
        for (known = model_.depth; known > 0; known--) {          /* the last state with a choice not yet made */
            int c = model_.choice[known - 1] + 1;
            while (c < m->actors && !(model_.possible[known - 1] >> c & 1)) c++;
            if (c == m->actors) continue;
            model_.choice[known - 1] = c;
            break;
        }
    } while (known && test_failures_ == before);
    for (int i = 0; i < MODEL_ACTORS; i++)
        if (model_.stack[i]) FGW_UNPOISON(model_.stack[i], MODEL_STACK);
    for (int i = 0; i < MODEL_ACTORS; i++) free(model_.stack[i]), model_.stack[i] = NULL;
    free(model_.seen);
    model_.seen = NULL;
    if (getenv("MODEL_TELL")) fprintf(stderr, "%llu states, %llu runs\n", (unsigned long long)model_.seen_n, (unsigned long long)model_.runs);
    return model_.seen_n;
}

#endif

/* tests/c/test.h: the whole test harness of the C half.
 *
 * A test file includes the .c it tests (statics are reachable), defines TEST(name) { ... } cases and ends with TEST_MAIN().
 * Inputs that a parser must not read past go through `at_edge`: a copy that ends on an unmapped page.
 * The closing line is "N passed, N failed"; the exit code is 1 when any failed. Arguments filter by name. */
#ifndef FGW_TESTS_TEST_H
#define FGW_TESTS_TEST_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct test_case { const char *name; void (*run)(void); struct test_case *next; };
static struct test_case *test_first_, **test_last_ = &test_first_;
static int test_failures_;

#define TEST(n)                                                                                   \
    static void test_##n(void);                                                                   \
    __attribute__((constructor)) static void test_add_##n(void)                                   \
    {                                                                                             \
        static struct test_case c = {#n, test_##n, NULL};                                         \
        *test_last_ = &c, test_last_ = &c.next;                                                   \
    }                                                                                             \
    static void test_##n(void)

#define OK(x) ((x) ? (void)0 : (void)(test_failures_++, fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #x)))
#define EQ(a, b)                                                                                  \
    do {                                                                                          \
        long long a_ = (long long)(a), b_ = (long long)(b);                                       \
        if (a_ != b_) test_failures_++, fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, a_, b_); \
    } while (0)
#define EQ_BYTES(p, n, lit) test_eq_bytes_(__FILE__, __LINE__, #p, (p), (n), (lit), sizeof(lit) - 1)
#define EQ_STR(s, lit) test_eq_bytes_(__FILE__, __LINE__, #s, (s).p, (s).n, (lit), strlen(lit))

static inline void test_eq_bytes_(const char *file, int line, const char *what, const void *p, size_t n, const char *lit, size_t m)
{
    if (n == m && (n == 0 || memcmp(p, lit, n) == 0)) return;
    test_failures_++;
    fprintf(stderr, "%s:%d: %s is \"%.*s\" (%zu), not \"%.*s\" (%zu)\n", file, line, what, (int)n, (const char *)p, n, (int)m, lit, m);
}

/* A copy of n bytes whose end touches an unmapped page. Give it back with at_edge_free. */
static inline char *at_edge(const void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page;
    char *m = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED) abort();
    mprotect(m + room, page, PROT_NONE);
    char *r = m + room - n;
    if (n) memcpy(r, p, n);
    return r;
}
static inline void at_edge_free(char *r, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page;
    munmap(r + n - room, room + page);
}

#define TEST_MAIN()                                                                               \
    int main(int argc, char **argv)                                                               \
    {                                                                                             \
        int bad = 0, good = 0;                                                                    \
        for (struct test_case *c = test_first_; c; c = c->next) {                                 \
            int want = argc < 2;                                                                  \
            for (int i = 1; i < argc; i++) want |= strstr(c->name, argv[i]) != NULL;              \
            if (!want) continue;                                                                  \
            int before = test_failures_;                                                          \
            c->run();                                                                             \
            if (test_failures_ != before) bad++, fprintf(stderr, "FAILED %s\n", c->name);         \
            else good++;                                                                          \
        }                                                                                         \
        printf("%d passed, %d failed\n", good, bad);                                              \
        return bad != 0;                                                                          \
    }
#endif

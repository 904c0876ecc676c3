/* base/check.h: what must hold, and what the compiler may assume.
 *
 * FGW_CHECK(x)   an invariant. Builds with -DFGW_DEBUG print the place and abort; release builds drop it,
 *                so x must have no side effect and must never guard against what a peer sent.
 * FGW_UNREACHABLE() marks a state that the code above excludes; it follows the same rule. */
#ifndef FGW_BASE_CHECK_H
#define FGW_BASE_CHECK_H

#define fgw_likely(x)   __builtin_expect(!!(x), 1)
#define fgw_unlikely(x) __builtin_expect(!!(x), 0)
#define FGW_RARE __attribute__((noinline, cold))   /* a path that must not cost its caller registers or cache */

#define FGW_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define fgw_container(ptr, type, member) ((type *)((char *)(ptr) - __builtin_offsetof(type, member)))

_Noreturn void fgw_check_failed(const char *what, const char *file, int line);

#ifdef FGW_DEBUG
#define FGW_CHECK(x) (fgw_likely(x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))
#define FGW_UNREACHABLE() fgw_check_failed("unreachable", __FILE__, __LINE__)
#else
#define FGW_CHECK(x) ((void)0)
#define FGW_UNREACHABLE() __builtin_unreachable()
#endif

#endif

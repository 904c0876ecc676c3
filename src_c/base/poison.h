/* base/poison.h: tells AddressSanitizer which of our own free memory nobody may touch. Nothing in other builds.
 *
 * FGW_POISON(p, n)     any access to these bytes is reported from now on
 * FGW_UNPOISON(p, n)   they may be used again
 * Whoever poisons storage that somebody else owns unpoisons it before giving it back. */
#ifndef FGW_BASE_POISON_H
#define FGW_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define FGW_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FGW_ASAN 1
#endif
#endif

#ifdef FGW_ASAN
#include <sanitizer/asan_interface.h>
#define FGW_POISON(p, n)   __asan_poison_memory_region((p), (n))
#define FGW_UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define FGW_POISON(p, n)   ((void)(p), (void)(n))
#define FGW_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#endif

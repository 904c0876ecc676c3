/* tests/c/base/death.h: does this end the process? Runs it in a child, whose stderr is thrown away.
 * A failed FGW_CHECK and an AddressSanitizer report both count; a leak report at the child's end does not happen. */
#ifndef FGW_TESTS_DEATH_H
#define FGW_TESTS_DEATH_H
#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool test_child_lives_(pid_t child)
{
    int status = -1;
    while (waitpid(child, &status, 0) < 0) continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#define DIES(statement)                                             \
    do {                                                            \
        fflush(NULL);                                               \
        pid_t child_ = fork();                                      \
        if (child_ == 0) {                                          \
            int null_ = open("/dev/null", O_WRONLY);                \
            dup2(null_, 2);                                         \
            statement;                                              \
            _exit(0);                                               \
        }                                                           \
        OK(child_ > 0 && !test_child_lives_(child_));               \
    } while (0)
#endif

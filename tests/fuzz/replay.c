/* tests/fuzz/replay.c: a main for a fuzz target without libFuzzer. Runs every file of the target's corpus once
 * (argv, or tests/fuzz/corpus/NAME/ for a program called fuzz_NAME) and closes like a unit test: a crash ends the
 * program before its closing line, after the name of the input was written.
 * Each input is handed over in a heap block of exactly its size, so that ASan sees the first byte read past it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static int passed, failed;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) { perror(path); failed++; if (f) fclose(f); return; }
    size_t n = (size_t)st.st_size;
    uint8_t *p = malloc(n ? n : 1), *exact = NULL;
    if (!p || fread(p, 1, n, f) != n) { fprintf(stderr, "%s: short read\n", path); failed++; goto out; }
    exact = malloc(n);
    if (n) memcpy(exact, p, n);
    fprintf(stderr, "input %s\n", path);
    LLVMFuzzerTestOneInput(exact, n);
    passed++;
out:
    free(exact);
    free(p);
    fclose(f);
}

static void replay_dir(const char *dir)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) replay_file(path);
        free(names[i]);
    }
    if (n >= 0) free(names);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) replay_file(argv[i]);
    if (argc < 2) {
        const char *base = strrchr(argv[0], '/');
        base = base ? base + 1 : argv[0];
        char dir[4096];
        snprintf(dir, sizeof dir, "tests/fuzz/corpus/%s", strncmp(base, "fuzz_", 5) == 0 ? base + 5 : base);
        replay_dir(dir);
    }
    static const uint8_t nothing[1];
    LLVMFuzzerTestOneInput(nothing, 0);
    passed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

/* A connection of either role, seen from a client: input in any cut, faults, lingering. */
#include "http/h2_conn.c"
#include "http/h2_play.h"

TEST(any_cut_of_the_bytes_is_heard_alike)
{
    for (size_t piece = 1; piece < 12; piece++) {
        h2_set(), h2_come();
        p.w->piece = piece;
        h2_hello();
        p.eager = true;
        headers(1, EH, POST "|content-length=5");
        frame(F_DATA, 0, 1, "hel", 3), frame(F_DATA, ES, 1, "lo", 2);
        play_turn(&p);
        SAW(&p, "head POST /a|body hello|end|");
        reply(204, "");
        SAID("HEADERS 1 :status=204 END|");
        h2_stop();
    }
}

TEST(the_end_of_the_connection_aborts_what_is_open)
{
    h2_start();
    ask(1, 0, POST);
    p.w->eof = true, play_turn(&p);
    SAW(&p, "head POST /a|abort client_gone|gone|");
    h2_stop();
}

TEST(connection_errors_end_with_goaway_and_their_code)
{
    static const struct { const char *name; int type, flags; uint32_t id; const char *body; size_t n; unsigned code; } bad[] = {
        {"DATA on stream 0", F_DATA, 0, 0, "x", 1, 1}, {"HEADERS on stream 0", F_HEADERS, EH, 0, "\x82", 1, 1},
        {"even stream", F_HEADERS, EH | ES, 2, "\x82\x86\x84", 3, 1}, {"SETTINGS on a stream", F_SETTINGS, 0, 1, "", 0, 1},
        {"SETTINGS of a bad size", F_SETTINGS, 0, 0, "12345", 5, 6}, {"PING of a bad size", F_PING, 0, 0, "1234567", 7, 6},
        {"WINDOW_UPDATE of 0", F_WINDOW, 0, 0, "\0\0\0\0", 4, 1}, {"WINDOW_UPDATE too far", F_WINDOW, 0, 0, "\x7f\xff\xff\xff", 4, 3},
        {"PUSH_PROMISE from a client", F_PUSH, EH, 1, "\0\0\0\2\x82", 5, 1}, {"CONTINUATION of nothing", F_CONT, EH, 1, "\x82", 1, 1},
        {"an HPACK index that is none", F_HEADERS, EH | ES, 1, "\xff\xff\x7f", 3, 9}, {"RST_STREAM of an idle stream", F_RST, 0, 9, "\0\0\0\1", 4, 1}};
    for (size_t i = 0; i < FGW_COUNT(bad); i++) {
        char want[64];
        h2_start();
        frame(bad[i].type, bad[i].flags, bad[i].id, bad[i].body, bad[i].n), play_turn(&p);
        snprintf(want, sizeof want, " %u|", bad[i].code);
        const char *got = said();
        bool ok = !strncmp(got, "GOAWAY ", 7) && strlen(got) < 20 && strstr(got, want);
        if (!ok) fprintf(stderr, "%s: %s, not %s\n", bad[i].name, got, want);
        OK(ok);
        OK(strstr(p.log, "refused protocol_error|") != NULL);
        OK(p.w->shut);
        p.w->eof = true, play_turn(&p);
        h2_stop();
    }
}

TEST(what_is_no_preface_ends_it)
{
    h2_set(), h2_come();
    wire_say(p.w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), play_turn(&p);
    OK(strstr(p.log, "refused protocol_error|") != NULL);
    OK(p.w->shut);
    h2_stop();
}

TEST(lingering_reads_on_for_a_while_and_ends)
{
    h2_start();
    number(F_WINDOW, 0, 0), play_turn(&p);
    OK(p.w->c && p.w->shut);
    frame(F_PING, 0, 0, "12345678", 8), play_turn(&p);
    OK(p.w->c != NULL);
    play_wait(&p, 2100);
    OK(p.w->c == NULL);
    h2_stop();
}

/* A connection that HTTP/1 began, moved with what it has read. */

TEST_MAIN()

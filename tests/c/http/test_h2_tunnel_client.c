/* Extended CONNECT towards an upstream: when it may be asked, what an answer is taken for, bytes both ways, ends. */
#include "http/h2_client_play.h"

#define WS .method = FGW_STR("GET"), .len = FGW_LEN_NONE, .upgrade = FGW_STR("websocket")
#define CONNECT "HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :path=/a :authority=h|"

static void offered(void)
{
    h2_set(), up_dial();
    up_setting(8, 1), play_turn(&p), forget(), wire_forget(p.w);
    up_hello(100);
    forget();
}
static void begin(void)
{
    offered();
    send_out(1, REQUEST(WS));
    asks[1].keep = true;
    asks[1].side->down->finish(asks[1].side), play_turn(&p);
    SAID(CONNECT);                         /* the end of the request is not that of the stream */
}
static void open_(void)
{
    begin();
    answer(1, 0, ":status=200|sec-websocket-protocol=chat");
    SAW(&p, "1 head 101 sec-websocket-protocol=chat none|1 tunnel|");
    asks[1].side->down->tunnel(asks[1].side), play_turn(&p);
}

TEST(it_is_asked_where_it_was_offered_and_the_key_stays_here)
{
    static const struct fgw_out_field f[] = {{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", 24, 17, FGW_H_SEC_WEBSOCKET_KEY, 0},
                                             {"Sec-WebSocket-Version", "13", 2, 21, FGW_H_OTHER, 0}};
    offered();
    send_out(1, REQUEST(WS, .fields = f, .nfields = 2)), play_turn(&p);
    SAID("HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :path=/a :authority=h sec-websocket-version=13|");
    up_stop();
}

TEST(other_upgrades_are_only_an_offer)
{
    offered();
    send_out(1, REQUEST(.len = FGW_LEN_NONE, .upgrade = FGW_STR("echo"))), play_turn(&p);
    SAID("HEADERS 1 :method=GET :scheme=http :path=/a :authority=h END|");
    up_stop();
}

TEST(bytes_pass_both_ways_and_each_half_ends_by_itself)
{
    open_();
    push_body(1, "up", 2), play_turn(&p);
    SAID("DATA 1 up|");
    EQ(asks[1].room, 2);
    data(1, 0, "down");
    SAW(&p, "1 body down|");
    data(1, ES, "last");
    SAW(&p, "1 body last|1 end|");
    push_body(1, "still", 5), asks[1].side->down->finish(asks[1].side);
    ask_release(&asks[1]), play_turn(&p);                    /* its last bytes leave though its user has let go */
    SAID("DATA 1 still END|");
    EQ(p.mux->used, 0);
    forget(), up_stop();
    open_();                             /* the other half first */
    asks[1].side->down->finish(asks[1].side), play_turn(&p);
    SAID("DATA 1  END|");
    data(1, 0, "more"), data(1, ES, "");
    SAW(&p, "1 body more|1 end|");
    ask_release(&asks[1]), play_turn(&p);
    SAID("");
    forget(), up_stop();
}

TEST(what_comes_before_its_user_has_opened_it_waits)
{
    begin();
    headers(1, EH, ":status=200"), data(1, 0, "one "), data(1, ES, "two");
    SAW(&p, "1 head 101 none|1 tunnel|");
    asks[1].side->down->tunnel(asks[1].side), play_turn(&p);
    SAW(&p, "1 body one |1 body two|1 end|");
    up_stop();
    begin();                             /* agreed and ended at once */
    answer(1, ES, ":status=204");
    SAW(&p, "1 head 101 none|1 tunnel|");
    asks[1].side->down->tunnel(asks[1].side), play_turn(&p);
    SAW(&p, "1 end|");
    up_stop();
}

TEST(another_answer_is_an_answer_and_ends_the_request)
{
    begin();
    asks[1].keep = false;
    headers(1, EH, ":status=403|content-length=2"), data(1, ES, "no");
    SAW(&p, "1 head 403 len=2|1 body no|1 end|room 0/8|");
    OK(strstr(said(), "DATA 1  END|") != NULL);
    up_stop();
}

TEST(interim_answers_come_before_it)
{
    begin();
    answer(1, 0, ":status=103"), answer(1, 0, ":status=200");
    SAW(&p, "1 info 103|1 head 101 none|1 tunnel|");
    up_stop();
}

TEST(ends_by_force_pass_both_ways)
{
    open_();
    number(F_RST, 1, NGHTTP2_CANCEL), play_turn(&p);
    SAW(&p, "1 abort upstream_truncated|room 0/8|");
    up_stop();
    open_();                             /* also when only our half was still open */
    data(1, ES, "bye"), forget();
    number(F_RST, 1, NGHTTP2_CANCEL), play_turn(&p);
    SAW(&p, "1 abort upstream_truncated|room 0/8|");
    up_stop();
    open_();
    data(1, ES, "bye"), forget();
    p.w->eof = true, play_turn(&p);      /* the same by the connection's end */
    SAW(&p, "1 abort upstream_truncated|gone upstream_closed|");
    up_stop();
    open_();
    asks[1].side->down->abort(asks[1].side, FGW_E_CLIENT_GONE), ask_release(&asks[1]), play_turn(&p);
    SAID("RST 1 8|");
    forget(), up_stop();
    begin();                             /* and before there was an answer */
    ask_release(&asks[1]), play_turn(&p);
    SAID("RST 1 8|");
    forget(), up_stop();
}

TEST(what_is_no_answer_to_it)
{
    static const char *const of[] = {":status=200|connection=upgrade", ":status=200|upgrade=websocket", ":status=101"};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        begin();
        answer(1, 0, of[i]);
        OK(strstr(p.log, "head") == NULL);
        OK(strstr(p.log, "1 abort upstream_bad_answer|") != NULL);
        up_stop();
    }
    open_();
    headers(1, ES | EH, "x-t=1"), play_turn(&p);             /* section 8.5: DATA and nothing else */
    SAW(&p, "1 abort upstream_bad_answer|room 0/8|");
    SAID("RST 1 1|");
    up_stop();
}

TEST(silence_is_not_judged_in_it)
{
    open_();
    p.lim.body_idle_ms = 1000, p.lim.body_rate = 500;
    for (int i = 0; i < 40; i++) play_wait(&p, 500);
    SAW(&p, "");
    up_stop();
}

TEST_MAIN()

/* Names to numbers and back; comma lists. */
#include "http/fields.c"
#include "test.h"

static const char *const KNOWN[] = {
#define FGW_F(id, name, flags) name,
#include "http/fields.def"
#undef FGW_F
};

static enum fgw_field_id id_at_edge(const char *p, size_t n)
{
    char *edge = at_edge(p, n);
    enum fgw_field_id id = fgw_field_id(edge, (uint32_t)n);
    at_edge_free(edge, n);
    return id;
}

TEST(every_known_name_in_any_case)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        size_t n = strlen(KNOWN[i]);
        char upper[64], mixed[64];
        for (size_t k = 0; k < n; k++) {
            char c = KNOWN[i][k];
            upper[k] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
            mixed[k] = k % 2 ? upper[k] : c;
        }
        EQ(id_at_edge(KNOWN[i], n), i + 1);
        EQ(id_at_edge(upper, n), i + 1);
        EQ(id_at_edge(mixed, n), i + 1);
        EQ_STR(fgw_field_name((enum fgw_field_id)(i + 1)), KNOWN[i]);
    }
}

TEST(a_name_with_one_byte_changed_is_another)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        size_t n = strlen(KNOWN[i]);
        char *edge = at_edge(KNOWN[i], n);
        for (size_t k = 0; k < n; k++) {
            char was = edge[k];
            for (int c = 0; c < 256; c++) {
                int same = (char)c == was || (was >= 'a' && was <= 'z' && (char)c == was - 32);
                edge[k] = (char)c;
                if ((fgw_field_id(edge, (uint32_t)n) == i + 1) != same) EQ(c, -1);
            }
            edge[k] = was;
        }
        at_edge_free(edge, n);
    }
}

TEST(longer_shorter_and_unknown_names_are_other)
{
    EQ(id_at_edge("", 0), FGW_H_OTHER);
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        char longer[64];
        size_t n = strlen(KNOWN[i]);
        EQ(id_at_edge(KNOWN[i], n - 1), FGW_H_OTHER);
        memcpy(longer, KNOWN[i], n), longer[n] = 's';
        EQ(id_at_edge(longer, n + 1), FGW_H_OTHER);
    }
    for (size_t n = 1; n < 40; n++) {
        char x[40];
        for (int c = 33; c < 127; c++) {
            memset(x, c, n);
            EQ(id_at_edge(x, n), FGW_H_OTHER);
        }
    }
    EQ_STR(fgw_field_name(FGW_H_OTHER), "");
    EQ_STR(fgw_field_name(FGW_H_COUNT), "");
}

TEST(hop_by_hop)
{
    uint64_t hop = fgw_field_hop_bits();
    for (const char *const *p = (const char *const[]){"transfer-encoding", "connection", "keep-alive", "proxy-connection",
             "proxy-authorization", "te", "upgrade", "http2-settings", NULL}; *p; p++) {
        uint64_t bit = 1ull << fgw_field_id(*p, (uint32_t)strlen(*p));
        OK(hop & bit);
        hop &= ~bit;
    }
    EQ(hop, 0);
}

static void walks_to(const char *list, const char *joined)
{
    char got[256] = "", *edge = at_edge(list, strlen(list));
    size_t n = 0;
    struct fgw_str rest = fgw_str(edge, strlen(list)), m;
    while (fgw_list_next(&rest, &m)) n += (size_t)sprintf(got + n, "<%.*s>", (int)m.n, m.p);
    EQ_STR(fgw_str(got, n), joined);
    EQ(rest.n, 0);
    at_edge_free(edge, strlen(list));
}

TEST(lists)
{
    walks_to("", "");
    walks_to(" , ,,\t", "");
    walks_to("a", "<a>");
    walks_to("close, Keep-Alive", "<close><Keep-Alive>");
    walks_to(",a ,\tb,", "<a><b>");
    walks_to("a b;q=1 , c", "<a b;q=1><c>");
    walks_to("a=\"x,y\", b", "<a=\"x,y\"><b>");
    walks_to("a=\"x\\\",y\", b", "<a=\"x\\\",y\"><b>");
    walks_to("a=\"x,y", "<a=\"x,y>");
    walks_to("a=\"x\\", "<a=\"x\\>");
}

TEST(list_has)
{
    OK(fgw_list_has(FGW_STR("keep-alive, Upgrade"), FGW_STR("upgrade")));
    OK(fgw_list_has(FGW_STR("x;q=1,close ;a=b"), FGW_STR("close")));
    OK(!fgw_list_has(FGW_STR("closed, xclose, clos"), FGW_STR("close")));
    OK(!fgw_list_has(FGW_STR("a=\"close, close\""), FGW_STR("close")));
    OK(!fgw_list_has(FGW_STR(""), FGW_STR("close")));
    OK(!fgw_list_has(FGW_STR(" , ;close"), FGW_STR("close")));
}

TEST_MAIN()

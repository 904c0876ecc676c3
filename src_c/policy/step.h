/* policy/step.h: what policy is made of. A step sees a request and returns data; core executes it.
 *
 *   on_request: NEXT (go on), REPLY (r->answer, r->reply), PARK (a ticket is out; r->call may ask for a subrequest), FAIL (r->fail)
 *   on_reply:   the same; runs in reverse, over r->status and r->reply. A reply made by step k passes the steps before it.
 *   on_body[]:  a filter between the sides, per direction, for HTTP bodies and tunnel bytes alike.
 *   on_cancel:  after PARK: nobody waits for it any more, its ticket is void. on_end still follows.
 *   on_end:     once, whatever happened, if on_request was entered: at the exchange's end, or when it lets go of its snapshot.
 * Owner    steps are static tables; per request each gets state_size zeroed bytes from the arena. Thread one.
 * No step does I/O, calls up, or keeps a pointer into the request after on_end. */
#ifndef FGW_POLICY_STEP_H
#define FGW_POLICY_STEP_H
#include "policy/req.h"

enum fgw_verdict { FGW_NEXT, FGW_REPLY, FGW_PARK, FGW_FAIL };
const char *fgw_verdict_name(enum fgw_verdict v);
enum fgw_dir { FGW_DIR_REQUEST, FGW_DIR_REPLY };

/* Where a body step puts what it lets through. push takes its own reference; end is passed on by core. false: out of memory. */
struct fgw_body_out { bool (*push)(struct fgw_body_out *o, struct fgw_span s); bool (*copy)(struct fgw_body_out *o, const void *p, size_t n); };

struct fgw_step {
    const char *name;
    uint16_t state_size;
    bool changes_length;                     /* on_body may give other than it takes: the length becomes unknown */
    enum fgw_verdict (*on_request)(struct fgw_req *r, const void *args, void *state);
    enum fgw_verdict (*on_reply)(struct fgw_req *r, const void *args, void *state);
    /* A piece of body (or, with end, its end: s may be empty). false: the exchange fails with r->fail. */
    bool (*on_body[2])(struct fgw_req *r, const void *args, void *state, struct fgw_span s, bool end, struct fgw_body_out *o);
    void (*on_cancel)(struct fgw_req *r, const void *args, void *state);
    void (*on_end)(struct fgw_req *r, const void *args, void *state);
};
/* The step of a kind; NULL: not known (the snapshot check refuses it). */
const struct fgw_step *fgw_step_of(enum fgw_step_kind kind);

extern const struct fgw_step fgw_step_headers, fgw_step_redirect, fgw_step_answer, fgw_step_test_body, fgw_step_test_call, fgw_step_rate_limit,
    fgw_step_concurrency, fgw_step_hook;

/* The answer of a route's `to` and of REPLY steps: fills r->answer and r->reply. */
bool fgw_answer_static(struct fgw_req *r, const struct fgw_l_answer *a);
bool fgw_answer_redirect(struct fgw_req *r, const struct fgw_l_redirect *a);

#endif

/* The inside of the MLLP side, shared by server.c (all sessions), session.c (one connection) and frame.c (one frame), and by nobody else. */
#ifndef VB_FEED_SESSION_H
#define VB_FEED_SESSION_H

#include <sys/queue.h>

#include "base/turn.h"
#include "proto/hl7/envelope.h"
#include "intake/message.h"
#include "feed/server.h"
#include "net/mllp_conn.h"
#include "proto/text.h"

STAILQ_HEAD(message_list, message);

/* One frame: a message, or a batch of them, of which a window is in work at a time. A small one that is a message is begun at once; any other one is
 * walked, in as many turns as that takes. */
struct frame {
	TAILQ_ENTRY(frame) link;
	struct session *session;
	struct account account;
	size_t held, held_arena;	/* what it counts: its messages in work and its arena; the latter alone */
	struct message_list messages;	/* begun and not yet answered, in order */
	size_t in_work;			/* of these, those without a result */
	bool walked;			/* every message was begun */
	/* of one that is walked */
	struct arena arena;		/* the frame's bytes and what is made of them */
	struct envelope envelope;
	struct message *reading;	/* not yet begun: it is large; NULL: none */
	bool reading_affordable;
	struct turn_task again;		/* goes on in another turn */
	/* of a batch */
	bool is_batch;
	struct text answers;		/* the acknowledgements so far */
	size_t n_answers;
	bool all_stored;
};

struct session {
	TAILQ_ENTRY(session) link;
	TAILQ_ENTRY(session) paused_link;
	unsigned magic;
	unsigned checked;		/* its certificate, by the server's count */
	struct feed_server *server;
	struct mllp_conn *conn;		/* NULL: gone */
	char peer[64];
	struct sender sender;
	bool release2, paused, ending, told, spoke;
	bool nameless;			/* the connection is gone, and with it the identity of who sent */
	TAILQ_HEAD(frame_list, frame) frames;
	size_t in_work;			/* messages begun and not yet answered */
};

struct feed_server {
	struct core *core;
	struct mllp_limits limits;
	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, session) paused;
	size_t in_work;			/* frames */
	unsigned checks;		/* reloads whose authorities or lists certificates are judged by */
	struct turn_task check;
	struct turn_task progress;	/* resumes who was paused, once a turn however much was finished */
	unsigned connections;
	bool draining;
	struct metric_series *junk, *bare, *open, *acks_in, *naks_in, *strangers;
};

/* Takes a frame's content (copied) into the session; its messages are begun. */
void frame_begin(struct session *s, struct view content);
/* Is it finished, and may be answered when it is the first? */
bool frame_is_done(const struct frame *f);
/* Says what became of it to the peer, where that is still there, and frees it. */
void frame_answer(struct frame *f);
/* Walks on, as far as the window and the turn go. */
void frame_advance(struct frame *f);

/* A message of a known feed has come: the connection has a name. */
void session_name(struct session *s, const struct feed *feed);
/* Answers what is finished at the front, in order; then, where nothing is left, ends. */
void session_answer(struct session *s);
/* Pauses the peer where too much is in work. */
void session_push_back(struct session *s);
/* The reply of a message, counted and, when it is a refusal, logged. */
struct message_reply session_reply_to(struct session *s, struct message *m, bool brief);

void session_new(struct feed_server *server, evutil_socket_t fd, struct place *place, bool release2, bool msh_identity);
void session_resume(struct session *s);
void session_drain(struct session *s);

#endif

/* The inside of a lane, shared by lane.c (what is sent when), lane_failed.c (what becomes of a batch that failed), lane_locked.c (which keys were set
 * aside) and lane_trouble.c (since when nothing is done), and by nobody else. */
#ifndef VB_DB_LANE_INSIDE_H
#define VB_DB_LANE_INSIDE_H

#include "lane.h"

enum { LANE_LOCKED_MAX = 64, LANE_FORGOTTEN_US = 60000000 };	/* who was told to come again may take this long to do so */

/* A key that was set aside. until: when it is forgotten; 0, or in the past: no entry. Monotonic, microseconds. */
struct lane_locked {
	uint64_t key;
	int64_t since, until;
};

/* since: 0: none. last: when it failed last. Monotonic, microseconds. */
struct lane_trouble_inside {
	int64_t since, last;
	char why[200];
};

struct lane {
	const char *name;
	struct lane_limits limits;
	const struct lane_ops *ops;
	void *ctx;
	struct pg *pg;
	struct event *kick, *watch;
	struct lane_list queue, flight;
	struct lane_list aside;		/* could not be done for now; what comes with the same keys is behind it */
	size_t weight;
	bool in_flight, is_aside;	/* is_aside: the batch in flight is from there */
	int64_t answer_us;		/* what a batch has to be done in */
	int64_t sent_at;		/* of the batch in flight */
	unsigned given_up;		/* batches in a row that were not answered in their time; 0 once one is done */
	int64_t not_before;		/* the next batch; monotonic, microseconds */
	int64_t pause_us, aside_at;	/* how long the next pause is; when what is aside is tried */
	int64_t moved_at;		/* when a batch was committed, or work came to an idle lane */
	unsigned retries;		/* of the batch in flight */
	size_t alone_left;		/* items still to be sent one by one */
	size_t split_items;		/* while looking for a bad item: batches of at most this many */
	size_t split_left;		/* items of the failed batch still to go */
	size_t aside_most;		/* items of what is aside in a batch, at most; 0: any */
	struct lane_trouble_inside trouble;
	struct lane_locked locked[LANE_LOCKED_MAX];
	int64_t locked_until;		/* the last of them */
};

/* ------- lane_failed.c */

/* What becomes of the batch in flight, which the database has not done. */
void lane_failed(struct lane *lane, const struct pg_outcome *outcome);
/* The batch goes back to the front of where it came from, in order. */
void lane_requeue(struct lane *lane);

/* Takes the first of a list that is not empty. */
struct lane_item *lane_take_first(struct lane_list *list);
/* Takes the items of a key off a list, in order. */
struct lane_list lane_take_key(struct lane_list *list, uint64_t key);

/* ------- lane_locked.c */

/* The key was set aside; where it is not known yet, it has not been done since then. */
void lane_remember_locked(struct lane *lane, uint64_t key, int64_t since);
void lane_forget_locked(struct lane *lane, uint64_t key);

/* ------- lane_trouble.c */

/* Something was not done; where it is the first time, nothing is since then. why is copied. */
void lane_note_trouble(struct lane *lane, int64_t since, const char *why);

#endif

/* Which feed a message is of: MSH-3 at MSH-4, and the certificate where one is bound. */
#include "check_access.h"

static struct metrics *metrics;
static struct directory *d;
static struct config *config;

static void
setup(void)
{
	metrics = metrics_new();
	d = directory_new(metrics);
	config = house_settings(house);
	ck_assert_int_eq(directory_apply(d, config, IDS), 0);
}

static void
teardown(void)
{
	directory_free(d);
	config_release(config);
	metrics_free(metrics);
}

static const struct {
	const char *application, *facility, *subject;	/* subject NULL: no certificate */
	bool msh;
	const char *feed, *reason;
} rows[] = {
	/* by the header alone, where that will do */
	{"LAB", "LABS", NULL, true, "lab", NULL},
	{"LAB", "LABS", NULL, false, NULL, "certificate_required"},
	{"LAB", "LABS", "CN=nobody", true, "lab", NULL},		/* a certificate that is no feed's says nothing */
	{"LAB", "LABS", "CN=nobody", false, NULL, "certificate_required"},
	/* a feed that is bound to a certificate is accepted by no other way */
	{"CLINIC", "H01", CLINIC_SUBJECT, true, "clinic", NULL},
	{"CLINIC", "H01", CLINIC_SUBJECT, false, "clinic", NULL},
	{"CLINIC", "H01", NULL, true, NULL, "certificate_required"},
	{"CLINIC", "H01", "CN=nobody", true, NULL, "certificate_required"},
	/* and a certificate that is bound speaks for no other feed */
	{"LAB", "LABS", CLINIC_SUBJECT, true, NULL, "feed_mismatch"},
	{"XRAY", "H09", CLINIC_SUBJECT, true, NULL, "feed_mismatch"},
	/* the stars take what no name does */
	{"XRAY", "H09", NULL, true, "any", NULL},
	{"LAB", "H02", NULL, true, "any", NULL},
};

START_TEST(test_feed_of_a_header)
{
	const struct sender sender = {rows[_i].subject != NULL ? identity_of(rows[_i].subject, "") : NULL, rows[_i].msh};
	const char *reason = NULL;
	struct feed *f = directory_feed(d, view_of(rows[_i].application), view_of(rows[_i].facility), &sender, &reason);

	if (rows[_i].feed != NULL) {
		ck_assert_msg(f != NULL, "refused: %s", reason);
		ck_assert_str_eq(f->name, rows[_i].feed);
	} else {
		ck_assert_ptr_null(f);
		ck_assert_str_eq(reason, rows[_i].reason);
	}
}
END_TEST

START_TEST(test_unknown)
{
	static const char text[] = "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n[facility H01]\n[facility H02]\n"
	    "[feed lab]\nfacility = H01\napplication = LAB\n[feed api]\nfacility = H02\ntoken = feed-token-of-the-api\n";
	const struct sender sender = {NULL, true};
	struct config *other = house_settings(text);
	const char *reason = NULL;

	ck_assert_int_eq(directory_apply(d, other, IDS), 0);
	ck_assert_ptr_null(directory_feed(d, VIEW_LITERAL("XRAY"), VIEW_LITERAL("H01"), &sender, &reason));
	ck_assert_str_eq(reason, "feed_unknown");
	ck_assert_ptr_null(directory_feed(d, VIEW_LITERAL("LAB"), VIEW_LITERAL("H09"), &sender, &reason));
	ck_assert_str_eq(reason, "facility_unknown");
	ck_assert_ptr_null(directory_feed(d, VIEW_LITERAL(""), VIEW_LITERAL("H02"), &sender, &reason));	/* api has no MSH-3 */
	ck_assert_str_eq(reason, "facility_unknown");
	ck_assert_ptr_null(directory_feed(d, VIEW_LITERAL("CLINIC"), VIEW_LITERAL("H01"), &sender, &reason));	/* not configured any more */
	ck_assert_str_eq(reason, "feed_unknown");
	config_release(other);
}
END_TEST

START_TEST(test_names_and_ids)
{
	struct feed *lab = directory_feed_named(d, "lab");

	ck_assert_ptr_nonnull(lab);
	ck_assert_int_eq(lab->feed_id, 12);
	ck_assert_int_eq(lab->facility_id, 2);
	ck_assert_str_eq(lab->facility, "H02");
	ck_assert_ptr_eq(directory_feed_by_id(d, 12), lab);
	ck_assert_ptr_null(directory_feed_by_id(d, 99));
	ck_assert_ptr_null(directory_feed_named(d, "xray"));
	ck_assert(directory_knows(d, identity_of(CLINIC_SUBJECT, "")));
	ck_assert(!directory_knows(d, identity_of("CN=card", "")));	/* a token's, not a feed's */
	ck_assert(!directory_knows(d, NULL));
}
END_TEST

/* A feed stays where it is over a reload, also one that is gone from the settings; its texts live on. */
START_TEST(test_reload)
{
	static const char text[] = "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n[facility H01]\n"
	    "[feed lab]\nfacility = H01\napplication = NEWLAB\n";
	struct feed *lab = directory_feed_named(d, "lab"), *clinic = directory_feed_named(d, "clinic");
	const char *application = lab->application;
	struct config *other = house_settings(text);

	ck_assert_int_eq(directory_apply(d, other, "{\"facilities\": {\"H01\": 1}, \"feeds\": {\"lab\": 12}}"), 0);
	ck_assert_ptr_eq(directory_feed_named(d, "lab"), lab);
	ck_assert_str_eq(lab->application, "NEWLAB");
	ck_assert_str_eq(application, "LAB");
	ck_assert(!clinic->active);
	ck_assert_str_eq(clinic->name, "clinic");
	ck_assert_ptr_null(directory_feed_named(d, "clinic"));
	ck_assert(!directory_knows(d, identity_of(CLINIC_SUBJECT, "")));
	ck_assert_ptr_eq(directory_feed_by_id(d, 11), clinic);
	config_release(other);
}
END_TEST

/* How a feed speaks is made of its settings; a message that began with a profile may keep it over reloads. */
START_TEST(test_profiles)
{
	static const char text[] = "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n[facility H01]\n[facility H02]\n"
	    "[feed lab]\nfacility = H02\napplication = LAB\nvisit_no = PID-18\nnegative = credit\n";
	struct feed *lab = directory_feed_named(d, "lab"), *clinic = directory_feed_named(d, "clinic");
	const struct hl7_profile *before = lab->profile;
	struct config *other = house_settings(text);

	ck_assert_ptr_eq(before, clinic->profile);
	ck_assert_uint_eq(before->n_visit_no, 2);
	ck_assert(!before->negative_is_credit);
	ck_assert_int_eq(directory_apply(d, other, IDS), 0);
	ck_assert_uint_eq(lab->profile->n_visit_no, 1);
	ck_assert_int_eq(lab->profile->visit_no[0], VISIT_PID_18);
	ck_assert(lab->profile->negative_is_credit);
	ck_assert_uint_eq(before->n_visit_no, 2);
	ck_assert_int_eq(directory_apply(d, config, IDS), 0);
	ck_assert_ptr_eq(lab->profile, before);		/* equal settings, the same profile: reloads take no memory */
	config_release(other);
}
END_TEST

START_TEST(test_ids_that_do_not_fit)
{
	static const char *const ids[] = {
		"not json", "{}", "{\"facilities\": {\"H01\": 1}, \"feeds\": {\"clinic\": 11, \"lab\": 12, \"any\": 13, \"api\": 14, \"both\": 15}}",
		"{\"facilities\": {\"H01\": 1, \"H02\": 2}, \"feeds\": {\"lab\": 12}}",
	};

	ck_assert_int_eq(directory_apply(d, config, ids[_i]), -1);
	ck_assert(directory_feed_named(d, "lab")->active);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("directory");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	check_add_rows(run, test_feed_of_a_header, rows);
	tcase_add_test(run.tcase, test_unknown);
	tcase_add_test(run.tcase, test_names_and_ids);
	tcase_add_test(run.tcase, test_reload);
	tcase_add_test(run.tcase, test_profiles);
	tcase_add_loop_test(run.tcase, test_ids_that_do_not_fit, 0, 4);
	return check_end(run);
}

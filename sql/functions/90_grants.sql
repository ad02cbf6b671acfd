-- The daemon's role reads, and calls the functions above; it cannot write a table. @role@ is the role that the
-- configuration names; migrate replaces it.
revoke all on all tables in schema @schema@ from public;
revoke all on all functions in schema @schema@ from public;
grant usage on schema @schema@ to @role@;
grant select on all tables in schema @schema@ to @role@;
grant execute on function lock_briefly, beat, visits_hold, setup_apply, feed_marks, feed_counts, feed_doc, items_import, items_keep, partitions_ahead, visit_events, charges_post, charges_post_one, quarantine_put,
    quarantine_resolve, quarantine_supersede, quarantine_replayed, quarantine_replayable, quarantine_ready, quarantine_bytes, quarantine_list,
    quarantine_summary, quarantine_dismiss, visits_close, visits_end, visit_settle, visit_statement, visits_overdue, payment_create, payment_pending,
    payment_unknown, payment_end, payment_captures, payments_due, payment_cancel, visit_doc, visit_bills, bill_doc, payment_get,
    receipt_get, bills_watch, lookalikes_find, lookalike_list, lookalike_dismiss, audit, audit_visits, audit_totals, books, status_doc, reload_orphans, tokens_changed, tokens_used, token_list to @role@;
grant execute on function yuan, decimal_text, iso_time to @role@;

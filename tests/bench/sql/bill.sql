-- The query behind GET /v1/bills/{bill}?lines=all, as the daemon's role. pgbench -M prepared.
\set n random(1, :bills)
select outcome, doc from bill_doc('bench-' || :n::int, true, '{*}');

-- One commit of one line by one client: what an answer that waits for the disk costs at least. pgbench -M prepared -c 1,
-- and with more clients and -R, where lines come as they are due.
\set visit random(1, :visits)
\set id random(1, 900000000000000000)
with v as (update visit set total = total + 2560, line_count = line_count + 1 where visit_id = :visit returning visit_id, line_count)
insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at, posted_at, digest, source_line,
       message_id, item_code, item_name, national_code, class, unit, department, performer, orderer, order_no)
select visit_id, line_count, 1, 'CG', 9, 0, 20000, 12800000, 2560, now(), now(), md5(:id::bigint::text)::uuid, 'P-' || :id::bigint, 'M-' || :id::bigint,
       'XY0001', '阿莫西林胶囊0.25g*24粒', 'XA01BC02', 'A', '盒', '心内科门诊', '王建国', '李明华', 'O' || :id::bigint
  from v;

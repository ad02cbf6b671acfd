-- All numbers of a visit find it; and lines that a merge moved are known by columns, not by a text put together.

-- The kinds of numbers that a visit has: PV1-19, PID-18, PV1-50.
create domain number_kind as text;     -- its check comes last, so that no table is rewritten
alter table visit add column number_kind number_kind not null default 'visit',          -- of visit_no
                  add column merged_next bigint references visit;                       -- the visit that it went into then; merged_into: where it is now
update visit v set merged_next = coalesce(
       (select n.visit_id from event e join visit n on n.facility_id = v.facility_id and n.visit_no = e.detail ->> 'into'
         where e.visit_id = v.visit_id and e.kind = 'visit' and e.to_state = 'merged' order by e.event_id desc limit 1), merged_into)
 where merged_into is not null;

alter domain number_kind add check (value in ('visit', 'account', 'alternate'));

-- Further numbers. One number may be several visits' (an account's); then it alone finds none.
create table visit_number (
    facility_id int not null references facility,
    number      text collate "C" not null check (number <> ''),
    kind        number_kind not null,
    visit_id    bigint not null references visit,
    primary key (facility_id, number, kind, visit_id)
);
create index visit_number_visit on visit_number (visit_id);

-- The number that a line, or the line that it takes back, was sent under, where that is not the visit's own: of a visit that was merged into it. The key of
-- charge is built anew, partition by partition: feeds wait for about as long as a reindex of it takes.
alter table charge add column sent_as text collate "C" not null default '', add column reverses_as text collate "C" not null default '';
drop trigger append_only on charge;
update charge r set reverses_as = o.sent_visit_no, reverses_line = left(r.reverses_line, -length(o.sent_visit_no) - 1)
  from charge o
 where r.visit_id in (select visit_id from visit where absorbed) and o.visit_id = r.visit_id and o.feed_id = r.feed_id and o.source_line = r.reverses_line and o.sent_visit_no is not null
   and right(o.source_line, length(o.sent_visit_no) + 1) = '@' || o.sent_visit_no;
alter table charge drop constraint charge_pkey, add primary key (visit_id, feed_id, source_line, sent_as);
update charge set sent_as = sent_visit_no, source_line = left(source_line, -length(sent_visit_no) - 1)
 where visit_id in (select visit_id from visit where absorbed) and right(source_line, length(sent_visit_no) + 1) = '@' || sent_visit_no;
alter table charge drop column sent_visit_no;
create trigger append_only before update or delete on charge for each row execute function refuse_change();

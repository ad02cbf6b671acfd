-- What is due to be closed is found facility by facility, by what waits there the longest, however many wait for a feed. The table is locked first, briefly, as
-- in the migrations before: where the lock is not to be had at once, nobody is made to wait for long.
do $$
declare
    v_end timestamptz := clock_timestamp() + interval '60 s';
begin
    set local lock_timeout = '500ms';
    loop
        begin
            lock table visit in access exclusive mode;
            exit;
        exception when lock_not_available then
            if clock_timestamp() > v_end then
                raise;
            end if;
            perform pg_sleep(0.2 + random() / 2);
        end;
    end loop;
    set local lock_timeout = '60s';
end $$;

drop index visit_discharged, visit_late;
create index visit_discharged on visit (facility_id, close_failed_at nulls first, discharge_seen_at, discharged_at, discharge_feed) where state = 'discharged';
create index visit_late on visit (facility_id, late_since) where late_since is not null;

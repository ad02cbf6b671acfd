-- What is due to be closed is found facility by facility, by what waits there the longest, however many wait for a feed. A patient's visits are found by his
-- number and its facility, the newest first: hospitals of one city number their patients alike. That one is not led by facility_id, as before: a plan made on
-- an empty table would take it for the key of a visit. The table is locked first, briefly, as in the migrations before: where the lock is not to be had at
-- once, nobody is made to wait for long.
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

drop index visit_discharged, visit_late, visit_patient;
create index visit_discharged on visit (facility_id, close_failed_at nulls first, discharge_seen_at, discharged_at, discharge_feed) where state = 'discharged';
create index visit_late on visit (facility_id, late_since) where late_since is not null;
create index visit_patient on visit (patient_no, facility_id, visit_id) where patient_no is not null;

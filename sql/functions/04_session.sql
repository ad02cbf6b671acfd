-- What connections ask for themselves, and not for a caller.

-- Until the transaction ends no lock is waited for longer.
create or replace function lock_briefly(p_ms text) returns void
language sql security definer set search_path from current as $$
    select set_config('lock_timeout', p_ms, true)
$$;

-- Adds the changes of kept_change up into kept_count, where nobody else does so now.
create or replace function counts_fold() returns void language plpgsql as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended(current_schema || '.counts', 0)) then
        return;
    end if;
    with gone as (
        delete from kept_change where ctid = any (array(select ctid from kept_change limit 10000)) returning kind, name, n
    )
    insert into kept_count as c (kind, name, n) select kind, name, sum(n) from gone group by kind, name order by kind, name
    on conflict (kind, name) do update set n = c.n + excluded.n;
end $$;

-- A commit like any other. Returns how many standbys stream from here and by how much the last one is behind, as far as this may be seen (null where
-- not: it takes pg_read_all_stats). Locks the one row of beat.
create or replace function beat(out standbys bigint, out lag_us bigint)
language plpgsql security definer set search_path from current as $$
begin
    update beat set at = clock_timestamp();
    perform counts_fold();
    select count(*), (extract(epoch from max(r.replay_lag)) * 1000000)::bigint into standbys, lag_us from pg_stat_replication r;
end $$;

-- What connections ask for themselves, and not for a caller.

-- Until the transaction ends no lock is waited for longer.
create or replace function lock_briefly(p_ms text) returns void
language sql security definer set search_path from current as $$
    select set_config('lock_timeout', p_ms, true)
$$;

-- A commit like any other. Returns how many standbys stream from here and by how much the last one is behind, as far as this may be seen (null where
-- not: it takes pg_read_all_stats). Locks the one row of beat.
create or replace function beat(out standbys bigint, out lag_us bigint)
language plpgsql security definer set search_path from current as $$
begin
    update beat set at = clock_timestamp();
    select count(*), (extract(epoch from max(r.replay_lag)) * 1000000)::bigint into standbys, lag_us from pg_stat_replication r;
end $$;

-- Who may see what, and who may call: scopes, and tokens of which only the SHA-256 is known.

-- The only place that says whether a scope covers a facility. A scope is codes of facilities; {*}, said in so many words, is all of them; null and the
-- empty array are none. It takes the code, not the id: without a query of its own PostgreSQL puts it into the statement that calls it.
create or replace function in_scope(p_scope text[], p_facility text) returns boolean language sql immutable parallel safe as $$
    select coalesce(p_scope = array['*'] or p_facility = any (p_scope), false)
$$;

-- A new token: done, name_taken (also by one that was revoked), secret_taken, or expired when its time is over before it begins. Only the schema's
-- owner may. Takes the lock of tokens, see token_change.
create or replace function token_new(p_name text, p_sha256 bytea, p_role text, p_facilities text[], p_feed text, p_expires timestamptz, p_by text)
returns text language plpgsql as $$
begin
    if p_expires <= now() then
        return 'expired';
    end if;
    insert into api_token (name, sha256, role, facilities, feed, expires_at, created_by)
    values (p_name, p_sha256, p_role, p_facilities, p_feed, p_expires, p_by)
    on conflict do nothing;
    return case when found then 'done' when exists (select from api_token where name = p_name) then 'name_taken' else 'secret_taken' end;
end $$;

-- Ends a token: done, repeated, or token_unknown. Only the schema's owner may. Locks the token's row, then takes the lock of tokens.
create or replace function token_revoke(p_name text, p_by text) returns text language plpgsql as $$
begin
    update api_token set revoked_at = now(), revoked_by = p_by where name = p_name and revoked_at is null;
    return case when found then 'done' when exists (select from api_token where name = p_name) then 'repeated' else 'token_unknown' end;
end $$;

-- The tokens that changed after the change of that number, in the order of their changes; after 0: all. facilities: codes, blanks between, * for all.
-- expires_us: microseconds since 1970 UTC.
create or replace function tokens_changed(p_since bigint)
returns table (token_id bigint, name text, sha256 bytea, role text, facilities text, feed text, expires_us bigint, revoked boolean, changed bigint)
language plpgsql stable security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
    select t.token_id, t.name, t.sha256, t.role::text, array_to_string(t.facilities, ' '), t.feed, (extract(epoch from t.expires_at) * 1000000)::bigint,
           t.revoked_at is not null, t.changed
      from api_token t where t.changed > p_since order by t.changed;
end $$;

-- When tokens were used last, and from where. A token may come several times, and late: the newest use counts. Locks token_use in the order of
-- token_id.
create or replace function tokens_used(p_token bigint[], p_at timestamptz[], p_peer text[]) returns void
language plpgsql security definer set search_path from current as $$
begin
    insert into token_use as u (token_id, last_used_at, last_peer)
    select distinct on (n.token_id) n.token_id, n.used_at, n.peer
      from unnest(p_token, p_at, p_peer) n (token_id, used_at, peer) join api_token using (token_id)
     order by n.token_id, n.used_at desc
    on conflict (token_id) do update
       set last_used_at = greatest(u.last_used_at, excluded.last_used_at),
           last_peer = case when excluded.last_used_at >= u.last_used_at then excluded.last_peer else u.last_peer end;
end $$;

-- For `visitbillctl token list`.
create or replace function token_list() returns table (name text, role text, facilities text[], feed text, created_at timestamptz, created_by text,
    expires_at timestamptz, last_used_at timestamptz, last_peer text, revoked_at timestamptz, revoked_by text, state text)
language sql stable security definer set search_path from current as $$
    select t.name, t.role::text, t.facilities, t.feed, t.created_at, t.created_by, t.expires_at, u.last_used_at, u.last_peer, t.revoked_at, t.revoked_by,
           case when t.revoked_at is not null then 'revoked' when t.expires_at <= now() then 'expired' else 'active' end
      from api_token t left join token_use u using (token_id) order by t.name
$$;

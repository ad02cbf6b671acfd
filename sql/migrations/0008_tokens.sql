-- Tokens: who may call the daemon. Of a secret only its SHA-256 is kept. A token ends by its time or by being revoked, never by being deleted; its use
-- is a head row of its own, so that a token's row changes only when it is revoked.
create domain token_role as text check (value in ('kiosk', 'desk', 'ops', 'feed'));

create table api_token (
    token_id   bigint generated always as identity primary key,
    name       text collate "C" not null unique,
    sha256     bytea not null unique,
    role       token_role not null,
    facilities text[] not null,                     -- a scope: codes of facilities, or {*}
    feed       text collate "C",                    -- of role feed: for which feed it sends
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    changed    bigint not null unique,              -- grows with every change of any token, in the order of commits
    check (name ~ '^[^[:space:][:cntrl:]"\\]{1,64}$' and octet_length(sha256) = 32
           and cardinality(facilities) > 0 and array_position(facilities, null) is null and array_position(facilities, '') is null
           and (role = 'feed') = (feed is not null) and (revoked_at is null) = (revoked_by is null))
);
create sequence api_token_changed;

create table token_use (
    token_id     bigint primary key references api_token,
    last_used_at timestamptz not null,
    last_peer    text
) with (fillfactor = 50);

-- Numbers a change, and refuses any but a revocation. The lock lasts until the commit: whoever reads up to a number has seen every change below it.
create function token_change() returns trigger language plpgsql set search_path from current as $$
begin
    if tg_op = 'UPDATE' and (old.revoked_at is not null
       or (new.token_id, new.name, new.sha256, new.role, new.facilities, new.feed, new.created_at, new.created_by, new.expires_at)
          is distinct from (old.token_id, old.name, old.sha256, old.role, old.facilities, old.feed, old.created_at, old.created_by, old.expires_at)) then
        raise exception 'a token changes only by being revoked, once' using errcode = 'insufficient_privilege';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(current_schema || '.tokens', 0));
    new.changed := nextval('api_token_changed');
    return new;
end $$;
create trigger change before insert or update on api_token for each row execute function token_change();
create trigger never_deleted before delete or truncate on api_token for each statement execute function refuse_change();

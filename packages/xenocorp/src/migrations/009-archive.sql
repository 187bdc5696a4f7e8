-- Leases that are over may lie in the archive: where each one's receipt is. Of their documents only the signed bytes go, and of those only what
-- the public log does not hold: ids, leaves and salts stay, so that places in the log are proved as before.
create table archived (
  lease text collate "C" primary key,
  -- since when nothing was said of it
  over bigint not null,
  file text not null,
  start bigint not null,
  bytes int not null,
  digest text not null
);
create index archived_over on archived (over);
alter table document alter column envelope drop not null;

create function over_since(lease jsonb) returns bigint language sql immutable parallel safe as $$
  select case when lease->>'state' in ('final', 'lapsed') then (lease->>'toldAt')::bigint end
$$;
create index entity_lease_over on entity (over_since(data), id) where kind = 'lease' and over_since(data) is not null;

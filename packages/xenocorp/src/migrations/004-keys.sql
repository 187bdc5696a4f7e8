-- Keys that were ended lately: every broker asks for them several times a second.
create index entity_key_revoked on entity (((data->>'revokedAt')::bigint)) where kind = 'key' and data->>'revokedAt' is not null;
create index entity_key_good on entity ((data->>'party')) where kind = 'key' and data->>'revokedAt' is null;
create index document_rare on document (kind, seq) where kind in ('referee', 'witness', 'market-keys', 'epoch');

-- Results sealed for their customers. Ciphertext does not get smaller by compression.
create table sealed (
  lease text not null,
  part int not null,
  owner text not null,
  bytes bytea not null,
  size bigint not null,
  digest text not null,
  at bigint not null,
  until bigint not null,
  primary key (lease, part)
);
alter table sealed alter column bytes set storage external;
create index sealed_until on sealed (until);

-- The first bytes of a part stay. All together stay below the bound, and those of one owner's leases below theirs, however many
-- brokers write at once. Null: full.
create function put_sealed(
  of_lease text, its_part int, its_owner text, given bytea, its_digest text, given_at bigint, keep_until bigint, bytes_max bigint, owner_max bigint
)
returns text language plpgsql as $$
declare
  known text;
begin
  perform pg_advisory_xact_lock(7302004);
  select digest into known from sealed where lease = of_lease and part = its_part;
  if found then
    return known;
  end if;
  if (select coalesce(sum(size), 0) from sealed) + octet_length(given) > bytes_max
    or (select coalesce(sum(size), 0) from sealed where owner = its_owner) + octet_length(given) > owner_max then
    return null;
  end if;
  insert into sealed (lease, part, owner, bytes, size, digest, at, until)
    values (of_lease, its_part, its_owner, given, octet_length(given), its_digest, given_at, keep_until);
  return its_digest;
end
$$;

-- `sees` of store/reader.ts: a customer sees what it ordered inside its account and label, an owner what its servers run, a server what it runs itself.
create function lease_seen(lease jsonb, party text, account text, label text, server_key text)
returns boolean language sql immutable parallel safe as $$
  select (server_key is null and lease->>'customer' = party
      and (account is null or lease->>'account' = account) and (label is null or lease->>'label' = label))
    or (lease->>'owner' = party and account is null and label is null and (server_key is null or lease->>'serverKey' = server_key))
$$;

-- All states in which a server must know of a lease, `closed` too: an index that leaves one out serves no query that asks for it.
drop index entity_lease_server;
create index entity_lease_server on entity ((data->>'server')) where kind = 'lease' and data->>'state' not in ('settled', 'final', 'lapsed');

-- A reader's leases in the order of their time, those that are live apart: of a long history nothing is read that is not shown.
create index entity_lease_account on entity ((data->>'account'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_lease_label on entity ((data->>'customer'), (data->>'label'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_lease_server_key on entity ((data->>'serverKey'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_live_customer on entity ((data->>'customer'), ((data->>'issuedAt')::bigint))
  where kind = 'lease' and data->>'state' not in ('settled', 'final', 'lapsed');
create index entity_live_owner on entity ((data->>'owner'), ((data->>'issuedAt')::bigint))
  where kind = 'lease' and data->>'state' not in ('settled', 'final', 'lapsed');

-- Servers whose offer is good for a while yet.
create index entity_server_listed on entity (((data->'offer'->>'validUntil')::bigint)) where kind = 'server' and data->'offer' <> 'null'::jsonb;

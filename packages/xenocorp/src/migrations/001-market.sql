-- Names are compared by their bytes: beginnings of them are found as ranges.
create table entity (
  kind text not null,
  id text collate "C" not null,
  version int not null,
  data jsonb not null,
  primary key (kind, id)
);
create index entity_key_party on entity ((data->>'party')) where kind in ('key', 'account', 'batch');
create index entity_lease_customer on entity ((data->>'customer'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_lease_owner on entity ((data->>'owner'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_lease_server on entity ((data->>'server')) where kind = 'lease' and data->>'state' in ('bound', 'open', 'stopping');
create index entity_deadline on entity (kind, ((data->>'deadlineAt')::bigint)) where data->>'deadlineAt' is not null;

create table balance (key text collate "C" primary key, amount bigint not null, floor bigint);
create index balance_held on balance (key) where key like '%/held' and amount <> 0;
create table transfer (
  id text primary key,
  debit text not null,
  credit text not null,
  amount bigint not null check (amount > 0),
  xid xid8 not null default pg_current_xact_id(),
  seq bigserial,
  at timestamptz not null default clock_timestamp()
);
create index transfer_debit on transfer (split_part(debit, '/', 1), seq);
create index transfer_credit on transfer (split_part(credit, '/', 1), seq);
create index transfer_xid on transfer (xid);

create table applied (id text primary key, answer jsonb not null);
create table unique_key (key text primary key, change_id text not null);

create table document (
  id text primary key,
  kind text not null,
  lease text,
  parties text[] not null,
  envelope jsonb not null,
  at bigint not null,
  salt text not null,
  leaf text not null,
  seq bigserial
);
create index document_lease on document (lease, seq) where lease is not null;

create table event (
  xid xid8 not null default pg_current_xact_id(),
  seq bigserial,
  party text not null,
  kind text not null,
  lease text,
  data jsonb not null,
  at bigint not null,
  primary key (xid, seq)
);
create index event_party on event (party, xid, seq);

create table log_pending (seq bigserial primary key, document_id text not null);
create table log_leaf (epoch int not null, index bigint not null, hash text not null, document_id text not null, primary key (epoch, index));
create index log_leaf_hash on log_leaf (hash);
create table log_node (epoch int not null, level int not null, index bigint not null, hash text not null, primary key (epoch, level, index));
create table log_head (epoch int primary key, id text not null, size bigint not null, root text not null, checkpoint text not null);

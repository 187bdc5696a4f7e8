/** The database's schema, in order. A migration is never edited after release; each runs once, under an advisory lock, in one transaction. */

export interface Migration {
  name: string;
  sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  {
    name: "001-market",
    sql: `
create table entity (
  kind text not null,
  id text not null,
  version int not null,
  data jsonb not null,
  primary key (kind, id)
);
create index entity_key_party on entity ((data->>'party')) where kind in ('key', 'account', 'batch');
create index entity_lease_customer on entity ((data->>'customer'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_lease_owner on entity ((data->>'owner'), ((data->>'issuedAt')::bigint)) where kind = 'lease';
create index entity_lease_server on entity ((data->>'server')) where kind = 'lease' and data->>'state' in ('bound', 'open', 'stopping');
create index entity_deadline on entity (kind, ((data->>'deadlineAt')::bigint)) where data->>'deadlineAt' is not null;

create table balance (key text primary key, amount bigint not null, floor bigint);
create table transfer (
  id text primary key,
  debit text not null,
  credit text not null,
  amount bigint not null check (amount > 0),
  seq bigserial,
  at timestamptz not null default clock_timestamp()
);
create index transfer_debit on transfer (split_part(debit, '/', 1), seq);
create index transfer_credit on transfer (split_part(credit, '/', 1), seq);

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
create table log_head (epoch int primary key, size bigint not null, root text not null, checkpoint text not null);
`,
  },
  {
    name: "002-commit",
    sql: `
create function commit_changes(batch jsonb) returns jsonb language plpgsql as $$
declare
  c jsonb;
  results jsonb := '[]';
  earlier jsonb;
  bad text;
  short bigint;
begin
  insert into balance (key, amount, floor)
    select distinct k, 0::bigint, 0::bigint from jsonb_array_elements(batch) change,
      lateral (select t->>'debit' as k from jsonb_array_elements(change->'transfers') t
               union select t->>'credit' from jsonb_array_elements(change->'transfers') t
               union select f->>'key' from jsonb_array_elements(change->'floors') f) keys
    order by 1
    on conflict do nothing;
  perform 1 from balance where key in (
      select t->>'debit' from jsonb_array_elements(batch) change, jsonb_array_elements(change->'transfers') t
      union select t->>'credit' from jsonb_array_elements(batch) change, jsonb_array_elements(change->'transfers') t
      union select f->>'key' from jsonb_array_elements(batch) change, jsonb_array_elements(change->'floors') f)
    order by key for update;
  perform 1 from entity where (kind, id) in (
      select p->>'kind', p->>'id' from jsonb_array_elements(batch) change, jsonb_array_elements(change->'puts') p)
    order by kind, id for update;

  for c in select value from jsonb_array_elements(batch) with ordinality order by ordinality loop
    insert into applied (id, answer) values (c->>'id', c->'answer') on conflict do nothing;
    if not found then
      select answer into earlier from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'replayed', 'answer', earlier));
      continue;
    end if;

    bad := null;
    select (p->>'kind') || ' ' || (p->>'id') into bad
      from jsonb_array_elements(c->'puts') with ordinality as ps(p, ord)
      left join entity e on e.kind = p->>'kind' and e.id = p->>'id'
      where coalesce(e.version, 0) <> (p->>'expect')::int order by ord limit 1;
    if bad is not null then
      delete from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'conflict', 'what', bad));
      continue;
    end if;

    select key into bad from unique_key where key in (select jsonb_array_elements_text(c->'uniques')) limit 1;
    if bad is not null then
      delete from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'id_reused', 'what', bad));
      continue;
    end if;

    with fresh as (
      select t->>'debit' as debit, t->>'credit' as credit, (t->>'amount')::bigint as amount, ord
        from jsonb_array_elements(c->'transfers') with ordinality as ts(t, ord)
        where not exists (select 1 from transfer where id = t->>'id')
    ), delta as (
      select key, sum(amount) as amount, min(ord) filter (where amount < 0) as ord from (
        select debit as key, -amount as amount, ord from fresh union all select credit, amount, ord from fresh) moves
      group by key
    ), floors as (
      select f->>'key' as key, (f->>'floor')::bigint as floor from jsonb_array_elements(c->'floors') f
    ), bounded as (
      select d.key, b.amount + d.amount as next, d.ord, case when f.key is null then b.floor else f.floor end as floor
        from delta d join balance b on b.key = d.key left join floors f on f.key = d.key
    )
    select key, floor - next into bad, short from bounded
      where ord is not null and floor is not null and next < floor order by ord limit 1;
    if bad is not null then
      delete from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'below_floor', 'key', bad, 'missing', short::text));
      continue;
    end if;

    update balance b set floor = (f->>'floor')::bigint from jsonb_array_elements(c->'floors') f where b.key = f->>'key';
    with fresh as (
      insert into transfer (id, debit, credit, amount)
        select t->>'id', t->>'debit', t->>'credit', (t->>'amount')::bigint from jsonb_array_elements(c->'transfers') t
        on conflict do nothing returning debit, credit, amount
    ), delta as (
      select key, sum(amount) as amount from (select debit as key, -amount as amount from fresh union all select credit, amount from fresh) moves group by key
    )
    update balance b set amount = b.amount + d.amount from delta d where b.key = d.key;
    insert into entity (kind, id, version, data)
      select p->>'kind', p->>'id', 1, p->'data' from jsonb_array_elements(c->'puts') p where (p->>'expect')::int = 0;
    update entity e set version = e.version + 1, data = p->'data'
      from jsonb_array_elements(c->'puts') p where (p->>'expect')::int > 0 and e.kind = p->>'kind' and e.id = p->>'id';
    insert into unique_key (key, change_id) select u, c->>'id' from jsonb_array_elements_text(c->'uniques') u;
    insert into document (id, kind, lease, parties, envelope, at, salt, leaf)
      select d->>'id', d->>'kind', d->>'lease', array(select jsonb_array_elements_text(d->'parties')), d->'envelope', (d->>'at')::bigint, d->>'salt', d->>'leaf'
        from jsonb_array_elements(c->'documents') with ordinality as ds(d, ord) order by ord;
    insert into log_pending (document_id) select d->>'id' from jsonb_array_elements(c->'documents') with ordinality as ds(d, ord) order by ord;
    insert into event (party, kind, lease, data, at)
      select v->>'party', v->>'kind', v->>'lease', v->'data', (v->>'at')::bigint from jsonb_array_elements(c->'events') with ordinality as vs(v, ord) order by ord;
    results := results || jsonb_build_array(jsonb_build_object('status', 'applied', 'answer', c->'answer'));
  end loop;
  return results;
end
$$;
`,
  },
  {
    name: "003-hearing",
    sql: `
create table hearing (one boolean primary key check (one), at bigint not null);
drop index entity_lease_server;
create index entity_lease_server on entity ((data->>'server'))
  where kind = 'lease' and data->>'state' not in ('closed', 'settled', 'final', 'lapsed');
`,
  },
];

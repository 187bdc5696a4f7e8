-- What an operator watches, without reading history for it.

-- Live leases by their state, and nothing of those that are over.
create index entity_live_state on entity (live_side(data, 'state')) where kind = 'lease' and live_side(data, 'state') is not null;

-- In which pot a balance's money lies: the broker's own apart from everybody else's; null where it is no money, or lies outside.
create function pot_of(key text) returns text language sql immutable parallel safe as $$
  select case when split_part(key, '/', 2) in ('available', 'held', 'pending', 'staked', 'locked') and split_part(key, '/', 1) not in ('source', 'sink')
    then case split_part(key, '/', 1) when 'xenocorp' then 'xenocorp' else 'parties' end || '/' || split_part(key, '/', 2) end
$$;
-- What was proved, pot by pot.
create table proved_pot (pot text primary key, amount numeric not null);
insert into proved_pot select pot_of(key), sum(amount) from proved_sum where pot_of(key) is not null group by 1;

-- As before, and what lies in each pot: the proved sums and what moved since.
create or replace function prove_books(live_states text[]) returns jsonb language plpgsql as $$
declare
  found jsonb;
begin
  perform pg_advisory_xact_lock(7302005);
  with place as (
    select p.before as since, pg_snapshot_xmin(pg_current_snapshot()) as upto from proved p
  ), fresh as (
    select debit, credit, amount, xid < (select upto from place) as settled from transfer where xid >= (select since from place)
  ), moves as (
    select debit as key, -amount as amount, settled from fresh union all select credit, amount, settled from fresh
  ), moved as (
    select key, sum(amount) as amount, coalesce(sum(amount) filter (where settled), 0) as settled, bool_or(settled) as keeps from moves group by key
  ), compared as (
    select key, coalesce((select amount from balance b where b.key = m.key), 0) as balance,
           coalesce((select amount from proved_sum p where p.key = m.key), 0) + m.amount as sum
      from moved m
  ), wrong as (
    select key, balance, sum from compared where balance <> sum
  ), kept as (
    insert into proved_sum (key, amount) select key, settled from moved where keeps and not exists (select 1 from wrong)
      on conflict (key) do update set amount = proved_sum.amount + excluded.amount
  ), pots as (
    select pot_of(key) as pot, sum(settled) as settled, sum(amount) as amount from moved where pot_of(key) is not null group by 1
  ), kept_pots as (
    insert into proved_pot (pot, amount) select pot, settled from pots where not exists (select 1 from wrong)
      on conflict (pot) do update set amount = proved_pot.amount + excluded.amount
  ), moved_on as (
    update proved set before = (select upto from place) where not exists (select 1 from wrong)
  )
  select jsonb_build_object(
    'pots', (select coalesce(jsonb_agg(jsonb_build_array(pot, amount::text)), '[]')
               from (select pot, sum(amount) as amount from (select pot, amount from proved_pot union all select pot, amount from pots) a group by pot) b),
    'wrong', (select coalesce(jsonb_agg(jsonb_build_array(key, balance::text, sum::text)), '[]') from wrong),
    'transfers', (select count(*) from fresh),
    'live', (select coalesce(sum((data->>'holdNanos')::bigint), 0)::text from entity where kind = 'lease'
               and data->>'state' not in ('settled', 'final', 'lapsed') and data->>'state' = any(live_states)),
    'held', (select coalesce(sum(amount), 0)::text from balance where key like '%/held' and amount <> 0)
  ) into found;
  return found;
end
$$;

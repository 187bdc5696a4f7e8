-- What the transfers of all transactions before a place sum to, key by key: what was proved is not read again.
create table proved (one boolean primary key check (one), before xid8 not null);
insert into proved values (true, '0');
create table proved_sum (key text collate "C" primary key, amount bigint not null);

-- Proves what has moved since the last time: each balance that was touched is what its transfers sum to, proved and fresh. What every
-- open transaction comes after is kept as proved, unless anything is wrong. One broker at a time: whoever waits sees what was kept.
create function prove_books(live_states text[]) returns jsonb language plpgsql as $$
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
  ), moved_on as (
    update proved set before = (select upto from place) where not exists (select 1 from wrong)
  )
  select jsonb_build_object(
    'wrong', (select coalesce(jsonb_agg(jsonb_build_array(key, balance::text, sum::text)), '[]') from wrong),
    'transfers', (select count(*) from fresh),
    'live', (select coalesce(sum((data->>'holdNanos')::bigint), 0)::text from entity where kind = 'lease'
               and data->>'state' not in ('settled', 'final', 'lapsed') and data->>'state' = any(live_states)),
    'held', (select coalesce(sum(amount), 0)::text from balance where key like '%/held' and amount <> 0)
  ) into found;
  return found;
end
$$;

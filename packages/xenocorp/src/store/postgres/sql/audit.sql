-- $1: the states in which a lease holds money.
with moves as (
  select debit as key, -amount as amount from transfer
  union all
  select credit, amount from transfer
), moved as (
  select key, sum(amount) as total from moves group by key
)
select (select coalesce(jsonb_agg(jsonb_build_array(key, amount::text)), '[]') from balance) as balances,
       (select coalesce(jsonb_agg(jsonb_build_array(key, total::text)), '[]') from moved) as sums,
       (select coalesce(sum((data->>'holdNanos')::bigint), 0)::text
          from entity where kind = 'lease' and data->>'state' = any($1)) as live,
       (select coalesce(sum(amount), 0)::text from balance where key like '%/held') as held

-- What is live and what waits: of timers that are due at $1 and of each queue at most $2.
with due as (
  select (data->>'deadlineAt')::bigint as at from entity
   where kind in ('lease', 'batch') and data->>'deadlineAt' is not null and (data->>'deadlineAt')::bigint <= $1
   limit $2
)
select (select coalesce(jsonb_object_agg(state, leases), '{}') from (
         select live_side(data, 'state') as state, count(*) as leases from entity
          where kind = 'lease' and live_side(data, 'state') is not null group by 1
       ) live) as leases,
       (select count(*)::int from due) as due,
       (select min(at)::text from due) as since,
       (select count(*)::int from (select 1 from log_pending limit $2) pending) as unlogged,
       (select count(*)::int from (select 1 from note limit $2) notes) as notes

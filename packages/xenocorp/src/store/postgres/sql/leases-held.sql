-- What those in one of the states $5 hold together that the reader $1 to $4 sees. As leases-live.sql.
with live as materialized (
  select data from entity where kind = 'lease' and live_side(data, 'customer') = $1
  union all
  select data from entity where kind = 'lease' and live_side(data, 'owner') = $1 and data->>'customer' <> $1
)
select coalesce(sum((data->>'holdNanos')::bigint), 0)::text as held
  from live
 where data->>'state' = any($5) and lease_seen(data, $1, $2, $3, $4)

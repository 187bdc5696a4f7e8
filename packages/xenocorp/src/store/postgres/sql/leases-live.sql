-- Of the reader $1 to $4, those in one of the states $5, in which money is held: the latest $6 after the place
-- $7, $8. A party has few of them at a time; they are read
-- before anything else is asked of them, so that no other index can be thought better.
with live as materialized (
  select id, data from entity where kind = 'lease' and live_side(data, 'customer') = $1
  union all
  select id, data from entity where kind = 'lease' and live_side(data, 'owner') = $1 and data->>'customer' <> $1
)
select data
  from live
 where data->>'state' = any($5) and lease_seen(data, $1, $2, $3, $4)
   and ((data->>'issuedAt')::bigint, id) < ($7::bigint, $8)
 order by (data->>'issuedAt')::bigint desc, id desc
 limit $6

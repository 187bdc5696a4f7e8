-- By the reader $1 to $4; $5: in which states, null for any.
select data
  from entity
 where kind = 'lease' and lease_seen(data, $1, $2, $3, $4)
   and ($5::text[] is null or data->>'state' = any($5))
 order by (data->>'issuedAt')::bigint desc
 limit $6

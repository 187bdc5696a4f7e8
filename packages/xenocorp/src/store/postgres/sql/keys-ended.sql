-- Of the party $1, before the time $2: the latest $3.
select data
  from entity
 where kind = 'key' and data->>'party' = $1
   and (data->>'revokedAt' is not null or (data->>'expiresAt')::bigint <= $2)
 order by least((data->>'revokedAt')::bigint, (data->>'expiresAt')::bigint) desc
 limit $3

-- Of the party $1, at the time $2.
select data
  from entity
 where kind = 'key' and data->>'party' = $1 and data->>'revokedAt' is null
   and (data->>'expiresAt' is null or (data->>'expiresAt')::bigint > $2)

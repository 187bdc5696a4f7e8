select data
  from entity
 where kind = 'key' and data->>'revokedAt' is not null and (data->>'revokedAt')::bigint >= $1

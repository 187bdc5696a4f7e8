select data
  from entity
 where kind = 'server' and data->'offer' <> 'null'::jsonb and (data->'offer'->>'validUntil')::bigint > $1

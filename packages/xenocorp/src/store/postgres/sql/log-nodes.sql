-- $1: [{level, index}], in this order; $2: the epoch.
select n.hash
  from jsonb_array_elements($1::jsonb) with ordinality as refs(ref, place)
  left join log_node n on n.epoch = $2 and n.level = (ref->>'level')::int and n.index = (ref->>'index')::bigint
 order by place

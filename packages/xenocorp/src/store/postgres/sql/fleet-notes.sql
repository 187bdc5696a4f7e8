-- After the place $2, $3: what other brokers than $1 noted, and of its own what is among $4; only what every open transaction comes after.
select n.xid::text, n.seq, n.id, n.broker,
       case when n.broker <> $1 or n.id = any($4) then n.notes else '[]' end as notes,
       case when n.broker <> $1 or n.id = any($4)
         then (select coalesce(jsonb_agg(jsonb_build_object('party', party, 'kind', kind, 'lease', lease, 'data', data, 'at', at) order by v.seq), '[]')
                 from event v where v.xid = n.xid)
         else '[]' end as events
  from note n
 where (n.xid, n.seq) > ($2::text::xid8, $3::bigint) and n.xid < pg_snapshot_xmin(pg_current_snapshot())
 order by n.xid, n.seq
 limit $5

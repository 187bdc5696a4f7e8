-- As events.sql, of the leases that the reader $1, $5 to $7 sees.
select v.xid::text, seq, party, v.kind, lease, v.data, at
  from event v
 cross join lateral (
   select from entity e where e.kind = 'lease' and e.id = v.lease and lease_seen(e.data, $1, $5, $6, $7) limit 1
 ) seen
 where party = $1 and (v.xid, v.seq) > ($2::text::xid8, $3::bigint) and v.xid < pg_snapshot_xmin(pg_current_snapshot())
 order by v.xid, v.seq
 limit $4

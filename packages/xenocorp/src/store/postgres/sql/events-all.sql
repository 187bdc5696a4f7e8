-- As events.sql, of all parties: what one reader passes on to all streams of a broker.
select v.xid::text, seq, party, kind, lease, data, at
  from event v
 where (v.xid, v.seq) > ($1::text::xid8, $2::bigint) and v.xid < pg_snapshot_xmin(pg_current_snapshot())
 order by v.xid, v.seq
 limit $3

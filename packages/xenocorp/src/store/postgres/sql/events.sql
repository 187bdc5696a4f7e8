-- By the number, not the text, of its transaction. Of the party $1, after the place $2, $3; only what every transaction that is still open comes after.
select v.xid::text, seq, party, kind, lease, data, at
  from event v
 where party = $1 and (v.xid, v.seq) > ($2::text::xid8, $3::bigint) and v.xid < pg_snapshot_xmin(pg_current_snapshot())
 order by v.xid, v.seq
 limit $4

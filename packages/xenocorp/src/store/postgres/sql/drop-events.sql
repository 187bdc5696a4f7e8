-- The first $2 by their places, up to the first that happened at $1 (ms) or later; and how far each party's history has lost some.
with first as materialized (
  select ctid as lies, bool_and(at < $1) over (order by xid, seq) as is_old
    from (select ctid, xid, seq, at from event order by xid, seq limit $2) oldest
), gone as (
  delete from event where ctid = any(array(select lies from first where is_old)) returning party, xid, seq
), noted as (
  insert into event_dropped (party, xid, seq)
    select distinct on (party) party, xid, seq from gone order by party, xid desc, seq desc
    on conflict (party) do update set xid = excluded.xid, seq = excluded.seq
)
select count(*) as dropped from gone

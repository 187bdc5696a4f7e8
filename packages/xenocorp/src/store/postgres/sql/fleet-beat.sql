-- The broker $1 runs, is reached by others at $2 (null: it is not), and has read all notes before $3 (null: it begins with what is to come).
with clock as (
  select (extract(epoch from clock_timestamp()) * 1000)::bigint as now
), me as (
  insert into broker (id, address, beat_at, read)
    select $1, $2, now, coalesce($3::text::xid8, pg_snapshot_xmin(pg_current_snapshot())) from clock
    on conflict (id) do update set beat_at = excluded.beat_at, read = case when $3 is null then broker.read else excluded.read end
    returning xmax = 0 as is_new, read::text as read
)
select me.is_new as "isNew", me.read,
       (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'address', address, 'silentMs', clock.now - beat_at)), '[]')
          from broker where id <> $1) as others
  from me, clock

-- The duty $1 for the broker $2 for $3 ms, unless another one has it still; each that takes it over has a later term.
with clock as (
  select (extract(epoch from clock_timestamp()) * 1000)::bigint as now
)
insert into duty (name, broker, term, until) select $1, $2, 1, now + $3 from clock
  on conflict (name) do update
    set broker = excluded.broker, until = excluded.until, term = duty.term + case when duty.broker = excluded.broker then 0 else 1 end
    where duty.broker = excluded.broker or duty.until <= (extract(epoch from clock_timestamp()) * 1000)::bigint
  returning term

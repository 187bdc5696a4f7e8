-- Rows of the kind $1 that are due at $2, the oldest $3 of them, and from now to $5 the turn of the broker $4 alone.
with due as (
  select e.id, (e.data->>'deadlineAt')::bigint as deadline
    from entity e
   where e.kind = $1 and e.data->>'deadlineAt' is not null and (e.data->>'deadlineAt')::bigint <= $2
     and not exists (select 1 from turn t where t.kind = $1 and t.id = e.id and t.broker <> $4 and t.until > $2)
   order by (e.data->>'deadlineAt')::bigint
   limit $3
     for update of e skip locked
), taken as (
  insert into turn (kind, id, broker, until) select $1, id, $4, $5 from due
    on conflict (kind, id) do update set broker = excluded.broker, until = excluded.until
    where turn.broker = excluded.broker or turn.until <= $2
    returning id
)
select id from due join taken using (id) order by deadline

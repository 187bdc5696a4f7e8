with before as (
  select at from hearing where one
), now as (
  insert into hearing (one, at) values (true, $1)
    on conflict (one) do update set at = greatest(hearing.at, excluded.at)
)
select at as before from before

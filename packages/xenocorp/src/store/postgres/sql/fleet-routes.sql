-- Links of servers to the broker $1 that came ($2) and went ($3): [{server, link, clock}]. A link that has gone elsewhere stays there. $4: the note.
with came as (
  insert into route (server, broker, link, clock)
    select given->>'server', $1, (given->>'link')::bigint, given->'clock' from jsonb_array_elements($2::jsonb) given order by 1
    on conflict (server) do update set broker = excluded.broker, link = excluded.link, clock = excluded.clock
), went as (
  delete from route using jsonb_array_elements($3::jsonb) given
   where route.server = given->>'server' and route.broker = $1 and route.link = (given->>'link')::bigint
)
insert into note (id, broker, notes) values ('', $1, $4)

insert into hearing (one, at) values (true, $1)
  on conflict (one) do update set at = greatest(hearing.at, excluded.at)

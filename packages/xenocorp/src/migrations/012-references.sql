-- Names that count once (a party's client ids, the operator's) are kept for ever, as digests of 16 bytes: nobody asks for their words, and
-- whose change took one stands in its document. That is 90 bytes for each, with its index, instead of 312.
create function reference_digest(name text) returns uuid language sql immutable parallel safe as $$
  select encode(substr(sha256(convert_to(name, 'UTF8')), 1, 16), 'hex')::uuid
$$;
create table reference (digest uuid primary key);
insert into reference select reference_digest(key) from unique_key;
drop table unique_key;

-- commit_changes, but for where it looks for names and keeps them.
do $$
declare
  body text := pg_get_functiondef('commit_changes(jsonb)'::regprocedure);
  looked text := 'select key into bad from unique_key where key = any(array(select jsonb_array_elements_text(c->''uniques''))) limit 1;';
  kept text := 'insert into unique_key (key, change_id) select u, c->>''id'' from jsonb_array_elements_text(c->''uniques'') u;';
begin
  if position(looked in body) = 0 or position(kept in body) = 0 then
    raise exception 'commit_changes is not as it was made';
  end if;
  body := replace(body, looked,
    'select name into bad from jsonb_array_elements_text(c->''uniques'') name
       cross join lateral (select from reference where digest = reference_digest(name) limit 1) taken limit 1;');
  execute replace(body, kept, 'insert into reference (digest) select reference_digest(u) from jsonb_array_elements_text(c->''uniques'') u;');
end
$$;

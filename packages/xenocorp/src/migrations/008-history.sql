-- Lists of leases go on after a lease: those of one time are told apart by their ids.
drop index entity_lease_customer;
drop index entity_lease_owner;
drop index entity_lease_account;
drop index entity_lease_label;
drop index entity_lease_server_key;
create index entity_lease_customer on entity ((data->>'customer'), ((data->>'issuedAt')::bigint), id) where kind = 'lease';
create index entity_lease_owner on entity ((data->>'owner'), ((data->>'issuedAt')::bigint), id) where kind = 'lease';
create index entity_lease_account on entity ((data->>'account'), ((data->>'issuedAt')::bigint), id) where kind = 'lease';
create index entity_lease_label on entity ((data->>'customer'), (data->>'label'), ((data->>'issuedAt')::bigint), id) where kind = 'lease';
create index entity_lease_server_key on entity ((data->>'serverKey'), ((data->>'issuedAt')::bigint), id) where kind = 'lease';

-- Answers are kept for a while; those that are here already as if they had been given now.
alter table applied add column at timestamptz not null default now();
create index applied_at on applied (at);

-- Events are kept for a while. The last of each party's that was dropped: a cursor before it has missed some.
create table event_dropped (party text primary key, xid xid8 not null, seq bigint not null);

-- commit_changes, but a change is left out of which a document is filed and the answer is gone: nothing is done twice, and the others of its
-- batch go on. Which they are stands at their places in `filed`.
create function commit_once(batch jsonb) returns jsonb language plpgsql as $$
declare
  filed jsonb;
  results jsonb;
begin
  select jsonb_agg(known.id order by ord) into filed
    from jsonb_array_elements(batch) with ordinality as given(c, ord)
    left join lateral (
      select d.id from jsonb_array_elements(c->'documents') named
        cross join lateral (select id from document where id = named->>'id' limit 1) d
       where (select id from applied where id = c->>'id' limit 1) is null
       limit 1
    ) known on true;
  if jsonb_path_exists(filed, '$[*] ? (@ != null)') then
    results := commit_changes((
      select coalesce(jsonb_agg(c order by ord) filter (where filed->>(ord - 1)::int is null), '[]')
        from jsonb_array_elements(batch) with ordinality as given(c, ord)));
    return (
      select jsonb_agg(case when id is null then results->(nth - 1)::int else jsonb_build_object('status', 'filed', 'what', id) end order by ord)
        from (select id, ord, count(*) filter (where id is null) over (order by ord) as nth
                from jsonb_array_elements_text(filed) with ordinality as known(id, ord)) placed);
  end if;
  return commit_changes(batch);
end
$$;

-- What is looked up is looked up row by row, by its key: a list of unknown length would have the planner read whole tables.
create function commit_changes(batch jsonb) returns jsonb language plpgsql as $$
declare
  c jsonb;
  results jsonb := '[]';
  earlier jsonb;
  bad text;
  short bigint;
  keys text[];
  ids text[];
  told jsonb;
  notes jsonb := '[]';
begin
  keys := array(
    select distinct k from jsonb_array_elements(batch) change,
      lateral (select t->>'debit' as k from jsonb_array_elements(change->'transfers') t
               union select t->>'credit' from jsonb_array_elements(change->'transfers') t
               union select f->>'key' from jsonb_array_elements(change->'floors') f) found
    order by 1);
  insert into balance (key, amount, floor) select k, 0, 0 from unnest(keys) k on conflict do nothing;
  perform 1 from balance where key = any(keys) order by key for update;
  ids := array(select p->>'id' from jsonb_array_elements(batch) change, jsonb_array_elements(change->'puts') p);
  perform 1 from entity
    where kind = any(array(select p->>'kind' from jsonb_array_elements(batch) change, jsonb_array_elements(change->'puts') p)) and id = any(ids)
    order by kind, id for update;

  for c in select value from jsonb_array_elements(batch) with ordinality order by ordinality loop
    insert into applied (id, answer) values (c->>'id', c->'answer') on conflict do nothing;
    if not found then
      select answer into earlier from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'replayed', 'answer', earlier));
      continue;
    end if;

    bad := null;
    select (p->>'kind') || ' ' || (p->>'id') into bad
      from jsonb_array_elements(c->'puts') with ordinality as ps(p, ord)
      where coalesce((select version from entity e where e.kind = p->>'kind' and e.id = p->>'id'), 0) <> (p->>'expect')::int
      order by ord limit 1;
    if bad is not null then
      delete from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'conflict', 'what', bad));
      continue;
    end if;

    select key into bad from unique_key where key = any(array(select jsonb_array_elements_text(c->'uniques'))) limit 1;
    if bad is not null then
      delete from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'id_reused', 'what', bad));
      continue;
    end if;

    with fresh as (
      select t->>'debit' as debit, t->>'credit' as credit, (t->>'amount')::bigint as amount, ord
        from jsonb_array_elements(c->'transfers') with ordinality as ts(t, ord)
        where (select id from transfer where id = t->>'id') is null
    ), delta as (
      select key, sum(amount) as amount, min(ord) filter (where amount < 0) as ord from (
        select debit as key, -amount as amount, ord from fresh union all select credit, amount, ord from fresh) moves
      group by key
    ), floors as (
      select f->>'key' as key, (f->>'floor')::bigint as floor from jsonb_array_elements(c->'floors') f
    ), bounded as (
      select d.key, b.amount + d.amount as next, d.ord, case when f.key is null then b.floor else f.floor end as floor
        from delta d cross join lateral (select amount, floor from balance where key = d.key limit 1) b left join floors f on f.key = d.key
    )
    select key, floor - next into bad, short from bounded
      where ord is not null and floor is not null and next < floor order by ord limit 1;
    if bad is not null then
      delete from applied where id = c->>'id';
      results := results || jsonb_build_array(jsonb_build_object('status', 'below_floor', 'key', bad, 'missing', short::text));
      continue;
    end if;

    keys := array(select t->>side from jsonb_array_elements(c->'transfers') t, unnest('{debit,credit}'::text[]) side
                  union select f->>'key' from jsonb_array_elements(c->'floors') f);
    ids := array(select p->>'id' from jsonb_array_elements(c->'puts') p);
    update balance b set floor = (f->>'floor')::bigint from jsonb_array_elements(c->'floors') f where b.key = any(keys) and b.key = f->>'key';
    with fresh as (
      insert into transfer (id, debit, credit, amount)
        select t->>'id', t->>'debit', t->>'credit', (t->>'amount')::bigint from jsonb_array_elements(c->'transfers') t
        on conflict do nothing returning debit, credit, amount
    ), delta as (
      select key, sum(amount) as amount from (select debit as key, -amount as amount from fresh union all select credit, amount from fresh) moves group by key
    )
    update balance b set amount = b.amount + d.amount from delta d where b.key = any(keys) and b.key = d.key;
    insert into entity (kind, id, version, data)
      select p->>'kind', p->>'id', 1, p->'data' from jsonb_array_elements(c->'puts') p where (p->>'expect')::int = 0;
    update entity e set version = e.version + 1, data = p->'data'
      from jsonb_array_elements(c->'puts') p where (p->>'expect')::int > 0 and e.kind = p->>'kind' and e.id = p->>'id' and e.id = any(ids)
        and e.kind = any(array(select q->>'kind' from jsonb_array_elements(c->'puts') q));
    insert into unique_key (key, change_id) select u, c->>'id' from jsonb_array_elements_text(c->'uniques') u;
    insert into document (id, kind, lease, parties, envelope, at, salt, leaf)
      select d->>'id', d->>'kind', d->>'lease', array(select jsonb_array_elements_text(d->'parties')), d->'envelope', (d->>'at')::bigint, d->>'salt', d->>'leaf'
        from jsonb_array_elements(c->'documents') with ordinality as ds(d, ord) order by ord;
    insert into log_pending (document_id) select d->>'id' from jsonb_array_elements(c->'documents') with ordinality as ds(d, ord) order by ord;
    insert into event (party, kind, lease, data, at)
      select v->>'party', v->>'kind', v->>'lease', v->'data', (v->>'at')::bigint from jsonb_array_elements(c->'events') with ordinality as vs(v, ord) order by ord;
    results := results || jsonb_build_array(jsonb_build_object('status', 'applied', 'answer', c->'answer'));
    if c ? 'told' then
      told := c->'told';
      notes := notes || (told->'notes');
    end if;
  end loop;
  if told is not null then
    insert into note (id, broker, notes) values (told->>'id', told->>'by', notes);
  end if;
  return results;
end
$$;

-- Who may see the leases $1: fixed by their purchase orders, and here wherever the rest of a row lies.
select id, data->>'customer' as customer, data->>'account' as account, data->>'label' as label, data->>'owner' as owner,
       data->>'serverKey' as "serverKey"
  from entity
 where kind = 'lease' and id = any($1)

-- What is no claim is a few documents of a lease, among half a million claims and receipts of one that ran for a month.
create index document_brief on document (lease, seq) where lease is not null and kind not in ('claim', 'claim-receipt');

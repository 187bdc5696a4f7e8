/**
 * Who looks, and what it may see of leases: one rule for both stores and for every read. Who controls the inputs: a key's grant fixes its
 * account and label; the caller's token or link says which key it is.
 */

export interface Reader {
  party: string;
  /** Sees only what this account ordered; null: any account's. */
  account: string | null;
  /** Sees only leases of this label; null: of any. */
  label: string | null;
  /** A server's key, which sees its own leases only; null: it is no server's. */
  serverKey: string | null;
}

/** What decides who may see a lease; its purchase order fixes all of it but `serverKey`, which is another after a move. */
export interface LeaseSides {
  customer: string;
  account: string;
  label: string;
  owner: string;
  serverKey: string;
}

/** Whether a key is bound to less than all that its party has. */
export const isBound = ({ account, label, serverKey }: Reader): boolean => account !== null || label !== null || serverKey !== null;

/** A customer sees what it ordered, inside its account and label; an owner what its servers run; a server what it runs itself. */
export function sees(reader: Reader, lease: LeaseSides): boolean {
  const { party, account, label, serverKey } = reader;
  if (serverKey !== null) return lease.owner === party && lease.serverKey === serverKey;
  const ordered = lease.customer === party && (account === null || account === lease.account) && (label === null || label === lease.label);
  return ordered || (lease.owner === party && !isBound(reader));
}

/** Whether the reader is on the side that ordered it, inside its account and label. */
export const isCustomer = (reader: Reader, lease: LeaseSides): boolean =>
  reader.serverKey === null && lease.customer === reader.party && sees(reader, lease);

/**
 * What each key may do and see, written down by hand from docs/protocol.md (rules K1 and K2): the tests read it, the code does not.
 *
 *   root device        of the customer          ci read spend    of its CI: every scope of the role, `read` only, `spend` only
 *   acct               a CI key of account A    label            a CI key of the label x
 *   server owner       the leases' server, its owner's root      other            another server of the same owner
 *   enrol              a token of the customer  expired revoked  CI keys that are over
 *   stranger operator  another party's root, the operator        none             a key that nobody knows; no token
 *
 *   +  may: what else is wrong with it is no matter of whose it is
 *   k  key_not_allowed   y  not_yours   n  not_found   o  operator_only   t  bad_token   x  key_expired   v  key_revoked   u  unknown_key
 */

const OWN = ["root", "device", "ci", "read", "spend", "acct", "label"] as const;
export const KEYS = [...OWN, "server", "other", "owner", "enrol", "expired", "revoked", "stranger", "operator", "none"] as const;

export type Key = (typeof KEYS)[number];

export const CODES: Readonly<Record<string, string>> = {
  ...{
    k: "key_not_allowed",
    y: "not_yours",
    n: "not_found",
    o: "operator_only",
    t: "bad_token",
    x: "key_expired",
    v: "key_revoked",
    u: "unknown_key",
  },
};

/** Documents about the customer, its lease of no label in its own account, and that lease's server. */
export const DOCUMENTS = `
                  root device ci read spend acct label server other owner enrol expired revoked stranger operator none
party              +     y    y   y     y     y    y      y     y     y     y      y       y        y        y     y
key-grant          +     k    k   k     k     k    k      k     k     y     +      x       v        y        u     u
key-revoke         +     k    k   k     k     k    k      k     k     y     k      x       v        y        u     u
key-rotate         +     k    k   k     k     k    k      k     k     y     k      x       v        y        u     u
login              +     +    +   +     +     +    +      y     y     y     k      x       v        y        +     u
account            +     k    k   k     k     k    k      k     k     y     k      x       v        y        u     u
account-limit      +     k    k   k     k     k    k      k     k     y     k      x       v        y        u     u
payout             +     k    k   k     k     k    k      k     k     y     k      x       v        y        u     u
stake              +     k    k   k     k     k    k      k     k     y     k      x       v        y        u     u
credit             o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
suspension         o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
fee                o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
referee            o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
witness            o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
market-keys        o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
ruling             o     o    o   o     o     o    o      o     o     o     o      o       o        o        +     o
offer              k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
offer-withdrawal   k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
batch              +     +    +   k     +     k    +      k     k     y     k      x       v        y        u     u
batch-close        +     +    +   k     k     k    k      k     k     y     k      x       v        y        u     u
order              +     +    +   k     +     k    k      k     k     y     k      x       v        y        u     u
order-withdrawal   +     +    +   k     +     n    n      k     k     y     k      x       v        y        u     u
acceptance         k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
claim              k     k    k   k     k     k    k      +     n     k     k      x       v        k        u     u
commitment         k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
result             k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
trace              k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
stop               +     +    +   k     k     y    y      k     k     y     k      x       v        y        u     u
extension          +     +    +   k     +     y    y      k     k     y     k      x       v        y        u     u
delivery           +     +    +   k     +     y    y      k     k     y     k      x       v        n        u     u
objection          +     +    k   k     k     k    k      y     y     y     k      x       v        y        u     u
trace-request      +     +    k   k     k     k    k      k     k     y     k      x       v        y        u     u
dispute            +     +    +   k     k     y    y      k     k     y     k      x       v        y        u     u
appeal             n     n    k   k     k     k    k      y     y     y     k      x       v        y        u     u
purchase-order     k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
opening            k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
reveal             k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
takeover           k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
handover           k     k    k   k     k     k    k      +     y     k     k      x       v        k        u     u
move               k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
claim-receipt      k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
amendment          k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
closing            k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
settlement         k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
gap                k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
audit-round        k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
audit-reveal       k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
draw               k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
verdict            k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
review             k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
epoch              k     k    k   k     k     k    k      k     k     k     k      k       k        k        k     k
`;

/** Routes with a token of each key, about a lease of no label in the customer's own account whose result lies sealed. */
export const ROUTES = `
                  root device ci read spend acct label server other owner enrol expired revoked stranger operator none
market             +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
submit             +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
submitMany         +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
challenge          +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
token              +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
offers             +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
checkpoint         +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
tile               +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
inclusion          +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
consistency        +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
history            +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
cosign             +     +    +   +     +     +    +      +     +     +     +      x       v        +        +     +
whoami             +     +    +   +     k     +    +      +     +     +     k      x       v        +        k     t
servers            +     +    +   +     k     +    +      +     +     +     k      x       v        +        k     t
accounts           +     +    +   +     k     +    +      +     +     +     k      x       v        +        k     t
statement          +     +    +   +     k     +    k      k     k     +     k      x       v        +        k     t
leases             +     +    +   +     k     +    +      +     +     +     k      x       v        +        k     t
events             +     +    +   +     k     +    +      +     +     +     k      x       v        +        k     t
lease              +     +    +   +     k     n    n      +     n     +     k      x       v        n        k     t
receipt            +     +    +   +     k     n    n      +     n     +     k      x       v        n        k     t
leaseLog           +     +    +   +     k     n    n      +     n     +     k      x       v        n        k     t
order              +     +    +   +     k     n    n      n     n     n     k      x       v        n        k     t
sealed             +     +    +   +     k     n    n      n     n     n     k      x       v        n        k     t
sealPart           k     k    k   k     k     k    k      +     n     k     k      x       v        k        k     t
sealResult         k     k    k   k     k     k    k      +     n     k     k      x       v        k        k     t
overview           o     o    o   o     o     o    o      o     o     o     o      x       v        o        +     t
`;

/** Who logs in on a link. */
export const LINKS = `
                  root device ci read spend acct label server other owner enrol expired revoked stranger operator none
link               +     +    +   +     +     +    +      +     +     +     k      x       v        +        k     u
`;

/**
 * Which leases each key sees, and gets the events of: of the customer's own account, of account A, of the label x, of both, and a
 * stranger's on the other server.
 */
export const SEEN = `
                  root device ci read spend acct label server other owner enrol expired revoked stranger operator none
plain              +     +    +   +     .     .    .      +     .     +     .      .       .        .        .     .
inA                +     +    +   +     .     +    .      +     .     +     .      .       .        .        .     .
labelX             +     +    +   +     .     .    +      +     .     +     .      .       .        .        .     .
both               +     +    +   +     .     +    +      +     .     +     .      .       .        .        .     .
elsewhere          .     .    .   .     .     .    .      .     +     +     .      .       .        +        .     .
`;

/** Whose channel to the server is opened: who orders or ends what runs there. */
export const CHANNELS = `
                  root device ci read spend acct label server other owner enrol expired revoked stranger operator none
plain              +     +    +   .     +     .    .      .     .     .     .      .       .        .        .     .
inA                +     +    +   .     +     +    .      .     .     .     .      .       .        .        .     .
labelX             +     +    +   .     +     .    +      .     .     .     .      .       .        .        .     .
both               +     +    +   .     +     +    +      .     .     .     .      .       .        .        .     .
elsewhere          .     .    .   .     .     .    .      .     .     .     .      .       .        +        .     .
`;

/** The cells of a table by row and key. */
export function cellsOf(table: string): { row: string; key: Key; cell: string }[] {
  const [, ...rows] = table.trim().split("\n");
  return rows.flatMap((line) => {
    const [row = "", ...cells] = line.trim().split(/ +/);
    if (cells.length !== KEYS.length) throw new Error(`${row} has ${cells.length} cells`);
    return KEYS.map((key, i) => ({ row, key, cell: cells[i] ?? "" }));
  });
}

/**
 * Who speaks: the roles of keys and what a signer is to a lease. A signature counts for what its signer's role may say, and for nothing
 * else.
 */

export const KEY_ROLES = ["root", "device", "ci", "enrol", "server"] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

/**
 * What a key may be used for. `serve`: a server's own words. `enrol`: to enrol one server. `manage`: keys, accounts, money out. `spend`:
 * orders and what makes them cost more. `control`: to end what runs, to receipt what came. `dispute`: objections and doubts, which cost
 * deposits. `read`: to look.
 */
export const SCOPES = ["manage", "spend", "control", "dispute", "read", "serve", "enrol"] as const;
export type Scope = (typeof SCOPES)[number];

/** The most that a role may do; a grant may give less, never more. */
export const ROLE_SCOPES: Readonly<Record<KeyRole, readonly Scope[]>> = {
  root: ["manage", "spend", "control", "dispute", "read"],
  device: ["spend", "control", "dispute", "read"],
  ci: ["spend", "control", "dispute", "read"],
  server: ["serve", "dispute", "read"],
  enrol: ["enrol"],
};

/** Who signed a document, as whoever verified its signature found it: from the market's pinned keys or the grants in the log. */
export type Speaker =
  | { by: "broker"; key: "orders" | "receipts" | "checkpoints" }
  | { by: "operator" }
  | {
      by: "party";
      party: string;
      key: string;
      role: KeyRole;
      scopes: readonly Scope[];
      /** The only account it acts in; null: all of its party's. */
      account: string | null;
      /** The only label of leases it acts on; null: any. */
      label: string | null;
    };

/** What a signer can be to a lease. */
export type LeaseRole = "customer" | "owner" | "server" | "operator" | "broker-orders" | "broker-receipts";

interface LeaseParties {
  customer: string;
  account: string;
  label: string;
  owner: string;
  serverKey: string;
}

/** Whether a key acts inside its account and label: a key that is bound to one never touches a lease of another. */
const isInside = ({ account, label }: Extract<Speaker, { by: "party" }>, lease: Pick<LeaseParties, "account" | "label">): boolean =>
  (account === null || account === lease.account) && (label === null || label === lease.label);

/** Whether the signer speaks in this role for this lease. One party may be both its customer and its owner. */
export function speaksAs(lease: LeaseParties, signer: Speaker, role: LeaseRole): boolean {
  switch (role) {
    case "broker-orders":
      return signer.by === "broker" && signer.key === "orders";
    case "broker-receipts":
      return signer.by === "broker" && signer.key === "receipts";
    case "operator":
      return signer.by === "operator";
    case "server":
      return signer.by === "party" && signer.key === lease.serverKey && signer.party === lease.owner && signer.scopes.includes("serve");
    case "customer":
      return (
        signer.by === "party" &&
        signer.party === lease.customer &&
        signer.role !== "server" &&
        signer.role !== "enrol" &&
        isInside(signer, lease)
      );
    case "owner":
      return (
        signer.by === "party" && signer.party === lease.owner && signer.role !== "enrol" && signer.account === null && signer.label === null
      );
  }
}

/** Who says something in a case; the broker's own documents are its desk's. */
export const SERVERS = ["server 1", "server 2", "server 3", "server 4"] as const;
export type ServerName = (typeof SERVERS)[number] | "referee";
export type Actor = "customer" | "operator" | ServerName;

/** Who says something in a case; the broker's own documents are its desk's. */
export const SERVERS = ["server 1", "server 2", "server 3", "server 4"] as const;
export const REFEREES = ["referee 1", "referee 2", "referee 3"] as const;
export const MACHINES = [...SERVERS, ...REFEREES] as const;
export type ServerName = (typeof MACHINES)[number];
export type Actor = "customer" | "operator" | ServerName;

export const isReferee = (name: ServerName): boolean => REFEREES.some((each) => each === name);

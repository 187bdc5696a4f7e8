/** Audits that nobody has followed up, in one line. */
import type { LeaseView } from "@xenoservers/protocol";
import { yellow } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

/** Of leases that nobody waited for. */
export const dueLine = (leases: readonly LeaseView[]): string =>
  yellow(`${countOf(leases.length, "result")} drawn for an audit: have the referee run ${leases.length === 1 ? "it" : "them"}: xeno audit`);

/** Documents by which a lease goes on at another server of its owner. Amounts and times are as in `schemas.ts`. */
import * as z from "zod/mini";
import { base, zEnvelope, zId, zServer, zTime } from "./parts.ts";

/** By the server that has the lease. `previous`: the last move, or the acceptance. `lastClaim`: the last receipted, or the opening. */
export const zHandover = z.strictObject({ ...base, lease: zId, previous: zId, server: zServer, to: zServer, lastClaim: zId });

/** By the server that is to have it from now on, with its own offer as it stands. */
export const zTakeover = z.strictObject({ ...base, lease: zId, server: zServer, handover: zEnvelope, offer: zEnvelope });

/** The broker's word for it: there is one after each. `previous` is the handover's. */
export const zMove = z.strictObject({ ...base, lease: zId, takeover: zEnvelope, previous: zId, at: zTime });

/** Every verb, in the order of help. */
import type { Verb } from "../input/verb.ts";
import { CUSTOMERS } from "./customers.ts";
import { EVERYONES } from "./everyones.ts";
import { LEASES } from "./leases.ts";
import { OPERATORS } from "./operators.ts";
import { OWNERS } from "./owners.ts";

export const VERBS: readonly Verb[] = [...CUSTOMERS, ...LEASES, ...OWNERS, ...OPERATORS, ...EVERYONES];

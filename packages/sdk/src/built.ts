/** Work of any driver as its customer has it: every builder's kind joins this union, and whoever carries work asks what its driver can. */
import { DRIVERS, type DriverThatCan } from "@xenoservers/market";
import type { BuiltJob } from "./job.ts";
import type { BuiltVm } from "./vm.ts";

export type BuiltWork = BuiltJob | BuiltVm;

/** Whether a part of the work is enough for a referee. */
export const hasBreakpoints = (work: BuiltWork): work is Extract<BuiltWork, { driver: DriverThatCan<"breakpoints"> }> =>
  DRIVERS[work.driver].can.breakpoints;

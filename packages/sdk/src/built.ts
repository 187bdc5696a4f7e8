/** Work of any driver as its customer has it: every builder's kind joins this union, and whoever carries work asks what its driver can. */
import { DRIVERS, type DriverThatCan } from "@xenoservers/market";
import type { BuiltJob } from "./job.ts";
import type { BuiltVm } from "./vm.ts";

export type BuiltWork = BuiltJob | BuiltVm;

/** As it is, but that its server is to keep nothing of what goes in for this customer's next lease. */
export const forgetting = <T extends BuiltWork>(work: T): T => ({ ...work, message: { ...work.message, forgets: true } });

/** Whether it can be one of several runs that are one job. */
export const canBeRun = (work: BuiltWork): work is Extract<BuiltWork, { driver: DriverThatCan<"runs"> }> => DRIVERS[work.driver].can.runs;

/** Whether a part of the work is enough for a referee: of several runs it is all of them. */
export const hasBreakpoints = (work: BuiltWork): work is Extract<BuiltWork, { driver: DriverThatCan<"breakpoints"> }> =>
  DRIVERS[work.driver].can.breakpoints && !("runs" in work.spec);

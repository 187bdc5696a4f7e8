/** A kept job or machine run again here, by what a xenoserver runs it with; loaded where it is asked for. */
import { assertLinux } from "../local/right-system.ts";
import type { Kept, KeptVm, KeptWork, Rerun } from "@xenoservers/sdk";

const isMachine = (work: KeptWork): work is Kept<KeptVm> => "vm" in work.spec;

export const again: Rerun = async (work, { stoppedAt, step }) => {
  assertLinux("running a lease's work again");
  if (isMachine(work)) return (await import("./re-execute-vm.ts")).reExecuteVm(work, stoppedAt !== null);
  return (await import("./re-execute.ts")).reExecute(work, stoppedAt, step);
};

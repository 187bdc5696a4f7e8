/** How far a job is that is followed, in words. Who controls the inputs: its server (states). */
import type { Standing } from "./followed.ts";
import { paceText } from "./pace.ts";
import { bytesText, said } from "./words.ts";

const SENDS = "Its server waits for the job, which goes there from this tab: keep it open until it runs.";
const SENT_ELSEWHERE =
  "Its server waits for the job, which only the tab or program that ordered it can send. Where that is closed, stop it and run it again.";

type Shown = Pick<Standing, "isOver" | "isWhole" | "state" | "sent"> & Record<"stdout" | "stderr", Pick<Standing["stdout"], "bytes">>;

function sentText(sent: Standing["sent"]): string {
  if (sent === null || sent.bytes === 0) return "";
  const { bytes, bytesInAll, bytesPerSecond } = sent;
  return ` ${bytesText(bytes)} of ${bytesText(bytesInAll)} are there${paceText(bytesPerSecond, bytesInAll - bytes)}.`;
}

/** `hasJob`: its bytes are sent from here. */
export function progressText({ isOver, isWhole, state, sent, stdout, stderr }: Shown, hasJob: boolean): string {
  if (!isOver && state === "waiting") return hasJob ? SENDS + sentText(sent) : SENT_ELSEWHERE;
  if (!isOver && state === "paused") return "It stands still, stays reserved and is paid for.";
  if (!isOver) return state === "" ? "Connecting…" : said(state);
  if (!isWhole) return "It came to no result that can be had here now.";
  return stdout.bytes + stderr.bytes === 0 ? "It has printed nothing." : "All of it has come, as its server signed it.";
}

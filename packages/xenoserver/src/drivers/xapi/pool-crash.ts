/**
 * Whether a machine has crashed. XAPI says so nowhere: a machine that is to be destroyed then is as halted as one that has ended. So it is
 * preserved, which leaves it paused, and nobody's pause stands in the pool's messages. Who controls the inputs: the guest, the pool.
 */
import { z } from "zod";
import type { Pool } from "./pool.ts";

/** The first day of XAPI's messages, by its own writing of dates. */
const ALWAYS = "19700101T00:00:00Z";
const PAUSED = "VM_PAUSED";
const OF_POWER = /^VM_(?:PAUSED|UNPAUSED|STARTED|RESUMED|SUSPENDED|REBOOTED|SHUTDOWN|MIGRATED)$/;

const zMessage = z.object({ name: z.string(), timestamp: z.string() });
const zState = z.object({ power_state: z.string(), current_operations: z.record(z.string(), z.string()), uuid: z.string() });

/** Of a machine that stands still: true only where nothing of the pool's own is under way, and nobody has paused it. */
export async function hasCrashed({ session }: Pool, vm: string): Promise<boolean> {
  const stands = async (): Promise<string | null> => {
    const { power_state: state, current_operations: under, uuid } = await session.call(zState, "VM.get_record", vm);
    return state === "Paused" && Object.keys(under).length === 0 ? uuid : null;
  };
  const uuid = await stands();
  if (uuid === null) return false;
  const messages = await session.call(z.record(z.string(), zMessage), "message.get", "VM", uuid, ALWAYS);
  const ofPower = Object.values(messages).filter(({ name }) => OF_POWER.test(name));
  const last = ofPower
    .map(({ timestamp }) => timestamp)
    .sort()
    .at(-1);
  // two of one second stand in no order: somebody may have paused it
  const isPaused = ofPower.some(({ name, timestamp }) => name === PAUSED && timestamp === last);
  return !isPaused && (await stands()) !== null;
}

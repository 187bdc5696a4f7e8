/**
 * The beginning of RFB (RFC 6143, 7.1 and 7.2) on both sides of this machine: towards a viewer, which must know a password, and towards a
 * machine's screen, which asks for none. What follows is the same in every version, and passes unseen. Who controls the inputs: whoever
 * connects to a port of this machine; the server, behind which is QEMU, the guest's.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { exactly } from "./exactly.ts";
import { CHALLENGE_BYTES, isAnswer } from "./vnc-password.ts";
import { ScreenError } from "./screen-error.ts";

const VERSION = "RFB 003.008\n";
const VERSION_BYTES = VERSION.length;
const NO_SECURITY = 1;
const VNC_SECURITY = 2;
const WHY_BYTES_MAX = 1_024;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** 3.3, 3.7 or 3.8 by the last digit; whatever else calls itself RFB counts as 3.3 (7.1.1). */
async function versionOf(stream: Duplex, signal: AbortSignal): Promise<3 | 7 | 8> {
  const said = (await exactly(stream, VERSION_BYTES, signal)).toString("latin1");
  if (!/^RFB \d{3}\.\d{3}\n$/.test(said)) throw new ScreenError("what connected speaks no RFB");
  return said === VERSION ? 8 : said === "RFB 003.007\n" ? 7 : 3;
}

/** What a viewer waits for once it has given its password. */
export interface Admission {
  welcome(): void;
  /** Shown by viewers that know of reasons. */
  refuse(why: string): void;
}

/** Throws where it is no viewer, or does not know the password: it has been told then. At most 29 bytes of it are read. */
export async function admitViewer(viewer: Duplex, password: string, signal: AbortSignal): Promise<Admission> {
  viewer.write(VERSION);
  const version = await versionOf(viewer, signal);
  if (version === 3) viewer.write(u32(VNC_SECURITY));
  else {
    viewer.write(Buffer.from([1, VNC_SECURITY]));
    const [chosen] = await exactly(viewer, 1, signal);
    if (chosen !== VNC_SECURITY) throw new ScreenError("a viewer wants a kind of password that is not offered");
  }
  const challenge = randomBytes(CHALLENGE_BYTES);
  viewer.write(challenge);
  const refuse = (why: string): void => {
    const text = Buffer.from(why).subarray(0, WHY_BYTES_MAX);
    viewer.end(version === 8 ? Buffer.concat([u32(1), u32(text.length), text]) : u32(1));
  };
  if (!isAnswer(await exactly(viewer, CHALLENGE_BYTES, signal), challenge, password)) {
    refuse("wrong password");
    throw new ScreenError("a viewer gave a wrong password");
  }
  return { welcome: () => void viewer.write(u32(0)), refuse };
}

async function reasonIn(screen: Duplex, signal: AbortSignal): Promise<string> {
  const length = (await exactly(screen, 4, signal)).readUInt32BE();
  return (await exactly(screen, Math.min(length, WHY_BYTES_MAX), signal)).toString("utf8").toWellFormed();
}

/** Up to where a viewer begins to speak of what it wants to see. Throws with what the screen says. */
export async function greetScreen(screen: Duplex, signal: AbortSignal): Promise<void> {
  const version = await versionOf(screen, signal);
  if (version !== 8) throw new ScreenError("the machine's screen speaks an old RFB");
  screen.write(VERSION);
  const count = (await exactly(screen, 1, signal)).readUInt8();
  if (count === 0) throw new ScreenError(`the machine's screen refuses: ${await reasonIn(screen, signal)}`);
  if (!(await exactly(screen, count, signal)).includes(NO_SECURITY)) throw new ScreenError("the machine's screen asks for a password");
  screen.write(Buffer.from([NO_SECURITY]));
  if ((await exactly(screen, 4, signal)).readUInt32BE() !== 0)
    throw new ScreenError(`the machine's screen refuses: ${await reasonIn(screen, signal)}`);
}

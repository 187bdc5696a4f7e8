/** What comes from a machine's screen, and from whoever connects to the port where its customer looks at it. */
import { duplexPair, type Duplex } from "node:stream";
import { admitViewer, greetScreen } from "../../../packages/sdk/src/guest/screen/handshake.ts";
import { readPicture } from "../../../packages/sdk/src/guest/screen/picture.ts";
import { pngOf } from "../../../packages/sdk/src/guest/screen/png.ts";
import { CHALLENGE_BYTES, answerTo } from "../../../packages/sdk/src/guest/screen/vnc-password.ts";
import { ScreenError } from "../../../packages/sdk/src/guest/screen/screen-error.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { ACCEPTED, byRejecting, demand, type Target } from "../target.ts";

const NEVER = new AbortController().signal;
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const VERSION = Buffer.from("RFB 003.008\n").toString("hex");
/** 2x1 pixels, as QEMU has them, and its name. */
const INIT = "0002 0001 20 18 00 01 00ff 00ff 00ff 10 08 00 000000 00000004 51454d55";
const UPDATE = "00 00 0001 0000 0000 0002 0001 00000000 11223300 44556600";
const RESIZED = "00 00 0001 0000 0000 0001 0001 ffffff21 00 00 0001 0000 0000 0001 0001 00000000 11223300";

/** All of it at once, and then the end. */
function saying(bytes: Uint8Array): Duplex {
  const [near, far] = duplexPair();
  near.on("error", () => {});
  far.on("error", () => {});
  far.resume();
  far.end(bytes);
  return near;
}

const picture: Target = {
  name: "screen-picture",
  covers: ["sdk/src/guest/screen/picture.ts#readPicture", "sdk/src/guest/screen/handshake.ts#greetScreen"],
  corpus: async () => [
    ...[UPDATE, RESIZED, `02 03 000000 00000001 61 ${UPDATE}`, `01 00 0000 0001 000000000000 ${UPDATE}`].map((said) =>
      hex(`${VERSION} 01 01 00000000 ${INIT} ${said}`),
    ),
    hex(`${VERSION} 00 00000002 6e6f`),
  ],
  mutate: (input, random, others) => bentBytes(input, random, others),
  play: (input) =>
    byRejecting(async () => {
      const screen = saying(input);
      await greetScreen(screen, NEVER);
      const { width, height, rgb } = await readPicture(screen, NEVER);
      demand(rgb.length === width * height * 3, "a picture has other pixels than its size says");
      demand(pngOf({ width, height, rgb }).length > 0, "a picture is none");
    }, ScreenError),
};

const PASSWORD = "pa55word";
const VERSION_BYTES = 12;

/**
 * A viewer that knows the password: it says what the input does up to its last bytes, and then the right answer, bent by those: none of
 * them set is the right one.
 */
function answering(input: Uint8Array): Duplex {
  const [near, far] = duplexPair();
  near.on("error", () => {});
  far.on("error", () => {});
  const at = Math.max(0, input.length - CHALLENGE_BYTES);
  const [said, bend] = [Buffer.from(input.subarray(0, at)), input.subarray(at)];
  const choosesNothing = !/^RFB 003\.00[78]\n/.test(said.toString("latin1"));
  far.write(said);
  // 3.3 is told what it must do in four bytes, the others choose one of one
  const [enough, challengeAt] = choosesNothing ? [VERSION_BYTES, VERSION_BYTES + 4] : [VERSION_BYTES + 1, VERSION_BYTES + 2];
  if (said.length < enough) far.end();
  const heard: Buffer[] = [];
  far.on("data", (bytes: Buffer) => {
    heard.push(bytes);
    const challenge = Buffer.concat(heard).subarray(challengeAt, challengeAt + CHALLENGE_BYTES);
    if (challenge.length < CHALLENGE_BYTES || far.writableEnded) return;
    far.end(answerTo(challenge, PASSWORD).map((byte, i) => byte ^ (bend[i] ?? 0)));
  });
  return near;
}

const viewer: Target = {
  name: "screen-viewer",
  covers: ["sdk/src/guest/screen/handshake.ts#admitViewer"],
  corpus: async () => [
    hex(`${VERSION} 02 ${"00".repeat(CHALLENGE_BYTES)}`),
    hex(`${Buffer.from("RFB 003.007\n").toString("hex")} 02 ${"00".repeat(CHALLENGE_BYTES)}`),
    hex(`${Buffer.from("RFB 003.003\n").toString("hex")} ${"00".repeat(CHALLENGE_BYTES)}`),
    hex(`${VERSION} 02 ${"ab".repeat(CHALLENGE_BYTES)}`),
  ],
  mutate: (input, random, others) => bentBytes(input, random, others),
  play: async (input) => {
    const outcome = await byRejecting(() => admitViewer(answering(input), PASSWORD, NEVER), ScreenError);
    const isBent = input.subarray(-CHALLENGE_BYTES).some((byte) => byte !== 0);
    demand(outcome !== ACCEPTED || !isBent, "a viewer comes in without the password");
    return outcome;
  },
};

export const SCREEN_TARGETS: readonly Target[] = [picture, viewer];

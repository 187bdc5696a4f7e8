/**
 * Xenstore as its daemon answers it on a socket (xen/io/xs_wire.h): a process of xenstore-read(1) or xenstore-write(1) takes longer to
 * begin than the answer does. One connection for what is asked at once, in that order. Who controls the inputs: this program, every path
 * and all that is written; dom0 and guests, what stands in nodes.
 */
import { connect, type Socket } from "node:net";

/** Where every host with xenstored in dom0 has it; one with a domain for it has none. */
const SOCKET = "/run/xenstored/socket";
const ANSWER_MS = 120_000;
const HEAD_BYTES = 16;
/** XENSTORE_PAYLOAD_MAX */
const PAYLOAD_BYTES_MAX = 4_096;
const TYPES = { list: 1, read: 2, write: 11 } as const;
const ERROR = 16;

export type StoreQuestion = { what: "list" | "read"; node: string } | { what: "write"; node: string; value: string };

/**
 * What stands in each node, or which names are in it, each followed by a zero byte; null where xenstore says of none, or has not written
 * what it was to.
 */
export type AskStore = (questions: readonly StoreQuestion[]) => Promise<(string | null)[]>;

/** Throws where it is longer than xenstore takes. */
function asked(question: StoreQuestion, number: number): Buffer {
  const payload = Buffer.from(`${question.node}\0${question.what === "write" ? question.value : ""}`);
  if (payload.length > PAYLOAD_BYTES_MAX) throw new RangeError(`${payload.length} bytes are more than xenstore takes at once`);
  const head = Buffer.alloc(HEAD_BYTES);
  for (const [place, value] of [TYPES[question.what], number, 0, payload.length].entries()) head.writeUInt32LE(value, place * 4);
  return Buffer.concat([head, payload]);
}

/** Adds the answers that have come whole; what comes after them. Throws where it is no answer of xenstore's. */
export function takeAnswers(bytes: Buffer, questions: readonly StoreQuestion[], answers: (string | null)[]): Buffer {
  let at = 0;
  while (answers.length < questions.length && bytes.length - at >= HEAD_BYTES) {
    const [type, number, , length] = [0, 4, 8, 12].map((place) => bytes.readUInt32LE(at + place)) as [number, number, number, number];
    const { what } = questions[answers.length]!;
    if (number !== answers.length || length > PAYLOAD_BYTES_MAX || (type !== TYPES[what] && type !== ERROR))
      throw new Error("xenstored answers what was not asked");
    if (bytes.length - at < HEAD_BYTES + length) break;
    const said = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length).toString();
    answers.push(type === ERROR ? null : said);
    at += HEAD_BYTES + length;
  }
  return bytes.subarray(at);
}

function answersOn(socket: Socket, questions: readonly StoreQuestion[]): Promise<(string | null)[]> {
  const answers: (string | null)[] = [];
  let rest: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    socket.setTimeout(ANSWER_MS, () => reject(new Error("xenstored does not answer")));
    socket.once("error", reject).once("close", () => reject(new Error("xenstored closed its socket")));
    socket.on("data", (bytes) => {
      try {
        rest = takeAnswers(Buffer.concat([rest, bytes]), questions, answers);
        if (answers.length === questions.length) resolve(answers);
      } catch (error) {
        reject(error as Error);
      }
    });
    for (const [number, question] of questions.entries()) socket.write(asked(question, number));
  });
}

/** Throws where there is no socket, or no answer. */
export const askStoreAt =
  (path: string): AskStore =>
  async (questions) => {
    if (questions.length === 0) return [];
    const socket = connect(path);
    try {
      return await answersOn(socket, questions);
    } finally {
      socket.destroy();
    }
  };

export const askStore: AskStore = askStoreAt(SOCKET);

/**
 * Files into a guest that has an agent and a POSIX shell, but no Perl: their bytes through a port, as they are. The agent alone would parse
 * each as letters of a string. A copy is asked for in the agent's own way, by three commands that no agent has (`copyCommand`):
 *
 *   guest-copy-open {path, bytes, mode} → copy      the guest's shell has a port open, and waits
 *   guest-copy-write {copy, buf-b64}                the guest takes them
 *   guest-copy-close {copy}                         whole under its name, or nothing of it; refused where fewer came than were said
 *
 * Who controls the inputs: the customer, every command; the guest, what comes from the port, of which only one word is looked for.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { isRecord } from "../../json.ts";
import type { GuestAgent } from "./agent.ts";
import { QmpError } from "./qmp.ts";
import type { BarePort } from "./shell-ports.ts";

/** Without a word of its customer's. */
const IDLE_MS = 60_000;
/** Until its guest's shell has begun, and for one piece to be taken. */
const TAKEN_MS = 30_000;
const LOOK_MS = 100;
const TOKEN_BYTES = 16;
/** Of what the guest's shell says why not. */
const WHY_MAX = 200;
/** What may come from the port before its shell has begun: left by others, or by a guest that means harm. */
const STALE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * $1 port, $2 token, $3 bytes, $4 mode, $5 path. What lay in the port before is read up to the token. What is there already is replaced
 * by the whole file alone. A guest that is shut down half-way ends its programs by a signal; BusyBox's wc would read all of the file.
 */
const SCRIPT = `
for each in head ls mv chmod rm; do command -v $each >/dev/null || { echo "no $each" >&2; exit 1; }; done
device=
for each in /sys/class/virtio-ports/*; do
  name=; read -r name <"$each/name" && [ "$name" = "$1" ] && device=/dev/\${each##*/}
done
[ -n "$device" ] || { echo "no port $1" >&2; exit 1; }
[ ! -d "$5" ] || { echo "$5 is a folder" >&2; exit 1; }
[ ! -L "$5" ] && { [ ! -e "$5" ] || [ -f "$5" ]; } || { echo "$5 is no file" >&2; exit 1; }
part=$5.$2.part
umask 077
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP INT TERM
exec 3<>"$device" && : >"$part" || exit 1
echo "$2" >&3
line=
while [ "$line" != "$2" ]; do read -r line <&3 || exit 1; done
head -c "$3" <&3 >"$part" || exit 1
ls -ln "$part" | { read -r _ _ _ _ size _; [ "$size" = "$3" ]; } || { echo "it was cut short" >&2; exit 1; }
chmod "$4" "$part" && mv -f "$part" "$5"
`;

const PATH = /^\/[^\0]{1,4095}$/s;
const MODE = /^[0-7]{3,4}$/;

interface Wanted {
  path: string;
  bytes: number;
  mode: string;
}

type Args = Record<string, unknown>;
const isNumber = (value: unknown): value is number => Number.isSafeInteger(value);

function wantedOf({ path, bytes, mode }: Args): Wanted {
  if (typeof path !== "string" || !PATH.test(path) || typeof mode !== "string" || !MODE.test(mode) || !isNumber(bytes) || bytes < 0)
    throw new QmpError("that is no copy: it has a path, bytes and a mode");
  return { path, bytes, mode };
}

interface Copy {
  id: number;
  port: BarePort;
  pid: number;
  left: number;
  idle: NodeJS.Timeout;
}

/** Takes what the port says until a word comes in it, or too much without it; what comes later is not read: it is nobody's. */
function heard(socket: Duplex, word: string): Promise<void> {
  return new Promise((resolve) => {
    let tail = "";
    let taken = 0;
    const take = (bytes: Buffer): void => {
      taken += bytes.length;
      tail = (tail + bytes.toString("latin1")).slice(-(word.length + bytes.length));
      const isThere = tail.includes(word);
      if (!isThere && taken <= STALE_BYTES_MAX) return;
      socket.off("data", take).pause();
      if (isThere) resolve();
    };
    socket.on("data", take).resume();
  });
}

const within = async <T>(ms: number, what: Promise<T>): Promise<T | "late"> => {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(resolve, ms, "late");
  return Promise.race([what, promise]).finally(() => clearTimeout(timer));
};

export class AgentCopies {
  readonly #agent: Pick<GuestAgent, "ask">;
  readonly #port: () => Promise<BarePort | null>;
  readonly #copies = new Map<number, Copy>();
  readonly #takenMs: number;
  #last = 0;

  /** `port`: one that nobody else has; null where there is none. */
  constructor(agent: Pick<GuestAgent, "ask">, port: () => Promise<BarePort | null>, takenMs = TAKEN_MS) {
    this.#agent = agent;
    this.#port = port;
    this.#takenMs = takenMs;
  }

  /** Null: it is the agent's own. Throws QmpError with why not. */
  command(name: string): ((args: Args) => Promise<unknown>) | null {
    if (name === "guest-copy-open") return async (args) => this.#open(wantedOf(args));
    if (name === "guest-copy-write") return async (args) => this.#write(this.#held(args["copy"]), args["buf-b64"]);
    if (name === "guest-copy-close") return async (args) => this.#close(this.#held(args["copy"]));
    return null;
  }

  async #open({ path, bytes, mode }: Wanted): Promise<number> {
    const port = await this.#port();
    if (!port) throw new QmpError("there is no port for a copy now");
    try {
      port.socket.setMaxListeners(Infinity); // as many as its customer may have pieces under way
      const token = randomBytes(TOKEN_BYTES).toString("hex");
      const isReady = heard(port.socket, token);
      const wanted = { path: "sh", arg: ["-c", SCRIPT, "sh", port.name, token, String(bytes), mode, path], "capture-output": true };
      const started = await this.#agent.ask("guest-exec", wanted);
      const pid = isRecord(started) && started["pid"];
      if (!isNumber(pid)) throw new QmpError("the guest's agent says of no process which it is");
      await this.#begun(pid, isReady);
      port.socket.write(`${token}\n`);
      const id = ++this.#last;
      const idle = setTimeout(() => this.#drop(copy), IDLE_MS).unref();
      const copy: Copy = { id, port, pid, left: bytes, idle };
      this.#copies.set(id, copy);
      return id;
    } catch (error) {
      port.give();
      throw error;
    }
  }

  async #begun(pid: number, isReady: Promise<void>): Promise<void> {
    for (const deadline = Date.now() + this.#takenMs; Date.now() < deadline;) {
      if ((await within(LOOK_MS, isReady)) !== "late") return;
      const why = await this.#whyEnded(pid);
      if (why !== null) throw new QmpError(why === "" ? "the guest's shell does not take it" : why);
    }
    throw new QmpError("the guest's shell does not begin in time");
  }

  /** Why it ended, nothing where it ended well; waits for that. */
  async #end({ id, pid }: Copy): Promise<string> {
    for (let until = Date.now() + this.#takenMs; this.#copies.has(id) && Date.now() < until;) {
      const why = await this.#whyEnded(pid);
      if (why !== null) return why;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return "the guest does not end the copy";
  }

  /** Null while it runs, and nothing where it ended well. */
  async #whyEnded(pid: number): Promise<string | null> {
    const status = await this.#agent.ask("guest-exec-status", { pid });
    if (!isRecord(status)) throw new QmpError("the guest's agent does not say whether a process runs");
    if (status["exited"] !== true) return null;
    if (status["exitcode"] === 0) return "";
    const said = Buffer.from(String(status["err-data"] ?? ""), "base64")
      .toString()
      .trim();
    return said.slice(0, WHY_MAX) || "the guest's shell was ended";
  }

  #drop({ id, port, idle }: Copy): void {
    clearTimeout(idle);
    if (this.#copies.delete(id)) port.give();
  }

  #held(id: unknown): Copy {
    const copy = isNumber(id) ? this.#copies.get(id) : undefined;
    if (!copy) throw new QmpError("there is no such copy (any more)");
    return copy;
  }

  async #write(copy: Copy, text: unknown): Promise<void> {
    const bytes = Buffer.from(typeof text === "string" ? text : "", "base64");
    if (bytes.length === 0 || bytes.length > copy.left) throw new QmpError("there are more bytes than were said, or none");
    copy.left -= bytes.length;
    copy.idle.refresh();
    const { socket } = copy.port;
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    socket.once("close", resolve).write(bytes, () => resolve());
    const end = await within(this.#takenMs, taken);
    socket.off("close", resolve);
    // of the last bytes the end of what reads them says whether they came
    if (end !== "late" && (!socket.destroyed || copy.left === 0)) return;
    try {
      const why = end === "late" ? `the guest takes nothing for ${this.#takenMs} ms` : await this.#end(copy);
      throw new QmpError(why || "the guest's shell takes no more");
    } finally {
      this.#drop(copy);
    }
  }

  async #close(copy: Copy): Promise<void> {
    try {
      if (copy.left > 0) throw new QmpError("there are fewer bytes than were said: nothing of it is there");
      const why = await this.#end(copy);
      if (why !== "") throw new QmpError(why);
    } finally {
      this.#drop(copy);
    }
  }

  close(): void {
    for (const copy of [...this.#copies.values()]) this.#drop(copy);
  }
}

/** The end of the program: not before whoever reads its output has all of it, or wants no more. */

/** As a shell says of a program that a closed pipe ended: 128 and SIGPIPE's number. */
const PIPE_CLOSED = 141;

/** What ended it from outside of every verb: its exit code, which nothing changes any more. */
let failed: Promise<number> | null = null;

/** Nothing is written where nothing waits: of a program that another one wrote for (ssh), the reader may be gone by right. */
const written = (stream: NodeJS.WriteStream): Promise<void> =>
  stream.writableLength === 0 ? Promise.resolve() : new Promise((resolve) => void stream.write("", () => resolve()));

async function allWritten(): Promise<void> {
  await Promise.all([written(process.stdout), written(process.stderr)]);
  await new Promise((resolve) => setImmediate(resolve)); // a stream says what went wrong after that
}

const last: (() => Promise<void>)[] = [];

/** Done before the program ends, however it ends; once. */
export function beforeLeaving(work: () => Promise<void>): void {
  last.push(work);
}

const heard = new Set<() => void>();

/** Told, once, that whoever reads the output has gone: what is listened for here ends what it holds of others first, and then leaves. */
export function onReaderGone(gone: () => void): () => void {
  heard.add(gone);
  return () => void heard.delete(gone);
}

/** What this program says has no place, whatever it was to say. */
export class UnwrittenOutput extends Error {
  constructor(cause: Error) {
    super(`the output could not be written: ${cause.message}`, { cause });
  }
}

/** Ends with `process.exitCode`, whatever a library keeps open. */
export async function leave(): Promise<never> {
  await Promise.all(last.splice(0).map((work) => work()));
  await allWritten();
  const code = await failed;
  if (code !== null) await allWritten();
  process.exit(code ?? process.exitCode);
}

/** A terminal that goes is told by a signal, too: whoever listens for that ends first what it holds of others. */
const isHangup = ({ code }: NodeJS.ErrnoException): boolean =>
  code === "EIO" && process.stdout.isTTY && process.listenerCount("SIGHUP") > 0;

/**
 * What fails outside of every verb ends the program in words too: `report` says it, and with which exit code. A reader of the output that
 * has had enough is no error; who reads the errors may go at any time.
 */
export function watchOver(report: (error: unknown) => Promise<number>): void {
  const end = (code: Promise<number>): void => {
    failed ??= code;
    void leave();
  };
  const readerGone = (): void => {
    if (heard.size === 0) return end(Promise.resolve(PIPE_CLOSED));
    failed = Promise.resolve(PIPE_CLOSED);
    for (const gone of heard) gone();
  };
  process.stderr.on("error", () => {});
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (failed || isHangup(error)) return;
    if (error.code === "EPIPE") readerGone();
    else end(report(new UnwrittenOutput(error)));
  });
  process.on("uncaughtException", (error) => end(report(error)));
}

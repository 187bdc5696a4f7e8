/** What a channel needs of a stream: Node's have it, and a page can make one, which has no types of Node's. */

export interface ByteSource {
  on(event: "readable", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  once(event: "end" | "close", listener: () => void): unknown;
  readonly readableLength: number;
  /** Bytes, or null where there are not so many yet. */
  read(size: number): unknown;
}

export interface ByteDuplex {
  on(event: "data", listener: (bytes: Uint8Array) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  once(event: "end" | "close", listener: () => void): unknown;
  resume(): unknown;
  pause(): unknown;
  /** `done`: they wait here no more. */
  write(bytes: Uint8Array, done: () => void): unknown;
  /** `done`: what was written before is written. */
  end(done?: () => void): unknown;
  destroy(error?: Error): unknown;
  /** Of a connection: breaks it off, so that whoever is at its other end does not take that for an end (a reset, in TCP). */
  breakOff?(why: Error): unknown;
  /** Of a connection whose other side has said all: whether it had broken off instead, where that cannot be told by its end. */
  wasBrokenOff?(): Promise<boolean>;
}

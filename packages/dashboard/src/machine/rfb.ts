/**
 * A machine's screen, watched: the least that a viewer says (RFC 6143), pixels as they are. What it shows is the server's word, as all that
 * a machine shows. Who controls the inputs: the server, every byte, behind which is QEMU, the guest's.
 */
import { ByteReader } from "./byte-reader.ts";

const VERSION = "RFB 003.008\n";
const NO_SECURITY = 1;
const WHY_BYTES_MAX = 1_024;
/** What a page holds of one: 64 MiB. */
const PIXELS_MAX = 16 * 1024 * 1024;
const SKIPPED_MAX = 1024 * 1024;
const RAW = 0;
const NEW_SIZE = -223;
const PIXEL_BYTES = 4;
/** 32 bits a pixel: red, green, blue, nothing, as a canvas has them but for the last. */
const SET_PIXEL_FORMAT = [0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0];
const ENCODINGS = [2, 0, 0, 2, 0, 0, 0, RAW, 255, 255, 255, NEW_SIZE & 255];

/** Where a screen is drawn. */
export interface Canvas {
  sized(width: number, height: number): void;
  /** Red, green, blue and 255 of each pixel, line by line. */
  painted(x: number, y: number, width: number, rgba: Uint8ClampedArray<ArrayBuffer>): void;
}

type Size = readonly [width: number, height: number];

const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const u16 = (value: number): [number, number] => [(value >> 8) & 255, value & 255];

const request = ([width, height]: Size, isIncremental: boolean): number[] => [
  3,
  Number(isIncremental),
  0,
  0,
  0,
  0,
  ...u16(width),
  ...u16(height),
];

export const keyMessage = (keysym: number, isDown: boolean): number[] => [
  4,
  Number(isDown),
  0,
  0,
  ...u16(keysym >>> 16),
  ...u16(keysym & 65_535),
];
export const pointerMessage = (buttons: number, x: number, y: number): number[] => [5, buttons & 255, ...u16(x), ...u16(y)];

/** A screen that is watched until its stream ends; throws with the reason, or where what comes is no screen. */
export class WatchedScreen {
  readonly #reader: ByteReader;
  readonly #say: (bytes: number[]) => Promise<void>;
  readonly #canvas: Canvas;
  #size: Size = [0, 0];

  /** `say`: sends to the screen. */
  constructor(readable: ReadableStream<Uint8Array>, say: (bytes: Uint8Array) => Promise<void>, canvas: Canvas) {
    this.#reader = new ByteReader(readable);
    this.#say = (bytes) => say(Uint8Array.from(bytes));
    this.#canvas = canvas;
  }

  async watch(): Promise<never> {
    try {
      await this.#greet();
      await this.#begin();
      for (;;) await this.#message();
    } finally {
      this.#reader.close();
    }
  }

  async #reason(): Promise<string> {
    const length = view(await this.#reader.exactly(4)).getUint32(0);
    return new TextDecoder().decode(await this.#reader.exactly(Math.min(length, WHY_BYTES_MAX)));
  }

  async #greet(): Promise<void> {
    const version = ascii(await this.#reader.exactly(VERSION.length));
    if (version !== VERSION) throw new Error("the machine’s screen speaks no RFB 3.8");
    await this.#say(Array.from(VERSION, (letter) => letter.charCodeAt(0)));
    const count = (await this.#reader.exactly(1))[0] ?? 0;
    if (count === 0) throw new Error(`the machine’s screen refuses: ${await this.#reason()}`);
    if (!(await this.#reader.exactly(count)).includes(NO_SECURITY)) throw new Error("the machine’s screen asks for a password");
    await this.#say([NO_SECURITY]);
    if (view(await this.#reader.exactly(4)).getUint32(0) !== 0) throw new Error(`the machine’s screen refuses: ${await this.#reason()}`);
  }

  #resize(width: number, height: number): void {
    if (width * height > PIXELS_MAX) throw new Error(`the machine’s screen is said to have ${width}x${height} pixels: too many to show`);
    this.#size = [width, height];
    this.#canvas.sized(width, height);
  }

  async #begin(): Promise<void> {
    await this.#say([1]); // others may look, too
    const init = view(await this.#reader.exactly(24));
    await this.#skipped(init.getUint32(20)); // its name
    this.#resize(init.getUint16(0), init.getUint16(2));
    await this.#say([...SET_PIXEL_FORMAT, ...ENCODINGS, ...request(this.#size, false)]);
  }

  async #skipped(count: number): Promise<void> {
    if (count > SKIPPED_MAX) throw new Error("the machine’s screen says more than it may");
    await this.#reader.skip(count);
  }

  async #message(): Promise<void> {
    const kind = (await this.#reader.exactly(1))[0];
    if (kind === 0) return this.#update();
    if (kind === 1) return this.#skipped(view(await this.#reader.exactly(5)).getUint16(3) * 6);
    if (kind === 3) return this.#skipped(view(await this.#reader.exactly(7)).getUint32(3));
    if (kind !== 2) throw new Error(`the machine’s screen says what no screen says (${kind})`);
  }

  /** What is new is asked for when this is drawn: no more comes than is shown. */
  async #update(): Promise<void> {
    let isResized = false;
    const rectangles = view(await this.#reader.exactly(3)).getUint16(1);
    for (let i = 0; i < rectangles; i++) {
      const head = view(await this.#reader.exactly(12));
      const [x, y, width, height] = [head.getUint16(0), head.getUint16(2), head.getUint16(4), head.getUint16(6)];
      const encoding = head.getInt32(8);
      if (encoding === NEW_SIZE) {
        this.#resize(width, height);
        isResized = true;
      } else if (encoding === RAW) await this.#paint(x, y, width, height);
      else throw new Error(`the machine’s screen sends what nobody asked for (encoding ${encoding})`);
    }
    await this.#say(request(this.#size, !isResized));
  }

  async #paint(x: number, y: number, width: number, height: number): Promise<void> {
    if (x + width > this.#size[0] || y + height > this.#size[1])
      throw new Error("the machine’s screen sends a part that lies outside of it");
    if (width === 0 || height === 0) return;
    const pixels = new Uint8ClampedArray((await this.#reader.exactly(width * height * PIXEL_BYTES)).buffer as ArrayBuffer);
    for (let at = PIXEL_BYTES - 1; at < pixels.length; at += PIXEL_BYTES) pixels[at] = 255;
    this.#canvas.painted(x, y, width, pixels);
  }
}

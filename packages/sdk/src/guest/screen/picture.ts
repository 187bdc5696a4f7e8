/**
 * One picture of a machine's screen: the least that a viewer says (RFC 6143, 7.3 to 7.7), pixels as they are. What it shows is the server's
 * word, as all that a machine shows. Who controls the inputs: the server, every byte.
 */
import type { Duplex } from "node:stream";
import { exactly } from "./exactly.ts";
import { pngOf, type Picture } from "./png.ts";
import { openScreen, type ScreenLink } from "./screen.ts";
import { ScreenError } from "./screen-error.ts";

const PIXELS_MAX = 16 * 1024 * 1024;
const SKIPPED_MAX = 1024 * 1024;
const RAW = 0;
const NEW_SIZE = -223;
const PICTURE_MS = 30_000;
/** 32 bits a pixel, little-endian: blue, green, red, nothing. */
const SET_PIXEL_FORMAT = Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
const PIXEL_BYTES = 4;

function blank(width: number, height: number): Picture {
  if (width * height > PIXELS_MAX)
    throw new ScreenError(`the machine's screen is said to have ${width}x${height} pixels, more than a picture may`);
  return { width, height, rgb: Buffer.alloc(width * height * 3) };
}

function encodings(): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(2, 0);
  bytes.writeUInt16BE(2, 2);
  bytes.writeInt32BE(RAW, 4);
  bytes.writeInt32BE(NEW_SIZE, 8);
  return bytes;
}

function request({ width, height }: Picture, isIncremental: boolean): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt8(3, 0);
  bytes.writeUInt8(isIncremental ? 1 : 0, 1);
  bytes.writeUInt16BE(width, 6);
  bytes.writeUInt16BE(height, 8);
  return bytes;
}

async function skip(screen: Duplex, count: number, signal: AbortSignal): Promise<void> {
  if (count > SKIPPED_MAX) throw new ScreenError("the machine's screen says more than it may");
  await exactly(screen, count, signal);
}

/** A part of the picture, a line at a time; how many pixels it had. */
async function paint(screen: Duplex, { width, height, rgb }: Picture, at: Buffer, signal: AbortSignal): Promise<number> {
  const [x, y, w, h] = [0, 2, 4, 6].map((offset) => at.readUInt16BE(offset)) as [number, number, number, number];
  if (x + w > width || y + h > height) throw new ScreenError("the machine's screen sends a part that lies outside of it");
  for (let line = y; line < y + h; line++) {
    const pixels = await exactly(screen, w * PIXEL_BYTES, signal);
    for (let i = 0, to = (line * width + x) * 3; i < pixels.length; i += PIXEL_BYTES, to += 3) {
      rgb[to] = pixels[i + 2]!;
      rgb[to + 1] = pixels[i + 1]!;
      rgb[to + 2] = pixels[i]!;
    }
  }
  return w * h;
}

interface Painted {
  picture: Picture;
  pixels: number;
  isResized: boolean;
}

async function update(screen: Duplex, before: Picture, signal: AbortSignal): Promise<Painted> {
  const rectangles = (await exactly(screen, 3, signal)).readUInt16BE(1);
  const painted: Painted = { picture: before, pixels: 0, isResized: false };
  for (let i = 0; i < rectangles; i++) {
    const head = await exactly(screen, 12, signal);
    const encoding = head.readInt32BE(8);
    if (encoding === NEW_SIZE) {
      painted.picture = blank(head.readUInt16BE(4), head.readUInt16BE(6));
      painted.pixels = 0;
      painted.isResized = true;
    } else if (encoding === RAW) painted.pixels += await paint(screen, painted.picture, head, signal);
    else throw new ScreenError(`the machine's screen sends what nobody asked for (encoding ${encoding})`);
  }
  return painted;
}

/** Of a screen that was greeted. Throws where what comes is no picture. */
export async function readPicture(screen: Duplex, signal: AbortSignal): Promise<Picture> {
  screen.write(Buffer.from([1])); // others may look, too
  const init = await exactly(screen, 24, signal);
  await skip(screen, init.readUInt32BE(20), signal); // its name
  let picture = blank(init.readUInt16BE(0), init.readUInt16BE(2));
  screen.write(Buffer.concat([SET_PIXEL_FORMAT, encodings(), request(picture, false)]));
  for (let pixels = 0; ;) {
    const kind = (await exactly(screen, 1, signal)).readUInt8();
    if (kind === 0) {
      const painted = await update(screen, picture, signal);
      pixels = painted.isResized ? painted.pixels : pixels + painted.pixels;
      picture = painted.picture;
      if (pixels >= picture.width * picture.height) return picture;
      screen.write(request(picture, !painted.isResized));
    } else if (kind === 1) await skip(screen, (await exactly(screen, 5, signal)).readUInt16BE(3) * 6, signal);
    else if (kind === 3) await skip(screen, (await exactly(screen, 7, signal)).readUInt32BE(3), signal);
    else if (kind !== 2) throw new ScreenError(`the machine's screen says what no screen says (${kind})`);
  }
}

/** What a machine's screen shows now. Throws with the server's reason, or where nothing comes for half a minute. */
export async function takePicture(link: ScreenLink): Promise<{ width: number; height: number; png: Buffer }> {
  const signal = AbortSignal.timeout(PICTURE_MS);
  const screen = await openScreen(link, signal);
  try {
    const picture = await readPicture(screen, signal);
    return { width: picture.width, height: picture.height, png: pngOf(picture) };
  } finally {
    screen.destroy();
  }
}

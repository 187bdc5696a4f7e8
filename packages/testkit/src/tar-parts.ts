/** Parts of tar archives for tests, written byte by byte, for what no program would write. */

export type Part = Buffer;

const BLOCK = 512;
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);

/** A header of that type that says so many bytes follow, and the bytes that do. */
export function headerOf(name: string, type: string, size: number, data: string | Buffer = ""): Part {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100, "latin1");
  header.write("0000644\x000000000\x000000000\x00", 100, "latin1");
  header.write(`${size.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`, 124, "latin1");
  header.write(type, 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  return Buffer.concat([summed(header), padded(Buffer.from(data))]);
}

/** The header with the sum of its bytes where it belongs. */
export function summed(header: Buffer): Buffer {
  header.write(" ".repeat(8), 148, "latin1");
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** An extended header. */
export function paxOf(...pairs: (readonly [key: string, value: string])[]): Part {
  const records = pairs.map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    const digits = [1, 2, 3, 4, 5, 6, 7].find((count) => String(rest + count).length === count) ?? 0;
    return `${rest + digits} ${key}=${value}\n`;
  });
  const data = Buffer.from(records.join(""));
  return headerOf("PaxHeaders/x", "x", data.length, data);
}

/** A domain's state as xl sends it, with records of any lengths in place of memory. */

const ALIGNED = 8;
const record = (type: number, body: Uint8Array, said = body.length): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(said, 4);
  return Buffer.concat([head, body, Buffer.alloc((ALIGNED - (body.length % ALIGNED)) % ALIGNED)]);
};
const NOTHING = new Uint8Array(0);

/** `pages`: records of libxc's; `devices`: of libxl's after them. */
export function savedState(pages: readonly Uint8Array[], devices: readonly Uint8Array[] = [], config = "{}"): Buffer {
  const file = Buffer.alloc(48);
  file.write("Xen saved domain, xl format\n \0 \r", "latin1");
  file.writeUInt32LE(1, 32);
  file.writeUInt32LE(3, 36);
  file.writeUInt32LE(config.length, 44);
  const libxl = Buffer.alloc(16);
  libxl.write("LibxlFmt", "latin1");
  libxl.writeUInt32BE(2, 8);
  const libxc = Buffer.alloc(40, 0);
  libxc.fill(0xff, 0, 8);
  libxc.write("XENF", 8, "latin1");
  libxc.writeUInt32BE(3, 12);
  return Buffer.concat([
    ...[file, Buffer.from(config), libxl, record(1, NOTHING), libxc],
    ...pages.map((body) => record(2, body)),
    record(0, NOTHING),
    ...devices.map((body) => record(2, body)),
    record(0, NOTHING),
  ]);
}

/**
 * Ed25519 points that are a signer's in name only: what one says with them is right for many messages at once. OpenSSL takes them before
 * 3.5 (Node 22) and refuses them since (Node 24), as key and as a signature's R; a lease must not stand for one program and be nothing to
 * another, so all platforms refuse them, in each way of writing them that a decoder takes.
 */
const Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
];
const LAST_BYTE = 62;
const withSign = (y: string): string => y.slice(0, LAST_BYTE) + (Number.parseInt(y.slice(LAST_BYTE), 16) | 0x80).toString(16);
const SMALL = new Set(Y.flatMap((y) => [y, withSign(y)]));

/** `point`: 32 bytes, lowercase hex. */
export const isSmallOrder = (point: string): boolean => SMALL.has(point);
